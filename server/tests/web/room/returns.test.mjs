// Whatever is away for a while, everybody comes back by themselves.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "./browser.mjs";
import { ADMIN_KEY, Janus } from "./janus.mjs";
import { Relay } from "./relay.mjs";
import { ROOM } from "./server.mjs";
import { Stage, TOKEN, feed, live, moves, record, said, says } from "./stage.mjs";
import { Wire } from "./wire.mjs";

let stage, sender, receiver;

before(async () => {
  stage = await Stage.open();
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  [sender, receiver] = [await stage.sender(), await stage.receiver()];
  await live(sender);
  await moves(receiver, 0);
});

after(() => stage?.close());

test("after the server was stopped in good order everybody returns", async () => {
  assert.equal(await stage.server.end("SIGTERM"), 0);
  await feed(receiver, 0).waitFor({ state: "detached" });
  await stage.server.run();
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  await live(sender);
  await moves(receiver, 0);
});

test("a receiver whose connection breaks while it asks for the state comes back, also the next time", async () => {
  const page = await stage.receiver();
  const wire = await Wire.tap(page, /socket\.io/);
  wire.cutAt("query_state");
  await page.reload();
  await page.getByText("Room 1000", { exact: true }).waitFor();
  assert.equal(wire.said("query_state").length, 2);
  // It says so for half a second.
  await record(page, "link");
  wire.cut();
  await eventually(() => said(page), (texts) => texts.includes("Reconnecting…"));
  await page.getByText("Room 1000", { exact: true }).waitFor();
  await page.context().close();
});

test("a server that never answers is told as one that is not reached, and tried again", async () => {
  const page = await stage.senderPage({ slot: 2, token: "nobody's" });
  await page.route(/socket\.io\/\d/, () => {});
  await page.routeWebSocket(/socket\.io/, () => {});
  await page.reload();
  await record(page);
  await page.getByRole("button", { name: "Start camera" }).click();
  await eventually(() => said(page), (texts) => texts.includes("The server can’t be reached. Trying again…"));
  await page.context().close();
});

test("a page that is loaded again has its slot at once", async () => {
  await sender.reload();
  await sender.getByRole("button", { name: "Start camera" }).click();
  await live(sender);
  await moves(receiver, 0);
});

test("so does one whose network changed, before the server misses its old connection", async () => {
  stage.server.order("activate_slot 1 another-token");
  const relay = await Relay.start(stage.server.port);
  const page = await stage.browser.page(
    relay.through(stage.server.url("sender.html", { slot: 1, token: "another-token", pin: "none" })));
  await page.getByRole("button", { name: "Start camera" }).click();
  await live(page);
  await record(page);
  relay.lose();
  await eventually(() => said(page), (texts) => texts.includes("Your picture is being sent."));
  await moves(receiver, 1);
  assert.deepEqual((await said(page)).filter((text) => text.includes("slot is free")), []);
  await page.context().close();
  relay.close();
});

test("a sender whose room was forgotten publishes again, by the connection that it has", async () => {
  // Browsers are carried to another Janus than the one that the server looks after: nothing of theirs breaks.
  const theirs = await Janus.start();
  await theirs.ask({ request: "create", room: ROOM, admin_key: ADMIN_KEY, videocodec: "h264,vp8" });
  const apart = await Stage.open({ janusWebSocketURL: theirs.webSocketUrl });
  apart.server.order(`activate_slot 0 ${TOKEN}`);
  const [page, screen] = [await apart.senderPage(), await apart.receiver()];
  const events = await Wire.tap(page, /socket\.io/);
  await page.reload();
  await record(page);
  await page.getByRole("button", { name: "Start camera" }).click();
  await live(page);
  await moves(screen, 0);
  await apart.janus.kill();
  await feed(screen, 0).waitFor({ state: "detached" });
  await apart.janus.run();
  await eventually(() => events.said("set_feed_id"), ({ length }) => length === 2);
  await moves(screen, 0);
  await live(page);
  assert.equal(events.said("sender_init").length, 1);
  const sent = "Your picture is being sent.";
  assert.deepEqual(await said(page), ["Starting the camera. Allow it if the browser asks.", "Connecting…", sent, "Connecting…", sent]);
  assert.deepEqual(apart.browser.offences, []);
  await apart.close();
  await theirs.close();
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));
