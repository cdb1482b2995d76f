// The cameras of a room over the canvas of a noVNC page, all of it behind nginx as docs/janus has it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CLIENTS, connectTo } from "../../room/scene.mjs";
import { eventually } from "./browser.mjs";
import { DESKTOP } from "./desktop.mjs";
import { Novnc } from "./novnc.mjs";
import { SCREENSHOTS, Stage, TOKEN, feed, live, moves, stands } from "./stage.mjs";

const PIN = "1234";

let stage, novnc, page, sender;
const order = (line) => stage.server.order(line);

before(async () => {
  stage = await Stage.open({ janusRoomPin: PIN, behindProxy: true });
  novnc = await Novnc.start(stage);
  order(`activate_slot 0 ${TOKEN}`);
});

after(async () => {
  await novnc?.close();
  await stage?.close();
});

test("a sender behind a proxy, beneath a path of it, sends", async () => {
  sender = await novnc.page("camera/sender.html", { slot: 0, token: TOKEN, pin: PIN });
  await sender.getByRole("button", { name: "Start camera" }).click();
  await live(sender);
});

test("its picture lies over the remote desktop, as large as that is drawn", async () => {
  page = await novnc.open({ password: PIN }, { viewport: { width: 1100, height: 860 } });
  await moves(page, 0);
  order("set_geometry_relative_to_canvas 0 rb 40 20 640 480 3");
  const { canvas, scale } = await canvasOf(page);
  const expected = (canvas) => ({
    x: canvas.x + canvas.width - (40 + 640) * scale, y: canvas.y + canvas.height - (20 + 480) * scale,
    width: 640 * scale, height: 480 * scale,
  });
  assert.ok(scale > 0.5 && scale < 0.7 && canvas.x >= 100, "the desktop is scaled, and off the window's corner");
  await stands(page, 0, expected(canvas));
  order("set_annotation 0 <b>Lecture hall</b>");
  await feed(page, 0).getByText("Lecture hall").waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}/novnc.png` });
});

test("it follows the canvas", async () => {
  await page.setViewportSize({ width: 800, height: 700 });
  await eventually(() => canvasOf(page), ({ scale }) => scale < 0.5);
  const { canvas, scale } = await canvasOf(page);
  await stands(page, 0, { x: canvas.x + canvas.width - (40 + 640) * scale, width: 640 * scale });
  order("set_geometry_relative_to_window 0 lt 10 20 200 150");
  await stands(page, 0, { x: 10, y: 20, width: 200, height: 150 });
});

test("a desktop that was scaled before it was sent scales its cameras", async () => {
  const scaled = await novnc.open({ password: PIN, video_prescale: "1/2" });
  order("set_geometry_relative_to_canvas 0 lt 40 20 640 480");
  await moves(scaled, 0);
  const { canvas, scale } = await canvasOf(scaled);
  const size = { width: 320 * scale, height: 240 * scale };
  await stands(scaled, 0, { x: canvas.x + 20 * scale, y: canvas.y + 10 * scale, ...size });
  await scaled.context().close();
});

test("whatever lies beneath it takes the pointer", async () => {
  const { x, y, width, height } = await feed(page, 0).boundingBox();
  const beneath = ([x, y]) => document.elementFromPoint(x, y).localName;
  assert.equal(await page.evaluate(beneath, [x + width / 2, y + height / 2]), "canvas");
});

test("the page hears what the controller says", async () => {
  await page.evaluate(() => {
    document.addEventListener("cloudtalker:command", ({ detail }) => (globalThis.heard = detail));
  });
  order("hide 0");
  await feed(page, 0).waitFor({ state: "hidden" });
  assert.deepEqual(await page.evaluate(() => heard), { slot: 0, command: "hide", params: [] });
  order("show 0");
});

test("the password that noVNC asks for is the room's PIN, too", async () => {
  const asked = await novnc.open();
  await feed(asked, 0).getByText("This room has a PIN.").waitFor();
  await asked.locator("#noVNC_password_input").fill(PIN);
  await asked.keyboard.press("Enter");
  await moves(asked, 0);
  await asked.context().close();
});

test("a picture whose way broke is subscribed to again", async () => {
  const before = await page.evaluate(() => {
    const peer = peers.findLast(({ connectionState }) => connectionState === "connected");
    // What a browser says once no packet has come for some time.
    Object.defineProperty(peer, "connectionState", { get: () => "failed" });
    peer.dispatchEvent(new Event("connectionstatechange"));
    return peers.length;
  });
  await page.waitForFunction((before) => peers.length > before, before);
  await moves(page, 0);
});

test("the original's layout is there: Socket.IO by a port's number, and Janus on 8089", async (t) => {
  for (const client of CLIENTS.filter(({ library }) => library === "socket.io-client-3")) {
    const original = await connectTo(t, "https://127.0.0.1", { ...client, path: "/socket.io/5000", rejectUnauthorized: false });
    assert.deepEqual(Object.keys(await original.ask("query_state")), ["0"], client.transports.join());
  }
  const janus = await page.context().request.get(`https://127.0.0.1:8089/janus/info`);
  assert.equal((await janus.json()).name, "Janus WebRTC Server");
});

test("nothing failed on any page", () => assert.deepEqual(stage.browser.offences, []));

/** Where the remote desktop is drawn, and how large a pixel of it is. */
async function canvasOf(page) {
  await page.waitForFunction((width) => document.querySelector("canvas")?.width === width, DESKTOP.width);
  const canvas = await page.locator("canvas").boundingBox();
  return { canvas, scale: canvas.width / DESKTOP.width };
}
