// Rooms in `serve`: made and driven by people who are signed in, kept over restarts, in a real Janus.

import assert from "node:assert/strict";
import { on, once } from "node:events";
import { test } from "node:test";
import { WebSocket } from "ws";
import { ADMIN_KEY, Janus } from "../web/room/janus.mjs";
import { CLIENTS, connectTo, feed, until } from "./scene.mjs";
import { Serving } from "./serving.mjs";

const WRONG_PIN = 433;

/** Joins these rooms through the server, as a page without their pins does: what each says. */
async function asked(t, serving, rooms) {
  const socket = new WebSocket(`${serving.url.replace("http", "ws")}/janus`, "janus-protocol");
  t.after(() => socket.terminate());
  const messages = on(socket, "message");
  await once(socket, "open");
  const ask = async (message) => {
    socket.send(JSON.stringify({ transaction: "t", ...message }));
    for (;;) {
      const answer = JSON.parse((await messages.next()).value[0]);
      if (answer.janus !== "ack") return answer;
    }
  };
  const session = { session_id: (await ask({ janus: "create" })).data.id };
  const attached = await ask({ janus: "attach", plugin: "janus.plugin.videoroom", ...session });
  const answers = [];
  for (const room of rooms) {
    const body = { request: "join", ptype: "publisher", room, pin: "" };
    const { error, plugindata } = await ask({ janus: "message", ...session, handle_id: attached.data.id, body });
    answers.push(error?.code ?? plugindata.data.error_code);
  }
  return answers;
}

async function janusFor(t) {
  const janus = await Janus.start();
  t.after(() => janus.close());
  return janus;
}

async function servingOf(t, janus) {
  const serving = await Serving.open(janus);
  t.after(() => serving.close());
  await serving.signIn();
  return serving;
}

async function numbers(janus) {
  const { list } = await janus.ask({ request: "list", admin_key: ADMIN_KEY });
  return list.map(({ room }) => room).sort();
}

function connect(t, serving, number, client) {
  return connectTo(t, serving.url, { path: `/socket.io/${number + 4000}`, ...client });
}

test("pages reach Janus through the server, in its own rooms alone", async (t) => {
  const janus = await janusFor(t);
  await janus.ask({ request: "create", room: 7, admin_key: ADMIN_KEY });
  const serving = await servingOf(t, janus);
  const { number } = await serving.ask("POST", "", { name: "Lecture" });
  await until("Janus to keep it", async () => (await serving.ask("GET", "")).every(({ kept }) => kept));
  assert.deepEqual(await asked(t, serving, [number, 7]), [WRONG_PIN, 403]);
});

for (const client of CLIENTS.filter(({ library }) => library === "socket.io-client")) {
  test(`a room is made, driven and removed, over ${client.transports.join(" and ")}`, async (t) => {
    const janus = await janusFor(t);
    const serving = await servingOf(t, janus);
    const { number, pin } = await serving.ask("POST", "", { name: "Lecture" });
    const other = await serving.ask("POST", "", { name: "Seminar" });
    assert.ok(pin);
    await until("Janus to keep both", async () => (await serving.ask("GET", "")).every(({ kept }) => kept));
    assert.deepEqual(await numbers(janus), [number, other.number]);

    const { slots } = await serving.ask("POST", `/${number}/slots/1/activate`, { annotation: "<i>Ada</i>" });
    const { token } = slots[1];
    const receiver = await connect(t, serving, number, client);
    const sender = await connect(t, serving, number, client);
    assert.equal((await sender.ask("sender_init", { slot: 1, token })).success, true);
    assert.equal((await sender.ask("set_feed_id", feed(11, { customName: "Ada" }))).success, true);
    assert.equal((await receiver.next("new_feed")).annotation, "<i>Ada</i>");
    const shown = await serving.ask("GET", `/${number}`);
    assert.equal(shown.slots[1].feed, 11);
    assert.equal(shown.slots[1].name_html, "Ada");

    const stranger = await connect(t, serving, other.number, client);
    assert.equal((await stranger.ask("sender_init", { slot: 1, token })).success, false, "a token is one room's");
    assert.deepEqual(await stranger.ask("query_state"), {});

    await serving.ask("POST", `/${number}/slots/1/visibility`, { visible: false });
    assert.deepEqual(await receiver.next("command"), { slot: 1, command: "hide", params: [] });
    await serving.ask("POST", `/${number}/slots/1/deactivate`, {});
    assert.equal(await sender.next("disconnect"), "io server disconnect");
    await receiver.next("remove_feed");

    await serving.ask("DELETE", `/${number}`);
    await receiver.next("remove_all_feeds");
    await receiver.next("disconnect");
    await until("Janus to be rid of it", async () => !(await numbers(janus)).includes(number));
    assert.deepEqual(await stranger.ask("query_state"), {}, "the other room goes on");
  });
}

test("rooms, tokens and places outlive the server, and its end takes the rooms out of Janus", async (t) => {
  const janus = await janusFor(t);
  const serving = await servingOf(t, janus);
  const { number } = await serving.ask("POST", "", { name: "Lecture" });
  const place = { relative_to: "window", params: ["lt", "1", "2", "30", "40"] };
  await serving.ask("POST", `/${number}/slots/1/geometry`, place);
  const before = await serving.ask("POST", `/${number}/slots/1/activate`, { token: "t0ken" });
  await until("Janus to keep it", async () => (await serving.ask("GET", `/${number}`)).kept);
  const receiver = await connect(t, serving, number);
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    const code = await serving.end(signal);
    if (signal === "SIGTERM") {
      assert.equal(code, 0);
      await receiver.next("remove_all_feeds");
      assert.deepEqual(await numbers(janus), []);
    }
    await serving.start();
    await receiver.next("connect");
    await until("Janus to keep it", async () => (await serving.ask("GET", `/${number}`)).kept);
    const { as_of, ...now } = await serving.ask("GET", `/${number}`);
    assert.deepEqual({ as_of: before.as_of, ...now }, { ...before, kept: true });
    const sender = await connect(t, serving, number);
    assert.equal((await sender.ask("sender_init", { slot: 1, token: "t0ken" })).success, true);
    sender.close();
  }
});
