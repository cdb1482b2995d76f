// The client of Janus by itself: our modules on an empty page, speaking with a real Janus and nothing in between.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { Browser, eventually } from "./browser.mjs";
import { ADMIN_KEY, Janus } from "./janus.mjs";
import { startSite } from "./site.mjs";

let janus, browser, site;
let room = 1000;

before(async () => {
  janus = await Janus.start();
  browser = await Browser.open();
  site = await startSite();
});

after(async () => {
  await browser?.close();
  site?.close();
  await janus?.close();
});

beforeEach(() => (room += 1));

const makeRoom = (more = {}) =>
  janus.ask({ request: "create", room, admin_key: ADMIN_KEY, videocodec: "h264,vp8", publishers: 4, ...more });

/** A page with our modules and an open session. */
async function open() {
  const page = await browser.page(site.url);
  await openSession(page);
  return page;
}

const openSession = (page) =>
  page.evaluate(async (janusUrl) => {
    const names = ["janus", "publisher", "subscriber"];
    const modules = await Promise.all(names.map((name) => import(`/room/${name}.js`)));
    Object.assign(globalThis, ...modules.map((module) => ({ ...module })));
    globalThis.session = await globalThis.Janus.open(janusUrl);
    globalThis.ended = [];
  }, janus.webSocketUrl);

/** Publishes the page's camera. Resolves to the feed's number, or to what the page would be told. */
const publish = (page, more = {}) =>
  page.evaluate(async (options) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
    const [track] = stream.getVideoTracks();
    const onEnd = (reason) => ended.push(reason);
    try {
      globalThis.publisher = await Publisher.start(session, { track, maxBitrate: 0, onEnd, ...options });
    } catch (error) {
      return { refusal: error.message, code: error.code };
    }
    return publisher.ids.feedId;
  }, { room, pin: "", ...more });

const subscribe = (page, feedId, more = {}) =>
  page.evaluate(async (options) => {
    const video = Object.assign(document.createElement("video"), { muted: true, autoplay: true });
    document.body.append(video);
    const onStream = (stream) => (video.srcObject = stream);
    const onEnd = (reason) => ended.push(reason);
    try {
      globalThis.subscriber = await Subscriber.start(session, { onStream, onEnd, ...options });
    } catch (error) {
      return { refusal: error.message, code: error.code };
    }
  }, { room, pin: "", feedId, ...more });

const watch = async (page, feedId) => assert.equal(await subscribe(page, feedId), undefined, "nothing is refused");

/** Resolves once so many more pictures are on the screen. */
const shown = (page, more) =>
  page.evaluate(async (more) => {
    const count = () => document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames;
    const wanted = count() + more;
    while (count() < wanted) await new Promise(requestAnimationFrame);
  }, more);

const codecOf = (page) =>
  page.evaluate(async () => {
    const { codecId } = await publisher.sent();
    return codecId;
  });

test("a camera's picture reaches another page, as H.264", async () => {
  await makeRoom();
  const [sender, receiver] = [await open(), await open()];
  const feedId = await publish(sender);
  await watch(receiver, feedId);
  await shown(receiver, 20);
  assert.match(await codecOf(sender), /profile-level-id=42e0/);
  await receiver.waitForFunction(() => {
    const { videoWidth, videoHeight } = document.querySelector("video");
    return videoWidth === 640 && videoHeight === 480;
  });
});

test("a room of VP8 alone gets VP8", async () => {
  await makeRoom({ videocodec: "vp8" });
  const [sender, receiver] = [await open(), await open()];
  await watch(receiver, await publish(sender));
  await shown(receiver, 5);
  assert.doesNotMatch(await codecOf(sender), /profile-level-id/);
});

test("a room that takes no video of this browser's is an error in clear words", async () => {
  await makeRoom({ videocodec: "h265" });
  const { refusal } = await publish(await open());
  assert.match(refusal, /takes no video that this browser can send/);
});

test("a pin is needed where there is one", async () => {
  await makeRoom({ pin: "1234" });
  const [sender, receiver] = [await open(), await open()];
  assert.equal((await publish(sender)).code, 433);
  assert.equal((await publish(sender, { pin: "4321" })).code, 433);
  const feedId = await publish(sender, { pin: "1234" });
  assert.equal((await subscribe(receiver, feedId)).code, 433);
  assert.equal(await subscribe(receiver, feedId, { pin: "1234" }), undefined);
});

