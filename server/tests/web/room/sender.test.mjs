// A sender's page in impatient hands: whatever is pressed while a camera opens, the page says what is true.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { io } from "socket.io-client";
import { CAMERAS, eventually } from "./browser.mjs";
import { Stage, TOKEN, live, record, said, says } from "./stage.mjs";
import { Wire } from "./wire.mjs";

let stage;

before(async () => {
  stage = await Stage.open();
  stage.server.order(`activate_slot 0 ${TOKEN}`);
});

after(() => stage?.close());

test("a camera that is stopped while it opens stays off", async () => {
  const page = await openPage();
  await start(page);
  await opens(page);
  await stop(page);
  await letOpen(page);
  await isOff(page);
  await page.context().close();
});

test("so does one that is stopped while it opens at another resolution", async () => {
  const page = await openPage();
  await letOpen(page);
  await start(page);
  await live(page);
  await slowDown(page);
  await choose(page, "320 × 240");
  await opens(page);
  await stop(page);
  await letOpen(page);
  await isOff(page);
  await page.context().close();
});

test("a camera that is started again while it opens is on", async () => {
  const page = await openPage();
  await start(page);
  await opens(page);
  await stop(page);
  await start(page);
  await letOpen(page);
  await live(page);
  await films(page, 640);
  await page.context().close();
});

test("of several resolutions that are chosen while it opens the last one counts", async () => {
  const page = await openPage();
  await start(page);
  await opens(page);
  for (const size of ["960 × 720", "320 × 240"]) await choose(page, size);
  await letOpen(page);
  await live(page);
  await films(page, 320);
  await stop(page);
  await isOff(page);
  await page.context().close();
});

test("and of several that are chosen while it sends", async () => {
  const page = await openPage();
  await letOpen(page);
  await start(page);
  await live(page);
  await slowDown(page);
  for (const size of ["960 × 720", "320 × 240"]) await choose(page, size);
  await opens(page);
  await letOpen(page);
  await films(page, 320);
  await live(page);
  const wanted = await page.evaluate(() => cameras.wanted);
  assert.ok(wanted.length >= 2 && wanted.every(({ audio, video }) => video && !audio), "never the microphone");
  await stop(page);
  await isOff(page);
  await page.context().close();
});

test("a camera that is plugged in can be chosen", async () => {
  const page = await stage.senderPage();
  const options = () => page.locator("#camera option").allTextContents();
  await eventually(options, ({ length }) => length === CAMERAS);
  await page.evaluate(async () => {
    const devices = navigator.mediaDevices;
    const known = await devices.enumerateDevices();
    const plugged = { kind: "videoinput", deviceId: "plugged", label: "Desk camera" };
    devices.enumerateDevices = async () => [...known, plugged];
    devices.dispatchEvent(new Event("devicechange"));
  });
  await eventually(options, (names) => names.length === CAMERAS + 1 && names.at(-1) === "Desk camera");
  await page.context().close();
});

test("a name and a limit that are set while it connects are told", async () => {
  const page = await stage.senderPage({ customNameAllowed: "Ada" });
  const [events, janus] = [await Wire.tap(page, /socket\.io/), await Wire.tap(page, /\/janus/)];
  const release = janus.hold();
  await page.reload();
  await start(page);
  await eventually(() => janus.said("create"), ({ length }) => length > 0);
  await page.getByLabel("Your name").fill("Grace");
  await page.keyboard.press("Enter");
  await page.locator("#details summary").click();
  await page.getByLabel("Your limit in kbit/s").fill("40");
  await page.getByRole("button", { name: "Set limit" }).click();
  await page.getByText("Your limit is set.").waitFor();
  release();
  await live(page);
  assert.match(events.said("set_feed_id").at(-1), /"customName":"Grace"/);
  assert.match(events.said("set_bitrate_limit").at(-1), /"bitrateLimit":40000\b/);
  await page.context().close();
});

test("a token that is replaced while it connects is not called a slot that is taken", async () => {
  const page = await stage.senderPage();
  const janus = await Wire.tap(page, /\/janus/);
  const release = janus.hold();
  await page.reload();
  await record(page);
  await start(page);
  await eventually(() => janus.said("create"), ({ length }) => length > 0);
  await replaceToken("another");
  release();
  await page.locator("#status.refusal").waitFor();
  assert.deepEqual((await said(page)).filter((text) => text.includes("slot is free")), []);
  await replaceToken(TOKEN);
  await page.context().close();
});

test("a camera that was live stops filming when the room has refused it for minutes", async () => {
  const page = await stage.senderPage();
  await page.clock.install();
  await page.reload();
  await start(page);
  await live(page);
  await stage.server.end("SIGKILL");
  await stage.server.run();
  await page.locator("#status").filter({ hasText: "Trying again" }).filter({ hasText: "slot" }).waitFor();
  await page.clock.fastForward("06:00");
  await page.locator("#status.refusal").waitFor();
  assert.equal(await page.evaluate(() => document.getElementById("preview").srcObject), null);
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  await page.context().close();
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));

/** A page whose cameras open when the test lets them. */
async function openPage() {
  const page = await stage.senderPage();
  await page.addInitScript(() => {
    const devices = navigator.mediaDevices;
    const open = devices.getUserMedia.bind(devices);
    globalThis.cameras = { wanted: [], tracks: [], waiting: [], areSlow: true };
    devices.getUserMedia = async (wanted) => {
      cameras.wanted.push(wanted);
      const stream = await open(wanted);
      cameras.tracks.push(...stream.getTracks());
      if (cameras.areSlow) await new Promise((resolve) => cameras.waiting.push(resolve));
      return stream;
    };
  });
  await page.reload();
  return page;
}

const start = (page) => page.getByRole("button", { name: "Start camera" }).click();
const stop = (page) => page.getByRole("button", { name: "Stop camera" }).click();
const choose = (page, size) => page.getByLabel("Resolution").selectOption(size);

const slowDown = (page) => page.evaluate(() => void (cameras.areSlow = true));
const opens = (page) => page.waitForFunction(() => cameras.waiting.length > 0);
const letOpen = (page) =>
  page.evaluate(() => {
    cameras.areSlow = false;
    for (const open of cameras.waiting.splice(0)) open();
  });

/** Widths of the pictures that are being filmed. */
const filmed = (page) =>
  page.evaluate(() => {
    const live = cameras.tracks.filter(({ readyState }) => readyState === "live");
    return live.map((track) => track.getSettings().width);
  });

/** Resolves once one camera films at this width, and no other. */
const films = (page, width) => eventually(() => filmed(page), (widths) => widths.length === 1 && widths[0] === width);

async function isOff(page) {
  await eventually(() => filmed(page), (widths) => widths.length === 0);
  await says(page, "The camera is off.");
  assert.ok(await page.locator("#preview").isHidden());
  assert.ok(await page.getByRole("button", { name: "Start camera" }).isVisible());
}

/** Orders another token, and resolves once it holds. */
async function replaceToken(token) {
  stage.server.order(`refresh_token 0 ${token}`);
  const socket = io(`http://127.0.0.1:${stage.server.port}`, { path: "/socket.io/5000", transports: ["websocket"] });
  await eventually(() => socket.emitWithAck("sender_init", { slot: 0, token }), ({ success }) => success);
  socket.disconnect();
}
