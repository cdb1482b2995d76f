// A camera's life in a room, as each kind of receiver shows it: in a grid, arranged in a window, over a remote desktop.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, test } from "node:test";
import { eventually, figures } from "./browser.mjs";
import { DESKTOP } from "./desktop.mjs";
import { Novnc } from "./novnc.mjs";
import { SCREEN, SCREENSHOTS, Stage, TOKEN, feed, live, moves, says, stands } from "./stage.mjs";

const PURPLE = [200, 0, 200];
/** Where every screen has the picture, in pixels, and nothing is written. */
const SPOT = { x: 360, y: 220 };

let stage, novnc, sender, screens;
/** The colour of each screen there without a picture. */
let beneath;
const order = (line) => stage.server.order(line);
const each = (step) => Promise.all(Object.entries(screens).map(([kind, page]) => step(page, kind)));

before(async () => {
  stage = await Stage.open({ behindProxy: true });
  novnc = await Novnc.start(stage);
  screens = {
    grid: await stage.receiver(),
    arranged: await stage.receiver({ view: "arranged" }),
    novnc: await novnc.open({}, { viewport: SCREEN }),
  };
});

after(async () => {
  await novnc?.close();
  await stage?.close();
});

test("before it is there nothing is in its place", async () => {
  await screens.novnc.waitForFunction((width) => document.querySelector("canvas")?.width === width, DESKTOP.width);
  beneath = Object.fromEntries(await each(async (page, kind) => [kind, await colourAt(page, SPOT)]));
});

test("its picture moves, as large as it was sent", async () => {
  order(`activate_slot 0 ${TOKEN}`);
  // Under the usual limit the encoder may send a smaller picture.
  order("set_bitrate_limit 0 1000000");
  order("set_geometry_relative_to_window 0 lt 240 130 480 360");
  sender = await stage.sender();
  await live(sender);
  await each(async (page) => {
    await moves(page, 0);
    await page.waitForFunction(() => {
      const { videoWidth, videoHeight } = document.getElementById("camera-feed-0");
      return videoWidth === 640 && videoHeight === 480;
    });
    const { framesDecoded } = await figures(page, "inbound-rtp");
    await eventually(() => figures(page, "inbound-rtp"), (now) => now.framesDecoded > framesDecoded + 5);
  });
});

test("it is where it was commanded to be", () =>
  each(async (page, kind) => {
    if (kind !== "grid") return stands(page, 0, { x: 240, y: 130, width: 480, height: 360 });
    // Alone there, it has all of the window that its shape allows.
    const width = SCREEN.height * (640 / 480);
    const box = await eventually(() => feed(page, 0).boundingBox(), ({ height }) => height > 0.95 * SCREEN.height);
    assert.ok(Math.abs(box.width / width - 1) < 0.05 && Math.abs(2 * box.x + box.width - SCREEN.width) < 2);
  }));

test("its annotation is to be seen on it", async () => {
  const style = `position: absolute; bottom: 0; width: 100%; background: rgb(${PURPLE}); color: white`;
  order(`set_annotation 0 <div style="${style}">Lecture hall</div>`);
  await each(async (page, kind) => {
    const note = feed(page, 0).getByText("Lecture hall");
    await note.waitFor();
    const [within, around] = [await note.boundingBox(), await feed(page, 0).boundingBox()];
    assert.ok(Math.abs(within.y + within.height - around.y - around.height) < 1 && within.width > 0.99 * around.width);
    // Off its letters.
    const seen = await colourAt(page, { x: within.x + within.width - 4, y: within.y + within.height / 2 });
    await page.screenshot({ path: `${SCREENSHOTS}/receiver-${kind}.png` });
    assert.ok(isLike(seen, PURPLE), `${kind} shows rgb(${seen})`);
  });
});

test("hidden it is not to be seen, and shown it is again", async () => {
  const isSeen = async (page, kind) => !isLike(await colourAt(page, SPOT), beneath[kind]);
  await each(async (page, kind) => assert.ok(await isSeen(page, kind), kind));
  order("hide 0");
  await each(async (page, kind) => {
    await feed(page, 0).waitFor({ state: "hidden" });
    assert.ok(!await isSeen(page, kind), kind);
  });
  order("show 0");
  await each(async (page, kind) => {
    await feed(page, 0).waitFor();
    await moves(page, 0);
    assert.ok(await isSeen(page, kind), kind);
  });
});

test("a slot that is deactivated takes it away, and ends its sender", async () => {
  order("deactivate_slot 0");
  await each((page) => feed(page, 0).waitFor({ state: "detached" }));
  await says(sender, "This camera was ended by the room, or goes on elsewhere.");
  await sender.context().close();
});

test("so does the death of its tab", async () => {
  order(`activate_slot 0 ${TOKEN}`);
  const dying = await stage.sender();
  await live(dying);
  await each((page) => moves(page, 0));
  // Nobody says good-bye; and nobody answers.
  const devtools = await dying.context().newCDPSession(dying);
  devtools.send("Page.crash").catch(() => {});
  await each((page) => feed(page, 0).waitFor({ state: "detached" }));
});

test("after Janus was killed and is back, it is there within ten seconds", async () => {
  sender = await stage.sender();
  await live(sender);
  await each((page) => moves(page, 0));
  await stage.janus.kill();
  await each((page) => feed(page, 0).waitFor({ state: "detached" }));
  await stage.janus.run();
  const began = performance.now();
  await each((page) => moves(page, 0));
  const seconds = (performance.now() - began) / 1000;
  assert.ok(seconds < 10, `it took ${seconds.toFixed(1)} s`);
});

test("after the server was killed and is back, its sender and its screens return", async () => {
  await stage.server.end("SIGKILL");
  await screens.grid.getByText("Reconnecting…").waitFor();
  await stage.server.run();
  order(`activate_slot 0 ${TOKEN}`);
  order("set_geometry_relative_to_window 0 lt 340 130 480 360");
  await screens.grid.getByText("Room 1000", { exact: true }).waitFor();
  await live(sender);
  await each((page) => moves(page, 0));
  for (const page of [screens.arranged, screens.novnc]) await stands(page, 0, { x: 340, y: 130, width: 480, height: 360 });
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(stage.browser.offences, []));

/** What a person sees at one place of a page, as red, green and blue up to 255. */
async function colourAt(page, { x, y }) {
  const png = await page.screenshot({ clip: { x: Math.round(x), y: Math.round(y), width: 1, height: 1 } });
  const raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"];
  const { stdout, stderr } = spawnSync("ffmpeg", ["-v", "error", "-i", "pipe:0", ...raw], { input: png });
  assert.equal(stdout.length, 3, `one pixel is expected: ${stderr}`);
  return [...stdout];
}

const isLike = (colour, other) => colour.every((part, index) => Math.abs(part - other[index]) <= 8);
