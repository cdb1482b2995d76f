// Senders and receivers with the clients of originals and of ours, over each transport.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CLIENTS, Scene, TOKEN, feed, until } from "./scene.mjs";

const DEFAULT_GEOMETRY = { command: "set_geometry_relative_to_canvas", params: ["rb", "0", "0", "320", "240"] };
const SHOWN = { command: "show", params: [] };

for (const client of CLIENTS) {
  const name = `${client.library} over ${client.transports.join(" and ")}`;

  test(`${name}: a feed comes, is placed, hidden, named, and goes`, async (t) => {
    const scene = await Scene.open();
    t.after(() => scene.close());
    await scene.ordered(`activate_slot 1 ${TOKEN} <b>Ada</b>`);
    const receiver = await scene.connect(client);
    assert.deepEqual(await receiver.ask("query_state"), {});
    const sender = await scene.sender(client);

    const answer = await sender.ask("set_feed_id", feed(11, { customName: " <Ada> " }));
    assert.deepEqual(Object.keys(answer).sort(), ["controllerBitrateLimit", "message", "success"]);
    assert.equal(answer.success, true);
    assert.equal(answer.controllerBitrateLimit, 128_000);
    const told = { feedId: 11, visibility: SHOWN, geometry: DEFAULT_GEOMETRY, annotation: "<b>Ada</b>" };
    assert.deepEqual(await receiver.next("new_feed"), { slot: 1, ...told });
    assert.deepEqual(await receiver.ask("query_state"), { 1: told });

    await scene.ordered(
      "set_geometry_relative_to_window 1 lt 1 2 30 40 5", "hide 1", "show 1", "set_annotation 1 <i>Ada</i><script>x</script>",
      "remove_annotation 1", "set_bitrate_limit 1 64000",
    );
    const place = { command: "set_geometry_relative_to_window", params: ["lt", "1", "2", "30", "40", "5"] };
    assert.deepEqual(await receiver.toldUntilNow(), [
      ["command", { slot: 1, ...place }],
      ["command", { slot: 1, command: "hide", params: [] }],
      ["command", { slot: 1, command: "show", params: [] }],
      ["set_annotation", { slot: 1, annotation: "<i>Ada</i>" }],
      ["remove_annotation", { slot: 1 }],
    ]);
    assert.deepEqual(await sender.next("new_controller_bitrate_limit"), { bitrateLimit: 64_000 });
    const limited = await sender.ask("set_bitrate_limit", { bitrateLimit: 32_000 });
    assert.deepEqual(Object.keys(limited).sort(), ["message", "success"]);
    assert.equal(limited.success, true);
    sender.socket.emit("change_name", { newName: "Grace" });
    await scene.notified("custom_name 1 Grace");

    sender.close();
    assert.deepEqual(await receiver.next("remove_feed"), { slot: 1 });
    await scene.notified("remove_feed 1");
    assert.deepEqual(await scene.notifications(), [
      "custom_name 1 &lt;Ada&gt;", "new_feed 1", "custom_name 1 Grace", "remove_feed 1",
    ]);
  });

  test(`${name}: a sender that is sent away does not come back by itself`, async (t) => {
    const scene = await Scene.open();
    t.after(() => scene.close());
    await scene.ordered(`activate_slot 1 ${TOKEN}`);
    const receiver = await scene.connect(client);
    const sender = await scene.sender(client);
    await sender.ask("set_feed_id", feed(11));
    scene.order("deactivate_slot 1");
    assert.equal(await sender.next("disconnect"), "io server disconnect");
    assert.deepEqual(await receiver.next("remove_feed"), { slot: 1 });
    assert.deepEqual(await receiver.ask("query_state"), {});
    assert.equal(sender.socket.active, false, "it waits for nothing");
  });

  test(`${name}: everybody hears of the end, and waits for the next server`, async (t) => {
    const scene = await Scene.open();
    t.after(() => scene.close());
    await scene.ordered(`activate_slot 1 ${TOKEN}`);
    const receiver = await scene.connect(client);
    const sender = await scene.sender(client);
    await sender.ask("set_feed_id", feed(11));
    // And asks for more by then.
    await receiver.toldUntilNow();
    assert.equal(await scene.end("SIGTERM"), 0);
    await receiver.next("remove_all_feeds");
    assert.notEqual(await receiver.next("disconnect"), "io server disconnect");
    await until("the client to try again", () => receiver.socket.active);
  });
}

test("events of one socket are taken in order", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  for (const [index, client] of CLIENTS.entries()) {
    const sender = await scene.sender(client);
    sender.socket.emit("set_feed_id", feed(11));
    const names = Array.from({ length: 100 }, (_, name) => `${index}-${name}`);
    for (const newName of names) sender.socket.emit("change_name", { newName });
    await scene.notified(`custom_name 1 ${names.at(-1)}`);
    sender.close();
    await until("its end", async () => (await scene.notifications()).at(-1) === "remove_feed 1");
    const told = (await scene.notifications()).filter((line) => line.startsWith(`custom_name 1 ${index}-`));
    assert.deepEqual(told, names.map((name) => `custom_name 1 ${name}`));
  }
});

test("the same token and secret take the slot at once; another sender has to wait", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const receiver = await scene.connect();
  const before = await scene.sender(undefined, { resume: "mine" });
  await before.ask("set_feed_id", feed(11));
  const stranger = await scene.sender(undefined, { resume: "yours" });
  const refused = await stranger.ask("set_feed_id", feed(12));
  assert.deepEqual(refused, { success: false, message: "Another camera is in this slot already." });
  assert.equal((await receiver.next("new_feed")).feedId, 11);
  const again = await scene.sender(undefined, { resume: "mine" });
  await receiver.next("remove_feed");
  assert.equal(await before.next("disconnect"), "io server disconnect");
  assert.equal((await again.ask("set_feed_id", feed(13))).success, true);
  assert.equal((await receiver.next("new_feed")).feedId, 13);
});

test("a sender that vanishes without a word frees its slot when it misses its ping", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const receiver = await scene.connect();
  const sender = await scene.sender();
  await sender.ask("set_feed_id", feed(11));
  // Nothing that arrives is read any more, so that no ping is answered; the connection stays.
  sender.socket.io.engine.transport.ws._socket.pause();
  assert.deepEqual(await receiver.next("remove_feed"), { slot: 1 });
});

test("a ping comes every five seconds, and is waited for as long", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  const begun = await (await fetch(`${scene.url}/socket.io/?EIO=4&transport=polling`)).text();
  const { pingInterval, pingTimeout } = JSON.parse(begun.slice(1));
  assert.deepEqual([pingInterval, pingTimeout], [5_000, 5_000]);
});

test("a sender that asks for the feeds is told of them, too", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await scene.sender();
  await sender.ask("set_feed_id", feed(11));
  assert.equal((await sender.ask("query_state"))[1].feedId, 11);
  await scene.ordered("hide 1");
  assert.deepEqual(await sender.next("command"), { slot: 1, command: "hide", params: [] });
});

test("the bare path is the one room's, and another room's is nobody's", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  const bare = await scene.connect(undefined, { path: "/socket.io/" });
  assert.deepEqual(await bare.ask("query_state"), {});
  const other = scene.client(undefined, { path: "/socket.io/5001", reconnection: false });
  await other.next("connect_error");
});
