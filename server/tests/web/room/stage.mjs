// Everything that a room needs: Janus, our server, a browser; and what tests do with its pages.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { Browser, eventually } from "./browser.mjs";
import { Janus } from "./janus.mjs";
import { Server } from "./server.mjs";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
/** Where screenshots go. */
export const SCREENSHOTS = process.env.SCREENSHOTS ?? join(root, "server/target/screenshots");

export class Stage {
  /** `options` are the server's, `janus` are Janus'. */
  static async open(options, janus) {
    const stage = new Stage();
    try {
      stage.janus = await Janus.start(janus);
      stage.server = await Server.start(stage.janus, options);
      stage.browser = await Browser.open();
    } catch (error) {
      await stage.close();
      throw error;
    }
    return stage;
  }

  async close() {
    await this.browser?.close();
    await this.server?.close();
    await this.janus?.close();
  }

  /** A sender's page, whose camera is started. */
  async sender(parameters, options) {
    const page = await this.senderPage(parameters, options);
    await page.getByRole("button", { name: "Start camera" }).click();
    return page;
  }

  senderPage(parameters, options) {
    const usual = { slot: 0, token: TOKEN, pin: "none" };
    return this.browser.page(this.server.url("sender.html", { ...usual, ...parameters }), options);
  }

  receiver(parameters, options) {
    return this.browser.page(this.server.url("receiver.html", parameters), { viewport: SCREEN, ...options });
  }
}

export const TOKEN = "let-me-in";
export const SCREEN = { width: 1280, height: 720 };

/** Resolves once a sender's page says this. */
export const says = (page, text) => page.locator("#status").filter({ hasText: text }).waitFor();
export const live = (page) => says(page, "Your picture is being sent.");

/** Keeps what a page says from now on, a sender's of its state unless told otherwise, where `said` finds it. */
export const record = (page, id = "status") =>
  page.evaluate((id) => {
    globalThis.said = [];
    const element = document.getElementById(id);
    new MutationObserver(() => said.push(element.textContent)).observe(element, { childList: true });
  }, id);
export const said = (page) => page.evaluate(() => globalThis.said);

export const feed = (page, slot) => page.locator(`#camera-feed-${slot}-container`);

/** Resolves once so many more pictures of a slot are on a receiver's screen. */
export async function moves(page, slot, more = 10) {
  const shown = () => page.evaluate(
    (id) => document.getElementById(id)?.getVideoPlaybackQuality().totalVideoFrames ?? 0, `camera-feed-${slot}`);
  let before = await shown();
  await eventually(shown, (now) => {
    // A new element counts from nothing.
    before = Math.min(before, now);
    return now >= before + more;
  });
}

/** Asserts where a feed is, once it is there. */
export async function stands(page, slot, expected) {
  const box = () => feed(page, slot).boundingBox();
  const isThere = (box) => box && Object.keys(expected).every((side) => Math.abs(box[side] - expected[side]) < 0.6);
  assert.ok(await eventually(box, isThere));
}
