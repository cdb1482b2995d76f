// A page's WebSockets in the hands of a test: what the page says is kept, and may be held up, or break the connection;
// what it is told may be held up, or kept from it.

import { eventually } from "./browser.mjs";

export class Wire {
  #said = [];
  #open = new Set();
  #cutsAt = null;
  #held = Promise.resolve();
  #unheard = null;
  #lateFrom = null;
  #late = Promise.resolve();

  /** Takes the WebSockets of these addresses that a page opens after it is loaded again. */
  static async tap(page, url) {
    const wire = new Wire();
    await page.routeWebSocket(url, (socket) => wire.#carry(socket));
    return wire;
  }

  #carry(page) {
    const server = page.connectToServer();
    const ends = [page, server];
    this.#open.add(ends);
    page.onMessage(async (message) => {
      this.#said.push(message);
      if (this.#cutsAt !== null && message.includes(this.#cutsAt)) return this.cut();
      await this.#held;
      server.send(message);
    });
    server.onMessage(async (message) => {
      if (this.#unheard !== null && message.includes(this.#unheard)) return;
      this.#lateFrom?.(message);
      await this.#late;
      page.send(message);
    });
  }

  /** What the page said with this word in it. */
  said(word) {
    return this.#said.filter((message) => message.includes(word));
  }

  /** Breaks what is open. */
  cut() {
    this.#cutsAt = null;
    for (const end of [...this.#open].flat()) end.close();
    this.#open.clear();
  }

  /** Breaks what is open as soon as the page says something with this word in it, before anybody hears it. */
  cutAt(word) {
    this.#cutsAt = word;
  }

  /** From now on the page hears nothing with this word in it. */
  deafen(word) {
    this.#unheard = word;
  }

  /** Holds up what the page says, until the function that is returned is called. */
  hold() {
    let release;
    this.#held = new Promise((resolve) => (release = resolve));
    return release;
  }

  /** From a message with this word in it on the page hears nothing until `release`; `came` once it is there. */
  holdBack(word) {
    const held = {};
    const isReleased = new Promise((resolve) => (held.release = resolve));
    held.came = new Promise((resolve) => {
      this.#lateFrom = (message) => {
        if (!message.includes(word)) return;
        this.#lateFrom = null;
        this.#late = isReleased;
        resolve();
      };
    });
    return held;
  }

  /** Asks the page, in Engine.IO's words, whether it is there. */
  async ping() {
    const pongs = () => this.#said.filter((message) => message === "3").length;
    const before = pongs();
    for (const [page] of this.#open) page.send("2");
    await eventually(pongs, (now) => now > before);
  }
}
