// Strangers: whatever they send costs them alone.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Scene, TOKEN, feed, until, within } from "./scene.mjs";

const { WebSocket, WebSocketServer } = createRequire(new URL("../../../tests/package.json", import.meta.url))("ws");

const IDLE = 1_000;
/** What the original's server takes when it is idle, in KiB. */
const ORIGINAL_KIB = 59 << 10;
/** What a socket may take. 17 of it Engine.IO's layer has for its tasks and queues. */
const SOCKET_KIB = 22;

/** A room with a sender and a receiver, who must notice nothing. */
async function scenery(t, options) {
  const scene = await Scene.open(options);
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const receiver = await scene.connect();
  const sender = await scene.sender();
  await sender.ask("set_feed_id", feed(11));
  await receiver.next("new_feed");
  return { scene, receiver, sender, undisturbed: () => undisturbed(receiver, sender) };
}

async function undisturbed(receiver, sender) {
  assert.equal((await receiver.ask("query_state"))[1].feedId, 11);
  assert.deepEqual(await receiver.toldUntilNow(), []);
  assert.ok(receiver.socket.connected && sender.socket.connected);
}

/** A WebSocket of Engine.IO, without any client above it. */
class Raw {
  constructor(scene) {
    this.socket = new WebSocket(`${scene.url}/socket.io/?EIO=4&transport=websocket`);
    this.heard = [];
    this.closed = new Promise((resolve) => this.socket.on("close", resolve));
    this.socket.on("error", () => {});
    this.socket.on("message", (data) => {
      const text = data.toString();
      if (text === "2") this.socket.send("3");
      else this.heard.push(text);
    });
  }

  static async open(scene) {
    const raw = new Raw(scene);
    await raw.hears("0{");
    return raw;
  }

  /** One that has been let in. */
  static async enter(scene) {
    const raw = await Raw.open(scene);
    raw.socket.send("40");
    await raw.hears("40{");
    return raw;
  }

  async hears(beginning) {
    await until(beginning, () => this.heard.some((text) => text.startsWith(beginning)));
  }

  async isClosed() {
    await within("the end of the connection", this.closed);
  }
}

test("what is no packet closes its own connection", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const deep = `42["sender_init",${"[".repeat(30_000)}`;
  for (const frame of [
    "", "9", "ä", "4", "4ä", "47", "42", "42[", "42{}", "42[1]", `42-1["query_state"]`, "40", "44{}", "0{}",
    `451-["sender_init",{"_placeholder":true,"num":0}]`, `4510000000-["a"]`, `42/admin,["query_state"]`, deep,
    Buffer.from([0, 1, 2, 255]), Buffer.alloc(10),
  ]) {
    const raw = await Raw.enter(scene);
    raw.socket.send(frame);
    await raw.isClosed();
  }
  // An answer that nobody asked for says nothing, and may come late.
  const late = await Raw.enter(scene);
  late.socket.send("43[]");
  late.socket.send(`427["query_state"]`);
  await late.hears("437[");
  late.socket.terminate();
  await undisturbed();
});

test("what is said before its time closes its own connection", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  for (const frame of [`42["query_state"]`, `420["sender_init",{"slot":1,"token":"${TOKEN}"}]`, "41", "430[]"]) {
    const raw = await Raw.open(scene);
    raw.socket.send(frame);
    await raw.isClosed();
    assert.deepEqual(raw.heard.filter((text) => text.startsWith("4")), []);
  }
  const raw = await Raw.open(scene);
  raw.socket.send("40/admin,");
  await raw.hears(`44/admin,{"message"`);
  await raw.isClosed();
  await undisturbed();
});

test("requests that are none of Engine.IO's are refused", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const opened = await (await fetch(`${scene.url}/socket.io/?EIO=4&transport=polling`)).text();
  const { sid } = JSON.parse(opened.slice(1));
  const session = `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
  for (const [method, path, body] of [
    ["GET", "/socket.io/"], ["GET", "/socket.io/?EIO=3&transport=polling"], ["GET", "/socket.io/?EIO=4&transport=carrier-pigeon"],
    ["GET", "/socket.io/?EIO=4&transport=websocket"], ["GET", "/socket.io/?EIO=4&transport=polling&sid=nobody"],
    ["POST", "/socket.io/?EIO=4&transport=polling", "40"], ["PUT", session, "40"], ["DELETE", session],
    ["GET", "/socket.io/../etc/passwd?EIO=4&transport=polling"], ["GET", "/socket.io/5000/5000?EIO=4&transport=polling"],
    ["GET", "/socket.io/18446744073709551616?EIO=4&transport=polling"], ["GET", "/socket.io/-1?EIO=4&transport=polling"],
    ["POST", session, Buffer.from([0xff, 0xfe, 0x1e, 0x80])],
  ]) {
    const { status } = await fetch(`${scene.url}${path}`, { method, body });
    assert.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`);
  }
  await undisturbed();
});

