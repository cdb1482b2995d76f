// A room as people have it: cameras in one page, screens in the other, a controller that says what is to be seen.

import assert from "node:assert/strict";
import { after, before, test as nodeTest } from "node:test";
import { eventually, figures } from "./browser.mjs";
import { SCREEN, SCREENSHOTS, Stage, TOKEN, feed, live, moves, record, said, says, stands } from "./stage.mjs";
import { Wire } from "./wire.mjs";

let stage, sender, arranged, grid;
const order = (line) => stage.server.order(line);
const told = (line) => eventually(() => stage.server.notifications(), (lines) => lines.includes(line));

before(async () => {
  stage = await Stage.open();
  [arranged, grid] = [await stage.receiver({ view: "arranged" }), await stage.receiver()];
});

after(() => stage?.close());

test("an empty room says so, and to who can't see it once", async () => {
  await grid.getByRole("status").filter({ hasText: "No camera is sending yet." }).waitFor();
  await record(grid, "nothing");
  await grid.evaluate(() => dispatchEvent(new Event("resize")));
  assert.deepEqual(await said(grid), []);
  await grid.getByText("Room 1000", { exact: true }).waitFor();
});

test("a camera in a slot is seen on every screen", async () => {
  order(`activate_slot 0 ${TOKEN}`);
  // Under the usual limit the encoder may send a smaller picture.
  order("set_bitrate_limit 0 1000000");
  sender = await stage.sender({ customNameAllowed: "Ada" });
  await live(sender);
  for (const receiver of [arranged, grid]) await moves(receiver, 0);
  await arranged.waitForFunction(() => {
    const { videoWidth, videoHeight } = document.querySelector("video");
    return videoWidth === 640 && videoHeight === 480;
  });
  await told("new_feed 0");
  await told("custom_name 0 Ada");
});

test("alone in the grid it is as large as the window allows, and in its middle", async () => {
  const { x, y, width, height } = await feed(grid, 0).boundingBox();
  const [across, down] = [Math.abs(2 * x + width - SCREEN.width), Math.abs(2 * y + height - SCREEN.height)];
  assert.ok(across < 2 && down < 2 && height > 0.95 * SCREEN.height, `${x} ${y} ${width} ${height}`);
});

test("the picture has its usual place, and then the one that it is given", async () => {
  await stands(arranged, 0, { x: SCREEN.width - 320, y: SCREEN.height - 240, width: 320, height: 240 });
  order("set_geometry_relative_to_window 0 lt 40 30 480 360 5");
  await stands(arranged, 0, { x: 40, y: 30, width: 480, height: 360 });
  assert.equal(await feed(arranged, 0).evaluate((node) => getComputedStyle(node).zIndex), "105");
  order("set_geometry_relative_to_window 0 rb 40 30 480 360");
  await stands(arranged, 0, { x: SCREEN.width - 520, y: SCREEN.height - 390, width: 480, height: 360 });
});

test("who comes later finds everything as it is", async () => {
  order("set_annotation 0 <div>Lecture hall</div>");
  await feed(arranged, 0).getByText("Lecture hall").waitFor();
  const later = await stage.receiver({ view: "arranged" });
  await moves(later, 0);
  await stands(later, 0, { x: SCREEN.width - 520, y: SCREEN.height - 390, width: 480, height: 360 });
  await feed(later, 0).getByText("Lecture hall").waitFor();
  await later.context().close();
});

test("an annotation may be styled, and stays within its picture", async () => {
  const style = "position: absolute; bottom: 0; width: 100%; background: rgb(0, 0, 90); color: white";
  order(`set_annotation 0 <div style="${style}">Hall 3</div>`);
  const note = feed(arranged, 0).getByText("Hall 3");
  await note.waitFor();
  const [within, around] = [await note.boundingBox(), await feed(arranged, 0).boundingBox()];
  assert.equal(within.width, around.width);
  assert.equal(within.y + within.height, around.y + around.height);
  assert.equal(await note.evaluate((node) => getComputedStyle(node).backgroundColor), "rgb(0, 0, 90)");
  order("remove_annotation 0");
  await note.waitFor({ state: "detached" });
});

