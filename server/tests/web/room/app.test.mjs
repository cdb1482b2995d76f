// Rooms in the app, as a person has them: make one, hand out its link, see the camera, arrange, hide, end.

import assert from "node:assert/strict";
import { after, before, test as nodeTest } from "node:test";
import jsQR from "jsqr";
import { Serving } from "../../room/serving.mjs";
import { Browser, eventually } from "./browser.mjs";
import { Janus } from "./janus.mjs";
import { SCREEN, SCREENSHOTS, feed, live, moves, says, stands } from "./stage.mjs";

const DESK = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const LAPTOP = { viewport: DESK, permissions: ["camera", "clipboard-read", "clipboard-write"] };

let janus, serving, browser, app, phone, sender, screen, senderLink;

before(async () => {
  janus = await Janus.start();
  serving = await Serving.open(janus);
  browser = await Browser.open();
  app = await signedIn(LAPTOP);
});

after(async () => {
  await browser?.close();
  await serving?.close();
  await janus?.close();
});

test("who has no room yet is told what one is, and makes one", async () => {
  await app.getByRole("link", { name: "Rooms" }).click();
  await app.getByRole("heading", { name: "Make your first room" }).waitFor();
  await shoot("rooms-none");
  await app.getByLabel("Name").fill("Lecture <b>hall</b>");
  await app.getByRole("spinbutton", { name: "Cameras" }).fill("2");
  await app.getByRole("button", { name: "Create room" }).click();
  await app.getByRole("heading", { level: 2, name: "Lecture <b>hall</b>" }).waitFor();
  await app.getByText("0 of 2 cameras live").waitFor();
});

test("an activated slot has a link, which is copied", async () => {
  await card(1).getByText("Off: nobody may send").waitFor();
  await card(1).getByRole("button", { name: "Activate" }).click();
  await card(1).getByText("Waiting for its camera").waitFor();
  await box(1).waitFor();
  await tells(card(1).getByRole("button", { name: "Copied" }), () => card(1).getByRole("button", { name: "Copy link" }).click());
  senderLink = await app.evaluate(() => navigator.clipboard.readText());
  assert.match(senderLink, /\/sender\.html\?room=1000&slot=0&token=[^&]{32,}&pin=[^&]+/);
});

test("a phone reads the same link off the screen", async () => {
  await card(1).getByRole("button", { name: "QR code" }).click();
  await app.getByText("It leads to this machine alone.").waitFor();
  const dialog = app.getByRole("dialog");
  await shoot("rooms-qr");
  const { data, width, height } = await dialog.locator("canvas").evaluate((code) => {
    // As large as a camera sees it: four pixels a module.
    const seen = Object.assign(document.createElement("canvas"), { width: 4 * code.width, height: 4 * code.height });
    const context = seen.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(code, 0, 0, seen.width, seen.height);
    return { data: [...context.getImageData(0, 0, seen.width, seen.height).data], width: seen.width, height: seen.height };
  });
  assert.equal(jsQR(new Uint8ClampedArray(data), width, height)?.data, senderLink);
  await dialog.getByRole("button", { name: "Close" }).click();
});

test("whoever has the link is the camera, and is seen in the app", async () => {
  sender = await browser.page(senderLink);
  await sender.getByLabel("Your name").fill("Ada & <i>Co</i>");
  await sender.getByRole("button", { name: "Start camera" }).click();
  await live(sender);
  await moves(app, 0);
  await card(1).getByText("Live", { exact: true }).waitFor();
  await card(1).getByText("Sent by Ada & <i>Co</i>").waitFor();
  await app.getByText("1 of 2 cameras live").waitFor();
});

test("the way to watch leads to a screen on which it is seen", async () => {
  const link = await app.getByRole("link", { name: "Watch" }).getAttribute("href");
  screen = await browser.page(link, { viewport: SCREEN });
  await moves(screen, 0);
  await stands(screen, 0, { x: SCREEN.width - 320, y: SCREEN.height - 240, width: 320, height: 240 });
});

test("where a picture is dragged to in the app it is on the screen", async () => {
  await drag(box(1), { x: -0.25, y: -0.25 });
  await stands(screen, 0, { x: SCREEN.width * 0.75 - 320, y: SCREEN.height * 0.75 - 240, width: 320, height: 240 });
  // Its place in the app is what the room says.
  const { width, height } = await stage().boundingBox();
  await eventually(() => placeOf(box(1)), ({ x, y }) =>
    Math.abs(x / width - (0.75 - 320 / SCREEN.width)) < 0.01 && Math.abs(y / height - (0.75 - 240 / SCREEN.height)) < 0.01);
});

test("a corner that is dragged resizes the picture, which keeps its shape", async () => {
  await drag(box(1).locator(".handle"), { x: 0.1, y: 0.133 });
  const { width, height } = await eventually(() => feed(screen, 0).boundingBox(), ({ width }) => width > 400);
  assert.ok(Math.abs(width / height - 4 / 3) < 0.02, `${width} × ${height}`);
});