test("a room or a feed that is not there is refused by its number", async () => {
  assert.equal((await publish(await open())).code, 426);
  await makeRoom();
  assert.equal((await subscribe(await open(), 5)).code, 428);
});

test("the encoder obeys a limit", async () => {
  await makeRoom();
  const sender = await open();
  await publish(sender);
  const follows = (holds) => sender.waitForFunction(
    async ([least, most]) => {
      const { targetBitrate } = await publisher.sent();
      return targetBitrate >= least && targetBitrate <= most;
    }, holds);
  await follows([200_000, Infinity]);
  await sender.evaluate(() => publisher.limit(100_000));
  await follows([1, 100_000]);
  await sender.evaluate(() => publisher.limit(0));
  await follows([200_000, Infinity]);
});

test("of many limits at once the newest counts, and none fails", async () => {
  await makeRoom();
  const sender = await open();
  await publish(sender);
  const limited = await sender.evaluate(async () => {
    await Promise.all(Array.from({ length: 20 }, (_, count) => publisher.limit(100_000 + count)));
    return peers[0].getSenders()[0].getParameters().encodings[0].maxBitrate;
  });
  assert.equal(limited, 100_019);
});

test("both sides learn that Janus is gone", async () => {
  await makeRoom();
  const [sender, receiver] = [await open(), await open()];
  await watch(receiver, await publish(sender));
  await janus.kill();
  for (const page of [sender, receiver]) {
    await page.waitForFunction(() => ended.length === 1 && !session.isOpen);
    assert.deepEqual(await page.evaluate(() => ended), ["The video server ended the picture."]);
    const refusal = await page.evaluate((url) => Janus.open(url).catch(({ message }) => message), janus.webSocketUrl);
    assert.equal(refusal, "The video server can’t be reached.");
  }
  await janus.run();
});

test("a feed is published once Janus is up, too, as nobody can subscribe before", async () => {
  await makeRoom();
  const page = await browser.page(site.url);
  let tellUp;
  await page.routeWebSocket(janus.webSocketUrl, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => {
      const pass = () => socket.send(message);
      if (JSON.parse(message).janus === "webrtcup") tellUp = pass;
      else pass();
    });
  });
  await page.reload();
  await openSession(page);
  const feedId = publish(page);
  await page.waitForFunction(() => peers[0]?.connectionState === "connected");
  await eventually(() => tellUp, Boolean);
  assert.ok(await page.evaluate(() => globalThis.publisher === undefined));
  tellUp();
  await watch(await open(), await feedId);
});

test("a subscriber learns that its feed is gone", async () => {
  await makeRoom();
  const [sender, receiver] = [await open(), await open()];
  await watch(receiver, await publish(sender));
  await sender.close();
  await receiver.waitForFunction(() => ended.length === 1);
});

test("a handle that is detached is let go", async () => {
  const page = await open();
  await page.evaluate(async () => {
    const handle = await session.attach();
    globalThis.detached = new WeakRef(handle);
    handle.detach();
  });
  await eventually(async () => {
    await page.requestGC();
    return page.evaluate(() => detached.deref() === undefined);
  }, Boolean);
});

test("a session that is refused leaves no connection open", async () => {
  const page = await browser.page(site.url);
  let isClosed = false;
  await page.routeWebSocket("ws://refusing/", (socket) => {
    socket.onMessage((message) => {
      const { transaction } = JSON.parse(message);
      socket.send(JSON.stringify({ janus: "error", transaction, error: { code: 403, reason: "Not today." } }));
    });
    socket.onClose(() => (isClosed = true));
  });
  await page.reload();
  const refusal = await page.evaluate(async () => {
    const { Janus } = await import("/room/janus.js");
    return Janus.open("ws://refusing/").catch(({ code, message }) => [code, message]);
  });
  assert.deepEqual(refusal, [403, "Not today."]);
  await eventually(() => isClosed, Boolean);
});

test("nothing failed on any page", () => assert.deepEqual(browser.offences, []));