test("two cameras lie over each other as their z says", async () => {
  order("activate_slot 1 another-token");
  const other = await stage.sender({ slot: 1, token: "another-token" });
  await live(other);
  await moves(arranged, 1);
  order("set_geometry_relative_to_window 0 lt 100 100 480 360 1");
  order("set_geometry_relative_to_window 1 lt 340 280 480 360 2");
  order("set_annotation 1 <b>In front</b>");
  await stands(arranged, 1, { x: 340, y: 280 });
  const slotAt = (x, y) => arranged.evaluate(([x, y]) => document.elementFromPoint(x, y).id, [x, y]);
  assert.equal(await slotAt(400, 300), "camera-feed-1");
  order("set_geometry_relative_to_window 0 lt 100 100 480 360 3");
  await eventually(() => slotAt(400, 300), (id) => id === "camera-feed-0");
  await feed(arranged, 1).getByText("In front").waitFor();
  await arranged.screenshot({ path: `${SCREENSHOTS}/room-arranged.png` });
  await grid.screenshot({ path: `${SCREENSHOTS}/room-grid.png` });
  const [one, two] = [await feed(grid, 0).boundingBox(), await feed(grid, 1).boundingBox()];
  assert.ok(one.x + one.width <= two.x && one.y === two.y, "the grid puts them side by side");
  await other.context().close();
  await feed(arranged, 1).waitFor({ state: "detached" });
  order("deactivate_slot 1");
});

test("a hidden picture goes on coming, and is there at once when it is shown", async () => {
  order("hide 0");
  await feed(arranged, 0).waitFor({ state: "hidden" });
  await feed(grid, 0).waitFor({ state: "hidden" });
  const { framesDecoded } = await figures(arranged, "inbound-rtp");
  await eventually(() => figures(arranged, "inbound-rtp"), (now) => now.framesDecoded > framesDecoded + 5);
  order("show 0");
  await feed(arranged, 0).waitFor();
  await feed(grid, 0).waitFor();
  await moves(grid, 0);
});

test("a limit of the controller's is obeyed within five seconds", async () => {
  order("set_bitrate_limit 0 60000");
  await eventually(() => figures(sender, "outbound-rtp"), (now) => now.targetBitrate <= 60_000, 5_000);
  await eventually(() => rate(sender), (bits) => bits > 0 && bits <= 60_000 * 1.2);
  await sender.locator("#details summary").click();
  await sender.getByText("The room allows 60 kbit/s").waitFor();
});

test("nor does a sender exceed it that was told nothing", async () => {
  order("activate_slot 1 deaf");
  order("set_bitrate_limit 1 1000000");
  const deaf = await stage.senderPage({ slot: 1, token: "deaf" });
  const events = await Wire.tap(deaf, /socket\.io/);
  events.deafen("new_controller_bitrate_limit");
  await deaf.reload();
  await deaf.getByRole("button", { name: "Start camera" }).click();
  await live(deaf);
  await eventually(() => rate(deaf), (bits) => bits > 150_000);
  order("set_bitrate_limit 1 60000");
  await eventually(() => rate(deaf), (bits) => bits > 0 && bits <= 60_000 * 1.2);
  const encodings = () => peers.at(-1).getSenders().flatMap((sender) => sender.getParameters().encodings);
  assert.deepEqual((await deaf.evaluate(encodings)).map(({ maxBitrate }) => maxBitrate), [1_000_000]);
  await deaf.context().close();
  order("deactivate_slot 1");
});

