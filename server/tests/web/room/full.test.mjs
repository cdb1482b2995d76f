// A room that is full, with a real Janus: a camera that comes back finds its own place taken by what it was.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Relay } from "./relay.mjs";
import { Stage, TOKEN, feed, live, moves, record, said, says } from "./stage.mjs";

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
  await says(first, "This camera was ended by the room, or goes on elsewhere.");
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

test("a camera whose network died finds its place when it is back, though Janus has noticed nothing", async () => {
  stage.server.order("deactivate_slot 0");
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  await feed(receiver, 0).waitFor({ state: "detached" });
  const relay = await Relay.start(stage.server.port);
  const page = await stage.browser.page(relay.through(stage.server.url("sender.html", { slot: 0, token: TOKEN, pin: "none" })));
  await page.getByRole("button", { name: "Start camera" }).click();
  await live(page);
  await moves(receiver, 0);
  await record(page);
  // What would tell Janus is lost, too.
  await page.evaluate(() => (RTCPeerConnection.prototype.close = () => {}));
  relay.die();
  await feed(receiver, 0).waitFor({ state: "detached" });
  relay.revive();
  await live(page);
  await moves(receiver, 0);
  assert.deepEqual((await said(page)).filter((text) => /on already|slot is free/.test(text)), []);
  await page.context().close();
  relay.close();
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));