test("huge payloads are cut off, whichever way they come", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const before = await resident(scene);
  const huge = "x".repeat(8 << 20);
  for (let times = 0; times < 5; times++) {
    const raw = await Raw.enter(scene);
    raw.socket.send(`42["change_name",{"newName":"${huge}"}]`);
    await raw.isClosed();
    const fragments = await Raw.enter(scene);
    for (let part = 0; part < 100; part++) fragments.socket.send("x".repeat(10 << 10), { fin: false });
    await fragments.isClosed();
    const opened = await (await fetch(`${scene.url}/socket.io/?EIO=4&transport=polling`)).text();
    const { sid } = JSON.parse(opened.slice(1));
    const posted = fetch(`${scene.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: `4${huge}` });
    const status = await posted.then((answer) => answer.status, () => 400);
    assert.ok(status >= 400, `${status}`);
  }
  assert.ok((await resident(scene)) - before < 16 << 10, "nothing of it is kept");
  await undisturbed();
});

test("a connection that never says what it wants is closed", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const raw = await Raw.open(scene);
  await raw.isClosed();
  await undisturbed();
});

test("a receiver that says a sender's words is refused, and nothing comes of it", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const stranger = await scene.connect();
  for (const [event, data] of [["set_feed_id", feed(66)], ["set_bitrate_limit", { bitrateLimit: 1 }]]) {
    assert.deepEqual(await stranger.ask(event, data), { success: false, message: "Show the slot's token first." });
  }
  for (const event of ["change_name", "new_feed", "remove_all_feeds", "command", "activate_slot", "deactivate_slot"]) {
    stranger.socket.emit(event, { slot: 1, newName: "Mallory", token: TOKEN, command: "hide", params: [] });
  }
  await stranger.ask("query_state");
  await undisturbed();
  await scene.notified("new_feed 1");
  assert.deepEqual(await scene.notifications(), ["new_feed 1"]);
});

test("script in names is escaped, and in annotations taken out", async (t) => {
  const { scene, receiver, sender } = await scenery(t);
  sender.socket.emit("change_name", { newName: `<img src=x onerror="alert('1')">\nremove_feed 1` });
  const escaped = "&lt;img src=x onerror=&quot;alert(&#039;1&#039;)&quot;&gt; remove_feed 1";
  await scene.notified(`custom_name 1 ${escaped}`);
  scene.order(`set_annotation 1 <b>Ada</b><img src=x onerror="alert(1)"><a href="javascript:alert(1)">x</a><svg onload=alert(1)>`);
  const { annotation } = await receiver.next("set_annotation");
  assert.ok(annotation.startsWith("<b>Ada</b>"), annotation);
  assert.doesNotMatch(annotation, /onerror|javascript|onload|svg/);
  assert.ok(!(await scene.notifications()).includes("remove_feed 1"), "no name is two lines");
});

test("who guesses tokens waits for answers, and the right one never does", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const guesser = await scene.connect();
  const answered = [];
  const guess = (token) => guesser.ask("sender_init", { slot: 1, token }).then(({ success }) => answered.push(success));
  const wrong = Array.from({ length: 23 }, (_, number) => guess(`guess ${number}`));
  await guess(TOKEN);
  assert.deepEqual(answered, [...Array(20).fill(false), true], "the right one overtakes what waits");
  await Promise.all(wrong);
  assert.ok(!scene.log.includes(TOKEN) && !scene.log.includes("guess 1"), "no token is logged");
  await undisturbed();
});

/** What stands for a Janus whose rooms have the pin 1234; its answers to pins wait for what `until` resolves to. */
async function janusWithPin(t, until) {
  const janus = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "janus-protocol" });
  t.after(() => janus.clients.forEach((client) => client.terminate()) ?? janus.close());
  janus.on("connection", (socket) => socket.on("message", async (data) => {
    const { janus: said, transaction, body } = JSON.parse(data);
    const answer = (answer) => socket.send(JSON.stringify({ transaction, ...answer }));
    if (said !== "message") return answer({ janus: "success", data: { id: 1 } });
    answer({ janus: "ack" });
    await until;
    const event = body.pin === "1234" ? { videoroom: "joined" } : { videoroom: "event", error_code: 433 };
    answer({ janus: "event", sender: 1, plugindata: { data: event } });
  }));
  await once(janus, "listening");
  return { janusWebSocketURL: `ws://127.0.0.1:${janus.address().port}` };
}

/** Somebody at the door. */
class Visitor {
  #socket;
  #asked = [];
  #onAnswer;

  /** `onAnswer` is told what each join is answered: its `videoroom`, or the door's code. */
  static async enter(t, scene, onAnswer) {
    const visitor = new Visitor();
    visitor.#onAnswer = onAnswer;
    visitor.#socket = new WebSocket(`${scene.url.replace("http", "ws")}/janus`, "janus-protocol");
    t.after(() => visitor.#socket.terminate());
    visitor.#socket.on("message", (data) => {
      const { transaction, ...answer } = JSON.parse(data);
      if (answer.janus !== "ack") visitor.#asked[transaction](answer);
    });
    await once(visitor.#socket, "open");
    await visitor.#ask({ janus: "create" });
    await visitor.#ask({ janus: "attach", session_id: 1, plugin: "janus.plugin.videoroom" });
    return visitor;
  }

  /** Shows pins, each when the one before is answered. */
  async showInTurn(pins) {
    for (const pin of pins) await this.show(pin);
  }

  async show(pin) {
    const body = { request: "join", ptype: "publisher", room: 1000, pin };
    const { error, plugindata } = await this.#ask({ janus: "message", session_id: 1, handle_id: 1, body });
    this.#onAnswer(error?.code ?? plugindata.data.videoroom);
  }

  #ask(message) {
    return new Promise((resolve) => {
      const transaction = `${this.#asked.push(resolve) - 1}`;
      this.#socket.send(JSON.stringify({ transaction, ...message }));
    });
  }
}

test("who guesses pins at the door waits for answers, and the right one never does", async (t) => {
  const scene = await Scene.open({ config: await janusWithPin(t) });
  t.after(() => scene.close());
  /** What was answered, in its order. */
  const answered = [];
  const enter = () => Visitor.enter(t, scene, (answer) => answered.push(answer));
  const wrong = (count) => Array(count).fill("event");
  // Pages that wait for a person to say the pin guess nothing, many as they may be.
  const waiting = await enter();
  await Promise.all(Array(30).fill("").map((pin) => waiting.show(pin)));
  assert.deepEqual(answered.splice(0), wrong(30));
  const guesser = await enter();
  const guessing = guesser.showInTurn(Array.from({ length: 22 }, (_, number) => `${number}`));
  await until("those that don't wait", () => answered.length === 20);
  await (await enter()).show("1234");
  await guessing;
  assert.deepEqual(answered, [...wrong(20), "joined", ...wrong(2)], "the right one overtakes what waits");
});

test("who shows many pins at once has one of them looked at, for as many pictures as he likes", async (t) => {
  let release;
  const scene = await Scene.open({ config: await janusWithPin(t, new Promise((resolve) => (release = resolve))) });
  t.after(() => scene.close());
  const answered = [];
  const guesser = await Visitor.enter(t, scene, (answer) => answered.push(answer));
  const shown = ["0", "0", "1", "2", "1234", "0", ""].map((pin) => guesser.show(pin));
  await until("those that are refused", () => answered.length === 3);
  assert.deepEqual(answered.splice(0), [403, 403, 403]);
  release();
  await Promise.all(shown);
  assert.deepEqual(answered.splice(0), Array(4).fill("event"));
  await guesser.show("1234");
  assert.deepEqual(answered, ["joined"]);
});

test("who floods is disconnected alone", async (t) => {
  const { scene, undisturbed } = await scenery(t);
  const flooder = await scene.connect();
  for (let number = 0; number < 1_000; number++) flooder.socket.emit("query_state", () => {});
  assert.equal(await flooder.next("disconnect"), "io server disconnect");
  // What is no event of a room floods as well.
  for (const frame of [`42["dance",{}]`, "43[]", "40/admin,"]) {
    const raw = await Raw.enter(scene);
    t.after(() => raw.socket.terminate());
    for (let number = 0; number < 1_000; number++) raw.socket.send(frame);
    // Where answers to all this fill what a socket may leave unread, nothing more is said to it.
    const isOver = () => raw.heard.includes("41") || raw.socket.readyState === WebSocket.CLOSED;
    await until("41, or the end of the connection", isOver);
  }
  await undisturbed();
});

test("a receiver that does not read is cut off, and costs no more than its queue", async (t) => {
  const { scene, receiver } = await scenery(t);
  const deaf = await Raw.enter(scene);
  deaf.socket.pause();
  const before = await resident(scene);
  const text = "x".repeat(16_000);
  // First as many as it may leave unread, or nearly so: it is gone in 10 s, by its pings.
  for (const orders of [240, ...Array(50).fill(50)]) {
    await scene.ordered(...Array.from({ length: orders }, () => `set_annotation 1 ${text}`));
    await receiver.toldUntilNow();
  }
  await scene.logged("a socket doesn't read, and is cut off");
  assert.ok((await resident(scene)) - before < 32 << 10, "what it did not read is not kept");
  assert.equal((await receiver.ask("query_state"))[1].feedId, 11);
  deaf.socket.terminate();
});

/** A room of a dozen feeds, each with a long annotation: its state has 190 kB. */
async function wordyScene(t) {
  const SLOTS = 12;
  const scene = await Scene.open({ config: { cameraSlots: SLOTS } });
  t.after(() => scene.close());
  const text = "x".repeat(16_000);
  for (let slot = 0; slot < SLOTS; slot++) {
    await scene.ordered(`activate_slot ${slot} ${TOKEN}`, `set_annotation ${slot} ${text}`);
    const sender = await scene.connect();
    assert.equal((await sender.ask("sender_init", { slot, token: TOKEN })).success, true);
    assert.equal((await sender.ask("set_feed_id", feed(slot))).success, true);
  }
  return scene;
}

test("a receiver that asks again and again without reading is cut off, before its queue is full", async (t) => {
  const scene = await wordyScene(t);
  const deaf = await Raw.enter(scene);
  deaf.socket.pause();
  const before = await resident(scene);
  // Fewer than it may leave unread, but 30 MB: more than the system keeps for it.
  for (let number = 0; number < 160; number++) deaf.socket.send(`42${number}["query_state"]`);
  await scene.logged("a socket doesn't read, and is cut off");
  assert.ok((await resident(scene)) - before < 16 << 10, "what it did not read is not kept");
  deaf.socket.terminate();
});

for (const transports of [["websocket"], ["polling"]]) {
  test(`a receiver that asks again and again and reads is never cut off: ${transports}`, async (t) => {
    const scene = await wordyScene(t);
    const receiver = await scene.connect({ library: "socket.io-client", transports });
    for (let times = 0; times < 100; times++) {
      assert.equal(Object.keys(await receiver.ask("query_state")).length, 12);
    }
    assert.ok(receiver.socket.connected);
    assert.ok(!scene.log.includes("a socket doesn't read"), scene.log);
  });
}

test(`${IDLE} idle sockets cost less than the original without any, and each little`, async (t) => {
  const { scene, receiver, sender } = await scenery(t);
  const before = await resident(scene);
  // Not all at once: who opens them answers pings meanwhile, for the receiver and the sender, too.
  const idle = [];
  while (idle.length < IDLE) idle.push(...(await Promise.all(Array.from({ length: 50 }, () => Raw.enter(scene)))));
  scene.order("hide 1");
  await receiver.next("command");
  await Promise.all(idle.map((raw) => raw.hears(`42["command"`)));
  const kib = await resident(scene);
  t.diagnostic(`${kib} KiB resident, ${before} before`);
  assert.ok(kib < ORIGINAL_KIB, `${kib} KiB`);
  assert.ok(kib - before < SOCKET_KIB * IDLE, `${kib} KiB, ${before} before`);
  assert.equal((await sender.ask("set_bitrate_limit", { bitrateLimit: 0 })).success, true);
  idle.forEach((raw) => raw.socket.terminate());
  await until("them to be gone", async () => (await readdir(`/proc/${scene.pid}/fd`)).length < IDLE / 2);
});

/** What the server has in memory, in KiB. */
async function resident(scene) {
  const status = await readFile(`/proc/${scene.pid}/status`, "utf8");
  return Number(status.match(/^VmRSS:\s+(\d+)/m)[1]);
}

for (const told of [{ args: ["--behind-proxy"] }, { config: { behindProxy: true } }]) {
  test(`an address that takes all its places leaves others theirs: ${JSON.stringify(told)}`, async (t) => {
    const MOST = 1024;
    const { scene, undisturbed } = await scenery(t, told);
    const begins = async (address) => {
      const headers = { "x-forwarded-for": address };
      const answer = await fetch(`${scene.url}/socket.io/?EIO=4&transport=polling`, { headers });
      return [answer.status, await answer.text()];
    };
    // Those that are never heard of again give their places back after 5 s, which all of them may take on a busy machine.
    const answers = [];
    const isRefused = ([status]) => status !== 200;
    while (!answers.some(isRefused)) answers.push(...await Promise.all(Array.from({ length: 64 }, () => begins("192.0.2.1"))));
    const first = answers.findIndex(isRefused);
    assert.ok(first >= MOST, `${first} of them had a place`);
    assert.deepEqual(answers[first], [429, "There are too many sockets of this address.\n"]);
    assert.equal((await begins("192.0.2.2"))[0], 200);
    await undisturbed();
  });
}
