// The room in a real Janus: made, kept over its restarts, changed as ordered, and taken out at the end.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { FakeJanus } from "./fake_janus.mjs";
import { ADMIN_KEY, Janus } from "../web/room/janus.mjs";
import { ROOM, Scene, TOKEN, feed, until, within } from "./scene.mjs";

const { WebSocket, WebSocketServer } = createRequire(new URL("../../../tests/package.json", import.meta.url))("ws");

/** A room that is to be there within so long after its Janus is. */
const BACK_MS = 10_000;

async function withJanus(t, options = {}) {
  const janus = await Janus.start();
  t.after(() => janus.close());
  const scene = await Scene.open({ ...options, config: { janusURL: janus.url, janusAdminKey: ADMIN_KEY, ...options.config } });
  t.after(() => scene.close());
  return { janus, scene };
}

const kept = (scene) => scene.logged(`room ${ROOM}: Janus keeps it`);

/** The room as Janus lists it; nothing where it has none. */
async function listed(janus) {
  const { list } = await janus.ask({ request: "list", admin_key: ADMIN_KEY });
  return list.find(({ room }) => room === ROOM);
}

test("the room is made as it is configured, and taken out at the end", async (t) => {
  const { janus, scene } = await withJanus(t, { config: { cameraSlots: 7, janusBitrate: 96_000, janusRoomPin: "1234" } });
  await kept(scene);
  const room = await listed(janus);
  assert.equal(room.max_publishers, 7);
  assert.equal(room.bitrate, 96_000);
  assert.equal(room.pin_required, true);
  assert.deepEqual([...room.videocodec.split(",")].sort(), ["h264", "vp8"]);
  assert.equal(await scene.end("SIGTERM"), 0);
  assert.equal(await listed(janus), undefined);
  assert.ok(!scene.log.includes(ADMIN_KEY) && !scene.log.includes("1234"), "no secret is logged");
});

test("--vp8_only makes the original's room", async (t) => {
  const { janus, scene } = await withJanus(t, { args: ["--vp8_only"] });
  await kept(scene);
  assert.equal((await listed(janus)).videocodec, "vp8");
});

test("an old room of the same number gives way", async (t) => {
  const { janus, scene } = await withJanus(t);
  await kept(scene);
  await scene.end("SIGKILL");
  assert.ok(await listed(janus), "nobody took it out");
  const config = { janusURL: janus.url, janusAdminKey: ADMIN_KEY, cameraSlots: 2 };
  const next = await Scene.open({ config });
  t.after(() => next.close());
  await kept(next);
  assert.equal((await listed(janus)).max_publishers, 2);
});

test("a restart of Janus is survived: receivers are told, ours asked to publish again, originals cut off", async (t) => {
  const { janus, scene } = await withJanus(t);
  await kept(scene);
  await scene.ordered(`activate_slot 1 ${TOKEN}`, "activate_slot 2 other-token");
  const receiver = await scene.connect();
  const ours = await scene.sender(undefined, { resume: "mine" });
  await ours.ask("set_feed_id", feed(11));
  // As many transports as an original may have.
  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    const original = await scene.connect({ library: "socket.io-client-3", transports });
    await original.ask("sender_init", { slot: 2, token: "other-token" });
    await original.ask("set_feed_id", feed(12));
    const before = scene.log.split("Janus keeps it").length;
    await janus.kill();
    await receiver.next("remove_all_feeds");
    assert.deepEqual(await receiver.ask("query_state"), {});
    await janus.run();
    const began = Date.now();
    await until("the room", () => scene.log.split("Janus keeps it").length > before);
    assert.ok(Date.now() - began < BACK_MS, `it took ${Date.now() - began} ms`);
    assert.ok(await listed(janus));
    await ours.next("publish_again");
    assert.equal((await ours.ask("set_feed_id", feed(21))).success, true);
    assert.notEqual(await original.next("disconnect"), "io server disconnect");
    await original.connected();
    original.close();
  }
  assert.equal(ours.socket.connected, true);
});

test("a room that somebody took out of Janus is made again", async (t) => {
  const { janus, scene } = await withJanus(t);
  await kept(scene);
  await janus.ask({ request: "destroy", room: ROOM, secret: "default" });
  await scene.logged("somebody took it out");
  await until("the room", () => listed(janus));
});

