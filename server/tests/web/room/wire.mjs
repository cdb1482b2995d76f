// A page's WebSockets in the hands of a test: what the page says is kept, and may be held up, or break the connection; what it
// is told may be kept from it.

export class Wire {
  #said = [];
  #open = new Set();
  #cutsAt = null;
  #held = Promise.resolve();
  #unheard = null;

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
    server.onMessage((message) => {
      if (this.#unheard === null || !message.includes(this.#unheard)) page.send(message);
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
}
