// Pictures by way of a TURN server of Janus' own, with a real coturn.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Stage, TOKEN, live, moves } from "./stage.mjs";
import { Turn, close, janusWithTurn } from "./turn.mjs";

let turn, stage, open;

before(async () => {
  turn = await Turn.start();
  open = await close();
  stage = await Stage.open({}, await janusWithTurn());
  stage.server.order(`activate_slot 0 ${TOKEN}`);
});

after(async () => {
  await stage?.close();
  await open?.();
  await turn?.close();
});

test("pictures go by Janus' TURN server where nothing else reaches Janus", async () => {
  const sender = await stage.sender();
  await live(sender);
  const receiver = await stage.receiver();
  await moves(receiver, 0);
  for (const page of [sender, receiver]) assert.equal(await wayOf(page), "relay");
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));

// Both pages may have the camera, and so tell their addresses: docs/janus says why it takes that.
/** The kind of Janus' candidate that a page's pictures go to or come from. */
const wayOf = (page) => page.evaluate(async () => {
  const report = [...(await peers.at(-1).getStats()).values()];
  const pair = report.find(({ type, nominated, state }) => type === "candidate-pair" && nominated && state === "succeeded");
  return report.find(({ id }) => id === pair.remoteCandidateId).candidateType;
});
