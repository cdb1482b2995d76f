// The page in a real browser, with the real server and the real agent: what a person does first.

import assert from "node:assert/strict";
import { after, before, test as nodeTest } from "node:test";
import { chromium } from "playwright-core";
import { SCREENSHOTS, SEGMENTS, Scene, VIEWS } from "./scene.mjs";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
/** Generous: it only ends a test that would hang. */
const PATIENCE_MS = 60_000;
const DESK = { width: 1280, height: 730 };
const PHONE = { width: 390, height: 844 };

const now = Math.floor(Date.now() / 1000);
const ago = (hours) => now - Math.round(hours * 3600);

let scene, browser, page, porch, garden;
/** What Chromium reports of a refused sign-in and of a server that is away. */
const EXPECTED = /401 \(Unauthorized\)|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED_ENCODING/;
/** What must never happen: requests to elsewhere, violations of the policy, errors of our own. */
const offences = [];

before(async () => {
  scene = await Scene.open();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  const context = await browser.newContext({ viewport: DESK, locale: "en-GB", colorScheme: "light" });
  context.setDefaultTimeout(PATIENCE_MS);
  page = await context.newPage();
  watch(page);
  await page.goto(scene.people);
});

after(async () => {
  await browser?.close();
  await scene?.close();
});

test("a wrong password is refused in clear words, the right one signs in", async () => {
  await page.getByLabel("Password").fill("not-the-password");
  await page.keyboard.press("Enter");
  await page.getByText("That is not the password.").waitFor();
  await page.getByLabel("Password").fill(` ${scene.password} `);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Cameras" }).waitFor();
});

test("an empty page says what to do next", async () => {
  await page.getByText("cloudtalker-server camera add").waitFor();
  await page.getByRole("heading", { name: "Nothing recorded yet" }).waitFor();
});

test("a server without Janus says what rooms need", async () => {
  await page.getByRole("link", { name: "Rooms" }).click();
  await page.getByRole("heading", { name: "Rooms need Janus" }).waitFor();
  await page.screenshot({ path: `${SCREENSHOTS}/rooms-no-janus.png` });
  assert.equal(await page.getByRole("button", { name: "Create room" }).count(), 0);
  await page.getByRole("link", { name: "Captures" }).click();
});

test("a camera appears by itself and goes online", async () => {
  porch = await scene.camera("porch");
  garden = await scene.camera("garden");
  await card("porch").getByText("Has never connected").waitFor();
  porch.switchOn((command) => {
    if (command === "capture") porch.record("cap", Math.floor(Date.now() / 1000), VIEWS.fractal);
  });
  garden.switchOn(() => {});
  await card("porch").getByText("Online since").waitFor();
  await card("garden").getByText("Online since").waitFor();
});

test("what a camera recorded on motion appears by itself", async () => {
  await porch.record("pir", ago(1.4), VIEWS.valley);
  await garden.record("pir", ago(5.2), VIEWS.dusk);
  await garden.record("pir", ago(26), VIEWS.card);
  await porch.record("pir", ago(27.5), VIEWS.coast);
  await captures().nth(3).waitFor();
  assert.deepEqual(await captures().locator("h4 span").allTextContents(), ["porch", "garden", "garden", "porch"]);
});

test("arming reaches the camera, which says so", async () => {
  const armed = card("porch").getByRole("switch", { name: "Armed" });
  await armed.click();
  await card("porch").getByText("porch is told to watch for motion.").waitFor();
  await page.locator(".camera", { hasText: "porch" }).locator('[aria-checked="true"][aria-busy="false"]').waitFor();
});

test("a pressed capture is filmed, appears by itself and plays", async () => {
  await card("porch").getByRole("button", { name: "Capture now" }).click();
  await card("porch").getByText("The capture is there.").waitFor();
  const newest = captures().first();
  await newest.getByText("Requested").waitFor();
  await newest.getByText("0:06").waitFor();

  await newest.getByRole("button", { name: /^Play porch/ }).click();
  const video = page.locator("#player video");
  await page.waitForFunction(() => document.querySelector("#player video")?.currentTime > 1);
  assert.ok(Math.abs((await video.evaluate((video) => video.duration)) - 2 * SEGMENTS) < 0.2);
  // A slow machine may have seen its end already, which pauses it.
  await video.evaluate((video) => {
    video.currentTime = 4.5;
    return video.play();
  });
  await page.waitForFunction(() => document.querySelector("#player video").currentTime > 5);
  await page.keyboard.press("Escape");
  await page.locator("#player").waitFor({ state: "hidden" });
});