test("arrow keys move a picture, and with Shift they resize it", async () => {
  const before = await feed(screen, 0).boundingBox();
  await box(1).focus();
  await app.keyboard.press("ArrowLeft");
  await app.keyboard.press("ArrowLeft");
  await app.keyboard.press("ArrowUp");
  await stands(screen, 0, { x: before.x - 20, y: before.y - 10 });
  await app.keyboard.press("Shift+ArrowRight");
  await eventually(() => feed(screen, 0).boundingBox(), ({ width }) => Math.abs(width - before.width - 10) < 1.5);
});

test("a picture's place is kept from its nearest corner, on whatever screen", async () => {
  await drag(box(1), { x: -1, y: 1 });
  await stands(screen, 0, { x: 0 });
  const { height } = await feed(screen, 0).boundingBox();
  await screen.setViewportSize({ width: 1000, height: 800 });
  await stands(screen, 0, { x: 0, y: 800 - height });
  await screen.setViewportSize(SCREEN);
  await app.getByRole("combobox", { name: "Screen" }).selectOption("390 × 844");
  const inner = () => box(1).boundingBox();
  const outer = await stage().boundingBox();
  assert.ok(Math.abs(outer.width / outer.height - 390 / 844) < 0.01, `${outer.width} × ${outer.height}`);
  assert.ok(outer.height <= DESK.height, "all of it can be seen at once");
  await eventually(inner, ({ x, y, height }) =>
    Math.abs(x - outer.x) < 1 && Math.abs(y + height - outer.y - outer.height) < 1);
  await shoot("rooms-tall");
  await app.getByRole("combobox", { name: "Screen" }).selectOption("1280 × 720");
});

test("a caption is text, whatever is written", async () => {
  const caption = "Hall 3 <script>window.stolen = 1</script>";
  await card(1).getByLabel("Caption").fill(caption);
  await app.keyboard.press("Enter");
  for (const page of [screen, app]) await feed(page, 0).getByText(caption).waitFor();
  await app.reload();
  await eventually(() => card(1).getByLabel("Caption").inputValue(), (value) => value === caption);
  await card(1).getByLabel("Caption").fill("Hall 3");
  await app.keyboard.press("Enter");
  await feed(screen, 0).getByText("Hall 3", { exact: true }).waitFor();
});

test("a limit reaches the camera", async () => {
  await card(1).getByLabel("Limit in kbit/s").fill("300");
  await tells(card(1).getByText("The limit is set."), () => app.keyboard.press("Enter"));
  await sender.locator("#details summary").click();
  await sender.getByText("The room allows 300 kbit/s").waitFor();
  await card(1).getByLabel("Limit in kbit/s").fill("-1");
  await app.keyboard.press("Enter");
  assert.equal(await card(1).getByLabel("Limit in kbit/s").evaluate((field) => field.validity.valid), false);
  await card(1).getByLabel("Limit in kbit/s").fill("300");
});

test("of two pictures one is brought to the front", async () => {
  await card(2).getByRole("button", { name: "Activate" }).click();
  await box(2).waitFor();
  await card(2).getByRole("button", { name: "To front" }).click();
  const z = (slot) => box(slot).evaluate((box) => Number(getComputedStyle(box).zIndex));
  await eventually(async () => [await z(1), await z(2)], ([one, two]) => two > one);
});

test("the app is good to look at on a desk and on a phone", async () => {
  await moves(app, 0);
  await app.evaluate(() => scrollTo(0, 0));
  await shoot("rooms-desk");
  await app.emulateMedia({ colorScheme: "dark" });
  await shoot("rooms-desk-dark");
  await app.emulateMedia({ colorScheme: "light" });
});

test("a finger drags a picture on a phone", async () => {
  phone = await signedIn({ viewport: PHONE, hasTouch: true, isMobile: true });
  await phone.getByRole("link", { name: "Rooms" }).tap();
  await shoot("rooms-phone-list", phone);
  await phone.getByRole("link", { name: /Lecture/ }).tap();
  await moves(phone, 0);
  const before = await feed(screen, 0).boundingBox();
  const [from, area] = [await box(1, phone).boundingBox(), await stage(phone).boundingBox()];
  await swipe(phone, middle(from), { x: area.width / 4, y: -area.height / 4 });
  await stands(screen, 0, { x: before.x + SCREEN.width / 4, y: before.y - SCREEN.height / 4 });
  assert.equal(await phone.evaluate(() => scrollY), 0, "the page does not scroll along");
  await shoot("rooms-phone", phone);
  const width = await phone.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `the phone scrolls sideways: ${width} pixels`);
  // No tap: Chromium may take one so soon after a swipe for the end of its momentum.
  await phone.getByRole("link", { name: "All rooms" }).click();
  await phone.getByRole("link", { name: /Lecture/ }).waitFor();
  await phone.context().close();
});

test("a hidden picture is seen in the app alone", async () => {
  await card(1).getByRole("switch", { name: "Shown" }).click();
  await feed(screen, 0).waitFor({ state: "hidden" });
  await card(1).getByText("Live, but hidden").waitFor();
  await moves(app, 0);
  await shoot("rooms-hidden");
  await card(1).getByRole("switch", { name: "Shown" }).click();
  await feed(screen, 0).waitFor();
});

