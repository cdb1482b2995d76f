// A network between browsers and a server, as a phone has it that changes from one to another: it loses its connections,
// and the server does not learn of it.

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Relay {
  #server = createServer();
  #pairs = new Set();
  #isDown = false;

  static async start(port) {
    const relay = new Relay();
    relay.#server.on("connection", (near) => {
      if (relay.#isDown) near.destroy();
      else relay.#join(near, connect(port, "127.0.0.1"));
    });
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  /** An address of the server's, by way of this network. */
  through(address) {
    return Object.assign(new URL(address), { port: this.#server.address().port }).href;
  }

  #join(near, far) {
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const end of pair) end.on("error", () => {});
    near.pipe(far);
    far.pipe(near);
  }

  /** Breaks the browsers' ends of what is open; the server's stay as if nothing had happened. */
  lose() {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far).destroy();
      far.unpipe(near).resume();
    }
  }

  /** The same, and nothing comes through from now on. */
  die() {
    this.#isDown = true;
    this.lose();
  }

  revive() {
    this.#isDown = false;
  }

  close() {
    this.#server.close();
    for (const end of [...this.#pairs].flat()) end.destroy();
  }
}