test("captures that gave way to newer ones go from the page", async () => {
  const [newest] = await captures().evaluateAll((cards) => cards.map((card) => card.dataset.id));
  const body = `event: gone\ndata: ${JSON.stringify({ ids: [newest] })}\n\n`;
  await page.route("**/api/events", (route) => route.fulfill({ contentType: "text/event-stream", body }));
  await page.reload();
  const card = page.locator(`[data-id="${newest}"]`);
  await captures().nth(3).waitFor();
  await card.waitFor({ state: "detached" });
  await page.unroute("**/api/events");
  await page.reload();
  await card.waitFor();
});

test("one camera's captures may be had alone", async () => {
  await page.getByLabel("Captures of which camera").selectOption("garden");
  await captures().nth(2).waitFor({ state: "detached" });
  assert.deepEqual(await captures().locator("h4 span").allTextContents(), ["garden", "garden"]);
  await page.getByLabel("Captures of which camera").selectOption("");
  await captures().nth(4).waitFor();
});

test("a camera that leaves is shown offline, and a command says what that means", async () => {
  await garden.switchOff();
  await card("garden").getByText("Offline since").waitFor();
  await card("garden").getByRole("switch", { name: "Armed" }).click();
  await card("garden").getByText("garden is offline. It will watch for motion as soon as it is back.").waitFor();
});

test("the page is good to look at on a desk and on a phone", async () => {
  await page.reload();
  await shoot("desk", DESK);
  await shoot("phone", PHONE);
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `the phone scrolls sideways: ${width} pixels`);
  await page.emulateMedia({ colorScheme: "dark" });
  await shoot("phone-dark", PHONE);
});

test("a capture with a spoiled segment says so and plays segment by segment", async () => {
  await porch.record("pir", ago(0.5), VIEWS.coast, { spoiled: 1 });
  const broken = page.locator(".capture.broken");
  await broken.getByText("not whole: 3 segments").waitFor();
  await broken.getByText(/segment 1/i).waitFor();

  await broken.getByRole("button", { name: /^Play porch/ }).click();
  const current = page.locator('#player-parts [aria-current="true"]');
  // Nor does it go on to the next one meanwhile.
  await page.waitForFunction(() => {
    const video = document.querySelector("#player video");
    if (!(video?.currentTime > 0.5)) return false;
    video.pause();
    return true;
  });
  assert.equal(await current.textContent(), "Segment 0");
  await page.getByRole("button", { name: "Segment 1" }).click();
  await page.getByText("This browser can’t play this video").waitFor();
  await page.getByRole("button", { name: "Segment 2" }).click();
  await page.waitForFunction(() => document.querySelector("#player video").currentTime > 0.5);
  await page.keyboard.press("Escape");
});

test("a server that was away is joined again, and what came meanwhile is there", async () => {
  await scene.stopServing();
  await page.getByText("Reconnecting…").waitFor();
  await porch.record("cap", ago(0.1), VIEWS.dusk);
  await scene.serve();
  await page.getByText("Live", { exact: true }).waitFor();
  await captures().nth(5).waitFor();
});

test("signing out forgets what was shown", async () => {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Password").waitFor();
  assert.equal(await page.locator(".camera, .capture").count(), 0);
  const status = await page.evaluate(async () => (await fetch("/api/captures")).status);
  assert.equal(status, 401);
});

test("nothing went elsewhere, nothing was refused by the policy, nothing failed", () => {
  assert.deepEqual(offences, []);
});

/** A step of a person's; where it fails, a screenshot shows what that person saw. */
function test(name, step) {
  return nodeTest(name, async () => {
    try {
      await step();
    } catch (error) {
      await page?.screenshot({ path: `${SCREENSHOTS}/failed.png` });
      throw error;
    }
  });
}

const card = (name) => page.locator(".camera").filter({ has: page.getByRole("heading", { name, exact: true }) });

/** The captures that are complete, in the order in which they are shown. */
const captures = () => page.locator(".capture.complete");

/** A screenshot, once every still on it is drawn. */
async function shoot(name, size) {
  await page.setViewportSize(size);
  await page.evaluate(() => scrollTo(0, 0));
  await page.waitForFunction(() => {
    const seen = [...document.querySelectorAll(".capture.complete .screen")].filter((screen) => {
      const { top, bottom } = screen.getBoundingClientRect();
      return bottom > 0 && top < innerHeight;
    });
    return seen.length > 0 && seen.every((screen) => !screen.querySelector("canvas").hidden);
  });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

function watch(page) {
  const origin = new URL(scene.people).origin;
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) offences.push(`request to ${request.url()}`);
  });
  page.on("pageerror", (error) => offences.push(`error: ${error.stack}`));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !EXPECTED.test(text)) offences.push(`console: ${text}`);
  });
}
