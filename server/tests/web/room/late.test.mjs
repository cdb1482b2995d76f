// Where many pins or tokens were wrong the next wrong one is answered late. Pages then say what they would have at once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Stage, TOKEN, feed, live, says } from "./stage.mjs";
import { Wire } from "./wire.mjs";

const PIN = "1234";

let stage;

before(async () => {
  stage = await Stage.open({ janusRoomPin: PIN });
  stage.server.order(`activate_slot 0 ${TOKEN}`);
  stage.server.order("activate_slot 1 second");
  await live(await stage.sender({ pin: PIN }));
});

after(() => stage?.close());

test("a screen asks for the pin when it hears that its own is not the room's", async () => {
  const page = await stage.receiver({ pin: "4321" });
  await page.getByText("That is not the room’s PIN.").waitFor();
  const { janus, events } = await tapped(page);
  const verdict = janus.holdBack("433");
  await page.reload();
  await verdict.came;
  await passes(page, events);
  await feed(page, 0).getByText("Connecting…").waitFor();
  verdict.release();
  await page.getByRole("heading", { name: "This room has a PIN" }).waitFor();
  assert.equal(janus.said(`"join"`).length, 1, "it did not guess again");
  await page.getByLabel("Room PIN").fill(PIN);
  await page.getByRole("button", { name: "Watch" }).click();
  await page.waitForFunction(() => document.querySelector("video")?.videoWidth > 0);
});

test("a camera says that its pin is not the room's", async () => {
  const page = await stage.senderPage({ slot: 1, token: "second", pin: "4321" });
  const { janus, events } = await tapped(page);
  const verdict = janus.holdBack("433");
  await page.reload();
  await page.getByRole("button", { name: "Start camera" }).click();
  await verdict.came;
  await passes(page, events);
  await says(page, "Connecting…");
  verdict.release();
  await says(page, "That is not the room’s PIN.");
  assert.equal(janus.said(`"join"`).length, 1, "it did not guess again");
});

test("a camera says that its token is not the slot's", async () => {
  const page = await stage.senderPage({ slot: 1, token: "wrong", pin: PIN });
  const { events } = await tapped(page);
  const verdict = events.holdBack(`"success":false`);
  await page.reload();
  await page.getByRole("button", { name: "Start camera" }).click();
  await verdict.came;
  await passes(page, events);
  await says(page, "Connecting…");
  verdict.release();
  await page.locator("#status.refusal").waitFor();
  assert.equal(events.said("sender_init").length, 1, "it did not guess again");
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));

/** Takes a page's clock and its WebSockets, from when it is loaded again. */
async function tapped(page) {
  await page.clock.install();
  return { janus: await Wire.tap(page, /\/janus$/), events: await Wire.tap(page, /socket\.io/) };
}

/** Lets half a minute pass on a page's clock, in which the server goes on asking whether it is there. */
async function passes(page, events) {
  for (let seconds = 0; seconds < 32; seconds += 4) {
    await events.ping();
    await page.clock.fastForward(4_000);
  }
}
