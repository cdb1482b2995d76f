// A room that is full, with a real Janus: a camera that comes back finds its own place taken by what it was.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Stage, TOKEN, feed, live, moves, says } from "./stage.mjs";

let stage, receiver, holder;

before(async () => {
  stage = await Stage.open({ cameraSlots: 1 });
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  receiver = await stage.receiver();
});

after(() => stage?.close());

test("the same token and secret take the only place while the old connections are still open", async () => {
  const first = await stage.sender();
  await live(first);
  await moves(receiver, 0);
  const secrets = await first.evaluate(() => Object.entries(sessionStorage));
  assert.ok(secrets.length > 0, "it keeps its secret");
  const second = await stage.senderPage();
  await second.evaluate((secrets) => secrets.forEach(([key, secret]) => sessionStorage.setItem(key, secret)), secrets);
  await second.reload();
  await second.getByRole("button", { name: "Start camera" }).click();
  await live(second);
  await says(first, "This camera was ended by the room.");
  await feed(receiver, 0).waitFor();
  await moves(receiver, 0);
  holder = second;
});

test("somebody else waits until it is free, and is told so", async () => {
  const other = await stage.sender();
  await says(other, "All cameras of this room are on already. Trying again as soon as the slot is free…");
  await holder.getByRole("button", { name: "Stop camera" }).click();
  await live(other);
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));
