// Controllers that die, send garbage, or read nothing: the room goes on.

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { access, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { CLIENTS, Scene, TOKEN, feed, until, within } from "./scene.mjs";

/** More than waits for a pipe, each of several lines. */
const MORE_THAN_WAITS = 1_100;
/** More than waits for a receiver. */
const BURST = 1_000;

test("garbage on standard input is told in the log and costs nothing", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  scene.stdin.write(Buffer.from([0xff, 0xfe, 0x0a]));
  scene.stdin.write(`set_annotation 1 ${"a".repeat(1 << 20)}\n`);
  scene.stdin.write(`\n\n \t\r\n`);
  await scene.ordered(
    "dance", `activate_slot ${TOKEN} 1`, `activate_slot 9 ${TOKEN}`, `activate_slot 1 ${TOKEN}`, "set_bitrate_limit 1 500k",
    "edit_pin none",
  );
  for (const told of [
    "expected text in UTF-8", "a line of more than 65536 bytes is left out", 'but came "dance"',
    'set_bitrate_limit: "500k" counts as 500 bit/s', 'edit_pin: the pin is the word "none" now',
    "activate_slot: expected a slot's number, but came something else", "there is no slot 9: the room has 4, numbered from 0",
  ]) {
    assert.ok(scene.log.includes(told), told);
  }
  await scene.sender();
});

test("the room goes on without its controller", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await scene.sender();
  scene.stdin.end("hide 1");
  await scene.logged("standard input has ended; the room goes on");
  assert.equal((await sender.ask("set_feed_id", feed(11))).success, true);
  const receiver = await scene.connect();
  const { 1: shown } = await receiver.ask("query_state");
  assert.equal(shown.visibility.command, "hide", "its last words count without a line's end");
});

test("and with nobody at any of its pipes", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const [sender, receiver] = [await scene.sender(), await scene.connect()];
  scene.abandon();
  assert.equal((await sender.ask("set_feed_id", feed(11))).success, true);
  assert.equal((await receiver.next("new_feed")).feedId, 11);
  sender.close();
  await receiver.next("remove_feed");
  assert.equal(await scene.end("SIGTERM"), 0);
});

test("without any standard input the room goes on", async (t) => {
  const scene = await Scene.open({ stdin: "ignore" });
  t.after(() => scene.close());
  const receiver = await scene.connect();
  assert.deepEqual(await receiver.ask("query_state"), {});
});

test("a pipe that nobody reads holds nothing up, and drops the oldest once", async (t) => {
  const scene = await Scene.open({ pipe: true });
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  for (let feeds = 0; feeds < MORE_THAN_WAITS / 2; feeds += 50) {
    const sender = await scene.sender();
    for (let number = 0; number < 50; number++) {
      assert.equal((await sender.ask("set_feed_id", feed(11))).success, true);
    }
    const receiver = await scene.connect();
    assert.equal((await receiver.ask("query_state"))[1].feedId, 11);
    sender.close();
    await until("its end", async () => !(await receiver.ask("query_state"))[1]);
    receiver.close();
  }
  await scene.logged("notifications are dropped");
  assert.equal(scene.log.split("notifications are dropped").length, 2, "it is told once");

  // Who comes to read then gets what is left, and what comes from now on.
  const lines = await read(scene, 1_000);
  assert.equal(lines.at(-1), "remove_feed 1");
  await scene.logged("notifications are read again");
});

test("a pipe ends for its reader after what was to say, and goes on for the next", async (t) => {
  const scene = await Scene.open({ pipe: true });
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await scene.sender();
  for (const told of ["new_feed 1\n", "remove_feed 1\nnew_feed 1\n"]) {
    await sender.ask("set_feed_id", feed(11));
    let read = "";
    while (read.length < told.length) read += await within("the end", readFile(scene.notifyPath, "utf8"));
    assert.equal(read, told);
  }
});

test("notifications are appended to a file, beside the configuration where it says so", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  const path = join(scene.dir, "config.json");
  await writeFile(path, JSON.stringify({ port: 0, notifyPath: "told", janusRoom: 1000, janusURL: "http://127.0.0.1:9/janus" }));
  await writeFile(join(scene.dir, "told"), "before\n");
  const other = await Scene.open({ config: { notifyPath: "told" }, env: { CONFIG_PATH: path } });
  t.after(() => other.close());
  other.notifyPath = join(scene.dir, "told");
  await other.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await other.sender();
  await sender.ask("set_feed_id", feed(11));
  await other.notified("new_feed 1");
  assert.deepEqual(await other.notifications(), ["before", "new_feed 1"]);
  // Whoever reads it may take it away. It is not made, but waited for.
  await rename(other.notifyPath, `${other.notifyPath}.old`);
  sender.close();
  await other.logged("notifications can't be written");
  await assert.rejects(access(other.notifyPath));
  await writeFile(other.notifyPath, "");
  await other.notified("remove_feed 1");
  assert.deepEqual(await other.notifications(), ["remove_feed 1"]);
});

test("what can't be meant in the configuration has no effect, and is told", async (t) => {
  const config = { cameraSlots: "", janusBitrate: "fast", janusURL: "", notifyPath: "/nowhere/pipe" };
  const scene = await Scene.open({ config, env: { CONFIG_PATH: "/nowhere" } });
  t.after(() => scene.close());
  await scene.logged("janusURL: expected http://HOST:PORT/PATH");
  await scene.logged("/nowhere/pipe: notifications wait until it is there");
  for (const told of ["/nowhere: CONFIG_PATH names it, but it can't be read", "cameraSlots: expected a number", "janusBitrate: expected a number"]) {
    assert.ok(scene.log.includes(told), told);
  }
  await scene.ordered(`activate_slot 3 ${TOKEN}`, "activate_slot 4 no-such-slot");
  assert.ok(scene.log.includes("there is no slot 4: the room has 4"));
});

test("a burst of orders cuts no receiver off", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  await scene.ordered(`activate_slot 1 ${TOKEN}`);
  const sender = await scene.sender();
  await sender.ask("set_feed_id", feed(11));
  const receivers = await Promise.all(CLIENTS.map((client) => scene.connect(client)));
  await scene.ordered(...Array.from({ length: BURST }, (_, x) => `set_geometry_relative_to_window 1 lt ${x} 0 320 240`));
  for (const receiver of receivers) {
    let told = [];
    await until("all of it", async () => (told = told.concat(await receiver.toldUntilNow())).length >= BURST);
    assert.deepEqual(told.map(([event, { params }]) => [event, Number(params?.[1])]), Array.from({ length: BURST }, (_, x) => ["command", x]));
  }
});

test("a controller that reads neither output nor log holds nothing up", async (t) => {
  const scene = await Scene.open();
  t.after(() => scene.close());
  scene.readNothing();
  await writeAll(scene.stdin, "dance with a rather long line about it\n".repeat(20_000));
  scene.order(`activate_slot 1 ${TOKEN}`);
  const probe = await scene.connect();
  await until("the order to be carried out", async () => (await probe.ask("sender_init", { slot: 1, token: TOKEN })).success);
});

/** Reads so many lines of a pipe. */
async function read(scene, count) {
  const stream = createReadStream(scene.notifyPath);
  const lines = [];
  await within(`${count} lines`, (async () => {
    for await (const line of createInterface({ input: stream })) if (lines.push(line) === count) break;
  })());
  stream.destroy();
  return lines;
}

async function writeAll(stream, text) {
  await within("standard input to be read", new Promise((resolve) => stream.write(text, resolve)));
}
