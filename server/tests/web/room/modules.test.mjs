// Modules that need neither a server nor Janus, by themselves on an empty page.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, eventually } from "./browser.mjs";
import { startSite } from "./site.mjs";

let browser, site;

before(async () => {
  [browser, site] = [await Browser.open(), await startSite()];
});

after(async () => {
  await browser?.close();
  site?.close();
});

/** A page whose locks on its screen are counted, and given as soon as the test gives them. */
async function openAwake() {
  const page = await browser.page(site.url);
  await page.evaluate(async () => {
    globalThis.locks = { held: 0, asked: [] };
    const request = async () => {
      await new Promise((resolve) => locks.asked.push(resolve));
      const lock = new EventTarget();
      let isHeld = true;
      lock.release = async () => {
        if (!isHeld) return;
        isHeld = false;
        locks.held -= 1;
        setTimeout(() => lock.dispatchEvent(new Event("release")));
      };
      locks.held += 1;
      return lock;
    };
    Object.defineProperty(navigator, "wakeLock", { value: { request } });
    const { StayAwake } = await import("/room/stay_awake.js");
    globalThis.awake = new StayAwake();
  });
  return page;
}

const want = (page, ...wishes) =>
  page.evaluate((wishes) => {
    for (const isWanted of wishes) awake.want(isWanted);
  }, wishes);
/** Gives what is asked for, once something is. */
const give = (page) =>
  page.waitForFunction(() => {
    const asked = locks.asked.splice(0);
    for (const give of asked) give();
    return asked.length;
  });
const held = (page) => page.evaluate(() => locks.held);

test("a screen that is wanted awake twice is let go once", async () => {
  const page = await openAwake();
  await want(page, true, true);
  await give(page);
  await eventually(() => held(page), (count) => count === 1);
  await want(page, false);
  await eventually(() => held(page), (count) => count === 0);
});

test("a lock that comes when it is wanted no more is let go", async () => {
  const page = await openAwake();
  await want(page, true, false);
  await give(page);
  await page.evaluate(() => new Promise(requestAnimationFrame));
  assert.equal(await held(page), 0);
  assert.equal(await page.evaluate(() => locks.asked.length), 0);
});

test("one that is wanted again at once is asked for again", async () => {
  const page = await openAwake();
  await want(page, true);
  await give(page);
  await eventually(() => held(page), (count) => count === 1);
  await want(page, false, true);
  await give(page);
  await eventually(() => held(page), (count) => count === 1);
});

test("an annotation's pictures carry themselves, or are this server's", async () => {
  const page = await browser.page(site.url);
  const kept = (source) =>
    page.evaluate(async (source) => {
      const { buildAnnotation } = await import("/room/annotation.js");
      return buildAnnotation(`<p><img src="${source}">Hall</p>`).querySelector("img").getAttribute("src");
    }, source);
  for (const source of ["/x.png", "/of/x.png", "data:image/png;base64,AA"]) {
    assert.equal(await kept(source), source);
  }
  for (const source of [
    "//evil.example/x.png", "/\\evil.example/x.png", "\\\\evil.example/x.png", "/\t/evil.example/x.png",
    "https://evil.example/x.png", "data:text/html,x", "javascript:1", "//[",
  ]) {
    assert.equal(await kept(source), null, source);
  }
});

test("an annotation's style loads nothing", async () => {
  const page = await browser.page(site.url);
  const style = (text) =>
    page.evaluate(async (text) => {
      const { buildAnnotation } = await import("/room/annotation.js");
      return buildAnnotation(`<p style='${text}'>Hall</p>`).style.cssText;
    }, text);
  assert.equal(await style("color: red; background: rgb(0, 0, 90)"), "color: red; background: rgb(0, 0, 90);");
  for (const text of [
    "background: url(//evil.example/x)", "background: u\\72l(//evil.example/x)", "cursor: url(//evil.example/x), auto",
    `background-image: image-set("//evil.example/x" 1x)`, "--x: url(//evil.example/x); color: red",
    "background: var(--nope, url(//evil.example/x))", "background: env(nope, url(//evil.example/x))",
    "background-image: var(--nope, url(//evil.example/x))", "all: var(--nope, url(//evil.example/x))",
    "cursor: v\\61r(--nope, u\\72l(//evil.example/x), auto)", "list-style: v\\61r(--nope, u\\72l(//evil.example/x))",
  ]) {
    assert.doesNotMatch(await style(text), /evil/, text);
  }
});

const PRESSES = { press: (page) => page.mouse.click(9, 9), key: (page) => page.keyboard.press("a") };
for (const [name, press] of Object.entries(PRESSES)) {
  test(`a picture that the browser does not start by itself starts at a ${name}`, async () => {
    const page = await browser.page(site.url);
    await page.evaluate(async () => {
      let isAllowed = false;
      for (const event of ["pointerdown", "keydown"]) addEventListener(event, () => (isAllowed = true));
      HTMLVideoElement.prototype.play = async () => {
        if (!isAllowed) throw new DOMException("not by itself", "NotAllowedError");
      };
      const { Feed } = await import("/room/feed.js");
      const feed = new Feed(0);
      document.body.append(feed.node);
      feed.play(new MediaStream());
    });
    const note = page.getByText("Press anywhere, or any key, to see the picture.");
    await note.waitFor();
    await press(page);
    await note.waitFor({ state: "detached" });
  });
}

test("nothing failed on any page", () => assert.deepEqual(browser.offences, []));