test("a limit that the controller drags ends no camera", async () => {
  const attempts = () => sender.evaluate(() => peers.length);
  const before = await attempts();
  for (let limit = 200_000; limit >= 50_000; limit -= 1_000) order(`set_bitrate_limit 0 ${limit}`);
  await sender.getByText("The room allows 50 kbit/s").waitFor();
  await eventually(() => figures(sender, "outbound-rtp"), (now) => now.targetBitrate <= 50_000);
  assert.equal(await attempts(), before);
});

test("the lower of two limits is in force", async () => {
  await sender.getByLabel("Your limit in kbit/s").fill("40");
  await sender.getByRole("button", { name: "Set limit" }).click();
  await sender.getByText("Your limit is set.").waitFor();
  order("set_bitrate_limit 0 0");
  await sender.getByText("The room allows any bitrate").waitFor();
  const target = async () => (await figures(sender, "outbound-rtp")).targetBitrate;
  await eventually(target, (bits) => bits <= 40_000);
  await sender.getByLabel("Your limit in kbit/s").fill("0");
  await sender.getByRole("button", { name: "Set limit" }).click();
  await eventually(target, (bits) => bits > 100_000);
});

test("a sender may change its name, size and camera while it sends", async () => {
  await sender.getByLabel("Your name").fill("Grace");
  await sender.keyboard.press("Enter");
  await sender.getByLabel("Resolution").selectOption("320 × 240");
  await told("custom_name 0 Grace");
  await arranged.waitForFunction(() => document.querySelector("video").videoWidth === 320);
  const [first, , third] = await sender.locator("#camera option").evaluateAll((all) => all.map(({ value }) => value));
  const films = () => sender.evaluate(() =>
    document.getElementById("preview").srcObject?.getVideoTracks()[0].getSettings().deviceId);
  assert.equal(await films(), first);
  await sender.getByLabel("Camera", { exact: true }).selectOption(third);
  await eventually(films, (device) => device === third);
  await moves(arranged, 0);
});

test("it is good to look at on a phone, and says what it sends", async () => {
  await sender.setViewportSize({ width: 390, height: 900 });
  await sender.locator("#sent").filter({ hasText: /320 × 240 · \d+ fps · \d+ kbit\/s/ }).waitFor();
  await sender.screenshot({ path: `${SCREENSHOTS}/sender-phone.png` });
  const width = await sender.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `the phone scrolls sideways: ${width} pixels`);
});

test("a slot that is deactivated ends its camera", async () => {
  order("deactivate_slot 0");
  for (const receiver of [arranged, grid]) await feed(receiver, 0).waitFor({ state: "detached" });
  await says(sender, "This camera was ended by the room, or goes on elsewhere.");
  assert.equal(await sender.evaluate(() => document.getElementById("preview").srcObject), null);
  await told("remove_feed 0");
});

test("a sender that goes takes its picture along", async () => {
  order(`activate_slot 0 ${TOKEN}`);
  await sender.getByRole("button", { name: "Start camera" }).click();
  await live(sender);
  await moves(grid, 0);
  await sender.context().close();
  await feed(grid, 0).waitFor({ state: "detached" });
  await grid.getByText("No camera is sending yet.").waitFor();
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));

/** What goes out of a page in the next second, in bit/s. */
async function rate(page) {
  const before = await figures(page, "outbound-rtp");
  const isLater = ({ timestamp }) => timestamp >= before.timestamp + 1_000;
  const now = await eventually(() => figures(page, "outbound-rtp"), isLater);
  return (8_000 * (now.bytesSent - before.bytesSent)) / (now.timestamp - before.timestamp);
}

/** A step; where it fails, screenshots show what people saw. */
function test(name, step) {
  return nodeTest(name, async () => {
    try {
      await step();
    } catch (error) {
      for (const [name, page] of Object.entries({ sender, arranged, grid })) {
        await page?.screenshot({ path: `${SCREENSHOTS}/failed-${name}.png` }).catch(() => {});
      }
      throw error;
    }
  });
}