test("another pin counts at once, and after a restart of Janus", async (t) => {
  const { janus, scene } = await withJanus(t);
  await kept(scene);
  assert.equal((await listed(janus)).pin_required, false);
  scene.order("edit_pin 4321");
  await until("the pin", async () => (await listed(janus)).pin_required);
  await janus.kill();
  await scene.logged("Janus doesn't keep it");
  await janus.run();
  await until("the room", () => listed(janus));
  assert.equal((await listed(janus)).pin_required, true);
});

test("Janus may come later, and nothing of Socket.IO waits for it", async (t) => {
  const { janus, scene } = await withJanus(t);
  await kept(scene);
  await scene.end("SIGTERM");
  await janus.kill();
  const next = await Scene.open({ config: { janusURL: janus.url, janusAdminKey: ADMIN_KEY } });
  t.after(() => next.close());
  await next.logged("it can't be reached");
  await next.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await next.sender();
  assert.equal((await sender.ask("set_feed_id", feed(11))).success, true);
  await janus.run();
  await kept(next);
});

test("what Janus refuses fails no acknowledgement and is told in the log", async (t) => {
  const { scene } = await withJanus(t);
  await kept(scene);
  await scene.ordered(`activate_slot 1 ${TOKEN}`, "set_bitrate_limit 1 64000");
  const sender = await scene.sender();
  assert.equal((await sender.ask("set_feed_id", feed(11))).success, true);
  assert.match(await scene.logged("Janus didn't do what it was asked"), /it says 458/);
});

test("a Janus that hangs, babbles or floods is waited for", async (t) => {
  for (const answer of [
    () => {},
    (response) => response.end("no JSON"),
    (response) => response.end("x".repeat(1 << 20)),
    (response) => response.writeHead(500).end(),
    (response) => response.socket.destroy(),
  ]) {
    const janus = createServer((_, response) => answer(response)).listen(0, "127.0.0.1");
    t.after(() => janus.closeAllConnections() ?? janus.close());
    await until("its port", () => janus.address());
    const scene = await Scene.open({ config: { janusURL: `http://127.0.0.1:${janus.address().port}/janus` } });
    t.after(() => scene.close());
    await scene.logged("no answer");
    const receiver = await scene.connect();
    assert.deepEqual(await receiver.ask("query_state"), {});
    assert.equal(await scene.end("SIGTERM"), 0);
  }
});

test("of what is wished while Janus is slow the newest is told", async (t) => {
  const janus = await FakeJanus.start(t);
  const scene = await Scene.open({ config: { janusURL: janus.url } });
  t.after(() => scene.close());
  await kept(scene);
  await scene.ordered(`activate_slot 1 ${TOKEN}`, "set_bitrate_limit 1 0");
  const sender = await scene.sender();
  let release;
  const released = new Promise((resolve) => (release = resolve));
  janus.until = ({ request }) => request === "configure" && released;
  await sender.ask("set_feed_id", feed(11));
  const configured = () => janus.asked.filter(({ request }) => request === "configure").map(({ bitrate }) => bitrate);
  await until("Janus to be asked", () => configured().length === 1);
  for (let bitrate = 1; bitrate <= 150; bitrate++) sender.socket.emit("set_bitrate_limit", { bitrateLimit: bitrate });
  await sender.ask("set_bitrate_limit", { bitrateLimit: 151 });
  await scene.ordered("edit_pin 1", "edit_pin 9999");
  release();
  await until("the newest", () => configured().at(-1) === 151);
  assert.ok(configured().length <= 3, `${configured()}`);
  assert.deepEqual(janus.asked.filter(({ request }) => request === "edit").map(({ new_pin: pin }) => pin), ["9999"]);
});

test("a room that is nearly made when the process has to end is taken out, too", async (t) => {
  const janus = await FakeJanus.start(t);
  let release, asked;
  const released = new Promise((resolve) => (release = resolve));
  const isAsked = new Promise((resolve) => (asked = resolve));
  janus.until = ({ request }) => request === "create" && (asked(), released);
  const scene = await Scene.open({ config: { janusURL: janus.url } });
  t.after(() => scene.close());
  await within("the room to be asked for", isAsked);
  const ended = scene.end("SIGTERM");
  await scene.logged("SIGTERM: ending");
  release();
  assert.equal(await ended, 0);
  assert.deepEqual(janus.asked.map(({ request }) => request), ["destroy", "create", "destroy"]);
  assert.equal(janus.ended, 1);
});

test("a Janus that is away is told once, however long it is", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  const tries = () => scene.log.split("\n").filter((line) => line.includes("Janus doesn't keep it"));
  await until("more tries", () => tries().length >= 4);
  assert.equal(tries().filter((line) => line.includes("WARN")).length, 1);
});