test("while Janus is away the app says so", async () => {
  await janus.kill();
  await app.getByText("Janus, which carries the pictures, does not answer").waitFor();
  await shoot("rooms-janus-away");
  await janus.run();
  await app.getByText("Janus, which carries the pictures, does not answer").waitFor({ state: "hidden" });
  await moves(app, 0);
});

test("a new link makes the former one worthless, and the camera goes on", async () => {
  const news = card(1).getByText("The former link is worth nothing any more.");
  await tells(news, () => card(1).getByRole("button", { name: "New link" }).click());
  const late = await browser.page(senderLink);
  await late.getByRole("button", { name: "Start camera" }).click();
  await late.locator("#status.refusal").waitFor();
  await late.context().close();
  await moves(screen, 0);
});

test("a camera whose slot is deactivated is told so, and goes from every screen", async () => {
  await card(1).getByRole("button", { name: "Deactivate" }).click();
  await says(sender, "This camera was ended by the room, or goes on elsewhere.");
  await feed(screen, 0).waitFor({ state: "detached" });
  await box(1).waitFor({ state: "detached" });
  await card(1).getByText("Off: nobody may send").waitFor();
});

test("what can't be done is said where it was asked for, and may be done later", async () => {
  await serving.end("SIGKILL");
  await card(1).getByRole("button", { name: "Activate" }).click();
  await card(1).getByText("The server can’t be reached.").waitFor();
  await app.getByText("Reconnecting…").waitFor();
  await serving.start();
  await app.getByText("Live", { exact: true }).waitFor();
  await card(1).getByRole("button", { name: "Activate" }).click();
  await card(1).getByText("Waiting for its camera").waitFor();
});

test("a room is removed, after a question, and its cameras and screens are told", async () => {
  const link = new URL(senderLink);
  const { slots: [{ token }] } = await app.evaluate(async () => (await fetch("/api/rooms/1000")).json());
  link.searchParams.set("token", token);
  const last = await browser.page(link.href);
  await last.getByRole("button", { name: "Start camera" }).click();
  await live(last);
  await app.getByRole("button", { name: "Remove room" }).click();
  await app.getByRole("button", { name: "Keep it" }).click();
  await app.getByRole("button", { name: "Remove room" }).click();
  await shoot("rooms-remove");
  await app.getByRole("dialog").getByRole("button", { name: "Remove room" }).click();
  await app.getByRole("heading", { name: "Make your first room" }).waitFor();
  await app.goto(`${serving.url}/#rooms/1000`);
  await app.getByRole("heading", { name: "This room is not there" }).waitFor();
  await says(last, "This camera was ended by the room, or goes on elsewhere.");
  await screen.getByText("There is no such room.").waitFor();
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(browser.offences, []));

/** Does something, and sees what is told of it for a moment. */
const tells = (news, act) => Promise.all([news.waitFor(), act()]);
const card = (slot, page = app) =>
  page.locator(".slot").filter({ has: page.getByRole("heading", { name: `Camera ${slot}`, exact: true }) });
const stage = (page = app) => page.getByRole("group", { name: "The screen in small" });
const box = (slot, page = app) => page.getByRole("application", { name: new RegExp(`^Camera ${slot} at`) });
const middle = ({ x, y, width, height }) => ({ x: x + width / 2, y: y + height / 2 });

/** The app, with somebody who has signed in. */
async function signedIn(options) {
  const page = await browser.page(serving.url, options);
  await page.getByLabel("Password").fill(serving.password);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Cameras" }).waitFor();
  return page;
}

/** Where a box is in the stage. */
async function placeOf(box) {
  const [inner, outer] = [await box.boundingBox(), await stage().boundingBox()];
  return { x: inner.x - outer.x, y: inner.y - outer.y };
}

/** Drags something by these fractions of the stage. */
async function drag(what, { x, y }) {
  await what.scrollIntoViewIfNeeded();
  const [from, { width, height }] = [middle(await what.boundingBox()), await stage().boundingBox()];
  await app.mouse.move(from.x, from.y);
  await app.mouse.down();
  await app.mouse.move(from.x + (x * width) / 2, from.y + (y * height) / 2);
  await app.mouse.move(from.x + x * width, from.y + y * height);
  await app.mouse.up();
}

/** Drags by a finger, which playwright itself can't. */
async function swipe(page, from, by) {
  const client = await page.context().newCDPSession(page);
  const touch = (type, points) => client.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  await touch("touchStart", [from]);
  await touch("touchMove", [{ x: from.x + by.x / 2, y: from.y + by.y / 2 }]);
  await touch("touchMove", [{ x: from.x + by.x, y: from.y + by.y }]);
  await touch("touchEnd", []);
}

const shoot = (name, page = app) => page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });

/** A step; where it fails, screenshots show what people saw. */
function test(name, step) {
  return nodeTest(name, async () => {
    try {
      await step();
    } catch (error) {
      for (const [name, page] of Object.entries({ app, phone, sender, screen })) {
        await page?.screenshot({ path: `${SCREENSHOTS}/failed-${name}.png` }).catch(() => {});
      }
      throw error;
    }
  });
}
