// /janus: what passes to a real Janus, what does not, and what a browser is told when either is away.

import assert from "node:assert/strict";
import { on, once } from "node:events";
import { after, before, test } from "node:test";
import { WebSocket } from "ws";
import { eventually } from "./browser.mjs";
import { Janus } from "./janus.mjs";
import { ROOM, Server } from "./server.mjs";

const NO_SUCH_ROOM = 426;

let janus, server;

before(async () => {
  janus = await Janus.start();
  server = await Server.start(janus);
});

after(async () => {
  await server?.close();
  await janus?.close();
});

/** A connection by our door, and what comes over it. */
class Connection {
  #socket;
  #messages;
  #count = 0;

  static async open(options) {
    const connection = new Connection();
    connection.#socket = new WebSocket(`ws://127.0.0.1:${server.port}/janus`, "janus-protocol", options);
    connection.#messages = on(connection.#socket, "message");
    connection.closed = once(connection.#socket, "close").then(([code, reason]) => ({ code, reason: String(reason) }));
    await once(connection.#socket, "open");
    return connection;
  }

  /** Resolves to Janus' answer; for a plugin's message to its event. */
  async ask(message) {
    const transaction = `t${++this.#count}`;
    this.#socket.send(JSON.stringify({ transaction, ...this.ids, ...message }));
    for (;;) {
      const { value } = await this.#messages.next();
      const answer = JSON.parse(value[0]);
      const isLast = answer.janus !== "ack" || message.janus === "keepalive";
      if (answer.transaction === transaction && isLast) return answer;
    }
  }

  send(text) {
    this.#socket.send(text);
  }

  close() {
    this.#socket.terminate();
  }

  /** Makes a session and a handle. */
  async begin() {
    const session = await this.ask({ janus: "create" });
    this.ids = { session_id: session.data.id };
    const handle = await this.ask({ janus: "attach", plugin: "janus.plugin.videoroom" });
    this.handle = { handle_id: handle.data.id };
  }

  async askRoom(body) {
    return this.ask({ janus: "message", ...this.handle, body });
  }
}

test("a page's conversation with Janus passes", async () => {
  const connection = await Connection.open();
  await connection.begin();
  assert.equal((await connection.ask({ janus: "keepalive" })).janus, "ack");
  const join = () => connection.askRoom({ request: "join", ptype: "publisher", room: ROOM });
  const joined = await eventually(join, ({ plugindata }) => plugindata.data.error_code !== NO_SUCH_ROOM);
  assert.equal(joined.plugindata.data.videoroom, "joined");
  assert.equal((await connection.ask({ janus: "detach", ...connection.handle })).janus, "success");
  connection.close();
});

test("what administers is refused in Janus' own form, and the connection goes on", async () => {
  const connection = await Connection.open();
  await connection.begin();
  for (const body of [
    { request: "create", room: 1234 }, { request: "destroy", room: ROOM, secret: "default" },
    { request: "kick", room: ROOM, secret: "default", id: 1 }, { request: "join", ptype: "publisher", room: 1234 },
    { request: "exists", room: ROOM }, { request: "listparticipants", room: ROOM },
    { request: "configure", record: true, filename: "/tmp/recorded" },
  ]) {
    const { janus: kind, error } = await connection.askRoom(body);
    assert.deepEqual([kind, error.code], ["error", 403], JSON.stringify(body));
  }
  const { error } = await connection.ask({ janus: "info" });
  assert.equal(error.code, 453);
  assert.equal((await connection.ask({ janus: "keepalive" })).janus, "ack");
  connection.close();
});

test("a session is its connection's alone", async () => {
  const [one, other] = [await Connection.open(), await Connection.open()];
  await one.begin();
  other.ids = one.ids;
  assert.equal((await other.ask({ janus: "keepalive" })).error.code, 458);
  one.close();
  other.close();
});

test("another site's page is refused", async () => {
  const [, response] = await refused({ origin: "https://evil.example" });
  assert.equal(response.statusCode, 403);
  (await Connection.open({ origin: `http://127.0.0.1:${server.port}` })).close();
});

test("bytes and long messages end the connection", async () => {
  const [bytes, long] = [await Connection.open(), await Connection.open()];
  bytes.send(Buffer.from("{}"));
  assert.equal((await bytes.closed).code, 1003);
  long.send(JSON.stringify({ janus: "create", transaction: "t".repeat(100_000) }));
  assert.equal((await long.closed).code, 1009);
});

test("a browser is told that Janus went, and that it is away", async () => {
  const connection = await Connection.open();
  await connection.begin();
  await janus.kill();
  assert.deepEqual(await connection.closed, { code: 1013, reason: "The video server ended the connection." });
  const next = await Connection.open();
  assert.deepEqual(await next.closed, { code: 1013, reason: "The video server is away." });
  await janus.run();
  await (await Connection.open()).begin();
});

test("a browser is told that the server restarts", async () => {
  const connection = await Connection.open();
  await connection.begin();
  assert.equal(await server.end("SIGTERM"), 0);
  assert.deepEqual(await connection.closed, { code: 1001, reason: "The server is restarting." });
});

async function refused(options) {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/janus`, "janus-protocol", options);
  return once(socket, "unexpected-response");
}
