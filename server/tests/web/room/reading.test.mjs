// The app reads its rooms anew, after a break or when its tab is shown again: who is at work in one notices nothing. What
// he writes is not lost, nor does it stay where the room says otherwise.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Serving } from "../../room/serving.mjs";
import { Browser } from "./browser.mjs";

/** Nothing listens there: rooms are kept without, and no picture is wanted here. */
const NO_JANUS = { url: "http://127.0.0.1:9/janus", webSocketUrl: "ws://127.0.0.1:9/" };

let serving, browser, app, lower, open, panel;

before(async () => {
  serving = await Serving.open(NO_JANUS);
  await serving.signIn();
  lower = await serving.ask("POST", "", { name: "Lower" });
  open = await serving.ask("POST", "", { name: "Open" });
  await serving.ask("POST", `/${open.number}/slots/0/activate`, {});
  browser = await Browser.open();
  app = await browser.page(`${serving.url}/#rooms/${open.number}`);
  await app.getByLabel("Password").fill(serving.password);
  await app.keyboard.press("Enter");
  await app.getByRole("heading", { level: 2, name: "Open" }).waitFor();
  await app.getByText("Live", { exact: true }).waitFor();
  panel = await app.locator(".open-room").elementHandle();
});

after(async () => {
  await browser?.close();
  await serving?.close();
});

test("the open room's panel stays, with the caption that is half typed", async () => {
  await caption().fill("Half a cap");
  await hide();
  await serving.ask("POST", `/${lower.number}/slots/0/activate`, {});
  await serving.ask("POST", "", { name: "Last" });
  await show();
  await entry("Last").waitFor();
  assert.ok(await isSamePanel());
  assert.equal(await caption().inputValue(), "Half a cap");
  await caption().fill("");
});

test("a room that went meanwhile is dropped", async () => {
  await hide();
  await serving.ask("DELETE", `/${lower.number}`);
  await show();
  await entry("Lower").waitFor({ state: "detached" });
  assert.ok(await isSamePanel());
});

test("what was answered while the list was on its way is not undone by it", async () => {
  await hide();
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  await app.route("**/api/rooms", async (route) => {
    if (route.request().method() !== "GET") return route.continue();
    const response = await route.fetch();
    const rooms = (await response.json()).map((room) => ({ ...room, name: `${room.name} as listed` }));
    await isReleased;
    await route.fulfill({ response, json: rooms });
  });
  const asked = app.waitForRequest("**/api/rooms");
  await show();
  await asked;
  await card(2).getByRole("button", { name: "Activate" }).click();
  await card(2).getByText("Waiting for its camera").waitFor();
  await app.evaluate(() => {
    globalThis.states = [];
    const look = () => states.push(document.querySelectorAll(".slot [data-part=state]")[1].textContent);
    new MutationObserver(look).observe(document.getElementById("room"), { subtree: true, childList: true });
  });
  release();
  await entry("Last as listed").waitFor();
  assert.ok(await isSamePanel());
  assert.deepEqual((await app.evaluate(() => states)).filter((state) => state !== "Waiting for its camera"), []);
  await app.unroute("**/api/rooms");
});

test("a list counts that is read from a server whose clock was put back", async () => {
  await hide();
  await app.route("**/api/rooms", async (route) => {
    const response = await route.fetch();
    const rooms = (await response.json()).map((room) => ({ ...room, name: "Put back", as_of: 1 }));
    await route.fulfill({ response, json: rooms });
  });
  await show();
  await app.getByRole("heading", { level: 2, name: "Put back" }).waitFor();
  assert.ok(await isSamePanel());
  await app.unroute("**/api/rooms");
});

test("a field that is left says what the room says, after a refusal", async () => {
  const refusal = { status: 422, json: { ok: false, message: "Not this one." } };
  await app.route("**/annotation", (route) => route.fulfill(refusal));
  await caption().fill("Refused");
  await app.keyboard.press("Enter");
  await card(1).getByText("Not this one.").waitFor();
  assert.equal(await caption().inputValue(), "Refused", "whoever wrote it may mend it");
  await caption().blur();
  assert.equal(await caption().inputValue(), "");
  await app.unroute("**/annotation");
});

test("a field that is left says what the room says, after somebody else's change", async () => {
  await caption().focus();
  await serving.ask("POST", `/${open.number}/slots/0/annotation`, { html: "Theirs" });
  await serving.ask("POST", `/${open.number}/slots/2/activate`, {});
  await card(3).getByText("Waiting for its camera").waitFor();
  assert.equal(await caption().inputValue(), "");
  await caption().blur();
  assert.equal(await caption().inputValue(), "Theirs");
});

test("a field that is left keeps what the room is being told", async () => {
  let release;
  const isReleased = new Promise((resolve) => (release = resolve));
  await app.route("**/annotation", async (route) => {
    await isReleased;
    await route.continue();
  });
  await caption().fill("Mine");
  await caption().blur();
  assert.equal(await caption().inputValue(), "Mine");
  release();
  await card(1).getByText("The caption is set.").waitFor();
  assert.equal(await caption().inputValue(), "Mine");
  await app.unroute("**/annotation");
});

test("what a server says after its restart is newer than all before", async () => {
  const looked = async () => (await serving.ask("GET", `/${open.number}`)).as_of;
  const before = await looked();
  assert.ok(before > 1000 * (Date.now() - 3_600_000) && Number.isSafeInteger(before), `${before}`);
  await serving.end("SIGKILL");
  await serving.start();
  assert.ok((await looked()) > before);
});

test("nothing failed, and no page broke its policy", () => assert.deepEqual(browser.offences, []));

const card = (slot) =>
  app.locator(".slot").filter({ has: app.getByRole("heading", { name: `Camera ${slot}`, exact: true }) });
const caption = () => card(1).getByLabel("Caption");
const entry = (name) => app.locator("#room-list").getByText(name, { exact: true });
const isSamePanel = () => app.evaluate((panel) => panel === document.querySelector(".open-room"), panel);

/** The tab goes to the back, and its stream of events ends. */
const hide = () => turn(true);
/** The tab comes back, and reads everything again. */
const show = () => turn(false);
const turn = (isHidden) => app.evaluate((isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}, isHidden);