test("whatever signal ends the room takes it out of Janus", async (t) => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
    const janus = await FakeJanus.start(t);
    const scene = await Scene.open({ config: { janusURL: janus.url } });
    t.after(() => scene.close());
    await kept(scene);
    assert.equal(await scene.end(signal), 0, signal);
    assert.deepEqual(janus.asked.map(({ request }) => request), ["destroy", "create", "destroy"], signal);
  }
});

test("a lack of open files costs no room", async (t) => {
  const janus = await FakeJanus.start(t);
  const scene = await Scene.open({ files: 80, config: { janusURL: janus.url } });
  t.after(() => scene.close());
  await kept(scene);
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const receiver = await scene.connect();
  const sender = await scene.sender();
  await sender.ask("set_feed_id", feed(11));
  await receiver.next("new_feed");
  // No more files come and go by themselves.
  await scene.notified("new_feed 1");
  const { hostname, port } = new URL(scene.url);
  const strangers = Array.from({ length: 100 }, () => connect(port, hostname).on("error", () => {}));
  t.after(() => strangers.forEach((stranger) => stranger.destroy()));
  await scene.logged("no connection could be accepted");
  const { looks } = janus;
  const made = janus.asked.length;
  await until("more looks, or the end of patience", () => janus.looks > looks + 3 || scene.log.includes("Janus doesn't keep"));
  assert.deepEqual(await receiver.toldUntilNow(), []);
  assert.equal(janus.asked.length, made, "it is not made again");
  const warnings = scene.log.split("\n").filter((line) => /WARN.*no connection could be accepted/.test(line));
  assert.equal(warnings.length, 1, "it is told once");
});

test("Janus may speak TLS, with a certificate that the machine trusts", async (t) => {
  const { file, ...certificates } = await certified(t);
  const janus = await FakeJanus.start(t, certificates);
  for (const [env, told] of [[{ SSL_CERT_FILE: file }, "Janus keeps it"], [{}, "invalid peer certificate"]]) {
    const scene = await Scene.open({ env, config: { janusURL: janus.url } });
    t.after(() => scene.close());
    await scene.logged(told);
  }
});

test("browsers reach a Janus whose WebSockets are behind TLS, where the machine trusts its certificate", async (t) => {
  const { file, key, cert } = await certified(t);
  const server = createTlsServer({ key, cert });
  const janus = new WebSocketServer({ server, handleProtocols: () => "janus-protocol" });
  t.after(() => janus.clients.forEach((client) => client.terminate()) ?? server.close());
  janus.on("connection", (socket) => socket.on("message", (text) => {
    const { transaction } = JSON.parse(text);
    socket.send(JSON.stringify({ janus: "success", transaction, data: { id: 7 } }));
  }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address();
  /** What a browser is told that wants a session: Janus' answer, or why it is sent away. */
  const answer = async (env, host) => {
    const scene = await Scene.open({ env, config: { janusWebSocketURL: `wss://${host}:${port}` } });
    t.after(() => scene.close());
    const browser = new WebSocket(`${scene.url.replace("http", "ws")}/janus`, "janus-protocol");
    const told = Promise.race([once(browser, "message"), once(browser, "close")]);
    browser.on("open", () => browser.send(JSON.stringify({ janus: "create", transaction: "t" })));
    const [said] = await told;
    browser.terminate();
    return { said, scene };
  };
  const { said } = await answer({ SSL_CERT_FILE: file }, "localhost");
  assert.equal(JSON.parse(said).data.id, 7);
  for (const [env, host] of [[{}, "localhost"], [{ SSL_CERT_FILE: file }, "127.0.0.1"]]) {
    const { said, scene } = await answer(env, host);
    assert.equal(said, 1013, "it may try again later");
    await scene.logged("janus can't be reached at wss:");
    assert.match(scene.log, /janus can't be reached at wss:.*invalid peer certificate/);
  }
});

/** A certificate of localhost, its key, and the file that it is in. */
async function certified(t) {
  const dir = await mkdtemp(join(tmpdir(), "cloudtalker-tls-"));
  t.after(() => rm(dir, { recursive: true }));
  const [key, file] = ["key.pem", "cert.pem"].map((name) => join(dir, name));
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  execFileSync("openssl", ["req", "-x509", ...kind, "-keyout", key, "-out", file, ...names], { stdio: "ignore" });
  return { key: await readFile(key), cert: await readFile(file), file };
}
