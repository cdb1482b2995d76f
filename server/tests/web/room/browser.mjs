// A browser whose camera films a moving test picture.

import { chromium } from "playwright-core";

const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
/** So many cameras, of which the first one and the third make pictures that can be sent; the second one's are depths. */
export const CAMERAS = 3;
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", `--use-fake-device-for-media-stream=device-count=${CAMERAS}`];
/** Generous: it only ends a test that would hang. */
const PATIENCE_MS = 60_000;

export class Browser {
  #browser;
  /** What must never happen: errors of our own, violations of a page's policy. */
  offences = [];

  static async open() {
    const browser = new Browser();
    browser.#browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    return browser;
  }

  /** A page in a profile of its own, whose person allows the camera, or not; `options` are playwright's. */
  async page(url, { hasCamera = true, ...options } = {}) {
    const permissions = hasCamera ? ["camera"] : [];
    const context = await this.#browser.newContext({ locale: "en-GB", colorScheme: "light", permissions, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    await context.addInitScript(keepPeers);
    const page = await context.newPage();
    page.on("pageerror", (error) => this.offences.push(`error: ${error.stack}`));
    page.on("console", (message) => {
      const isOffence = /Content Security Policy|Permissions policy|Uncaught/i.test(message.text());
      if (isOffence) this.offences.push(`console: ${message.text()}`);
    });
    await page.goto(url);
    return page;
  }

  async close() {
    await this.#browser.close();
  }
}

/** Keeps a page's connections where tests can ask them for their figures. */
function keepPeers() {
  globalThis.peers = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      peers.push(this);
    }
  };
}

/** The figures of a page's newest connection that holds, once one does, of one kind: "outbound-rtp" or "inbound-rtp". */
export function figures(page, kind) {
  const read = () => page.evaluate(async (kind) => {
    const report = await peers.findLast(({ connectionState }) => connectionState === "connected")?.getStats();
    return report && [...report.values()].find(({ type }) => type === kind);
  }, kind);
  return eventually(read, Boolean);
}

/** Resolves once a condition on a value holds, to that value. The patience is in milliseconds. */
export async function eventually(read, holds, patience = PATIENCE_MS) {
  const until = Date.now() + patience;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (Date.now() > until) throw new Error(`still ${JSON.stringify(value)} after ${patience} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
