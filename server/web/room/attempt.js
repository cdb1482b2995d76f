// One attempt to send a camera's picture in a slot: from the first connection to whatever ends it.
//
//   connect ──▶ sender_init ──▶ Janus: join, publish ──▶ set_feed_id ──▶ live
//                                 ▲                                       │
//                                 └──────────── publish_again ────────────┘

import { io } from "../vendor/socket.io.esm.min.js";
import { eventsOf, janusUrl } from "./address.js";
import { Janus, VERDICT_MS } from "./janus.js";
import { Publisher } from "./publisher.js";
import { whyUnreachable } from "./reach.js";

const ANSWER_MS = 10_000;

/** The server refused an event. The message is its own, and fit to be shown. */
export class Refusal extends Error {
  constructor(event, message) {
    super(message);
    this.event = event;
  }
}

/** Somebody who looks after the room ended this camera. */
export class Dismissal extends Error {}

export class Attempt {
  #sending;
  #onState;
  #socket = null;
  #janus = null;
  #publisher = null;
  #hasSlot = false;
  #isLive = false;
  #isOver = false;
  #controllerLimit = 0;
  /** The sender's own limit as the server heard it last. */
  #toldLimit = 0;
  #publishAgain = () => {};
  #end;
  #ended;

  /**
   * `sending` is what is sent: room, slot, token, pin, resume, name, track, userLimit. `onState` is told `live` each time
   * that it flows, or has another limit, and `connecting` where it is to be published again.
   */
  constructor(sending, onState) {
    this.#sending = sending;
    this.#onState = onState;
    this.#ended = new Promise((_, reject) => (this.#end = reject));
  }

  /** Sends until something ends it, and throws what. */
  async run() {
    try {
      await Promise.race([this.#ended, this.#share()]);
    } finally {
      this.close();
    }
  }

  close() {
    this.#isOver = true;
    this.#end(new Error("over"));
    this.#unpublish();
    this.#socket?.disconnect();
  }

  /** The limit that the room's controller set, in bit/s; 0 is none. */
  get controllerLimit() {
    return this.#controllerLimit;
  }

  /** What the encoder has sent so far; undefined while nothing flows. */
  sent() {
    return this.#publisher?.sent();
  }

  /** Another camera's picture. Where the browser can't exchange them, the next attempt has it. */
  replace(track) {
    const publisher = this.#publisher;
    publisher?.replace(track).catch(() => {
      if (publisher === this.#publisher) this.#end(new Error("The browser can’t send another camera’s picture here."));
    });
  }

  /** Another name, for those who see the picture. */
  rename(newName) {
    this.#socket?.emit("change_name", { newName });
  }

  /** The sender's own limit changed: the server is told, and the encoder obeys; before it publishes, then. */
  async limit() {
    if (!this.#publisher) return;
    await this.#tellLimit();
    await this.#obey();
  }

  async #share() {
    await this.#connect();
    await this.#showToken();
    this.#hasSlot = true;
    while (!this.#isOver) {
      const again = new Promise((resolve) => (this.#publishAgain = resolve));
      await this.#publish();
      await again;
      this.#unpublish();
      if (!this.#isOver) this.#onState("connecting");
    }
  }

  async #connect() {
    const { origin, path } = eventsOf(this.#sending.room);
    const socket = io(origin, {
      path, transports: ["websocket", "polling"], tryAllTransports: true, reconnection: false, forceNew: true,
      timeout: ANSWER_MS,
    });
    this.#socket = socket;
    socket.on("publish_again", () => this.#publishAgain());
    socket.on("new_controller_bitrate_limit", ({ bitrateLimit }) => {
      this.#controllerLimit = bitrateLimit;
      this.#obey();
      if (this.#isLive) this.#onState("live");
    });
    socket.on("disconnect", (reason) => {
      if (reason !== "io server disconnect") this.#end(new Error("The connection to the server broke."));
      else if (this.#hasSlot) this.#end(new Dismissal("This camera was ended by the room, or goes on elsewhere."));
      // Somebody at this address guesses tokens faster than he is answered.
      else this.#end(new Error("The server looks at no more tokens from here for a moment."));
    });
    await new Promise((resolve, reject) => {
      socket.on("connect", resolve);
      socket.on("connect_error", async () => reject(new Error(await whyUnreachable({ origin, path }))));
    });
  }

  async #publish() {
    const { room, pin, track } = this.#sending;
    this.#janus = await this.#unlessOver(Janus.open(janusUrl()));
    const onEnd = (reason) => this.#end(new Error(reason));
    const maxBitrate = this.#limitInForce();
    const publishing = Publisher.start(this.#janus, { room, pin, track, maxBitrate, onEnd });
    this.#publisher = await this.#unlessOver(publishing);
    // Another camera may have been chosen meanwhile, another name and another limit.
    if (track !== this.#sending.track) await this.#publisher.replace(this.#sending.track);
    const answer = await this.#takeSlot();
    this.#controllerLimit = answer.controllerBitrateLimit ?? 0;
    if (this.#sending.userLimit !== this.#toldLimit) await this.#tellLimit();
    await this.#obey();
    if (this.#isOver) return;
    this.#isLive = true;
    this.#onState("live");
  }

  #showToken() {
    const { slot, token, resume } = this.#sending;
    return this.#ask("sender_init", { slot, token, resume }, VERDICT_MS);
  }

  /** The server refuses a token that was replaced since in the same way as a slot that is taken: asking for it tells. */
  async #takeSlot() {
    const { name } = this.#sending;
    try {
      return await this.#ask("set_feed_id", { ...this.#publisher.ids, ...(name && { customName: name }) });
    } catch (error) {
      if (error instanceof Refusal) {
        this.#hasSlot = false;
        await this.#showToken();
      }
      throw error;
    }
  }

  /** What was opened after the attempt was over is closed at once. */
  async #unlessOver(opening) {
    const opened = await opening;
    if (!this.#isOver) return opened;
    opened.close();
    throw new Error("over");
  }

  #unpublish() {
    this.#isLive = false;
    this.#publisher?.close();
    this.#janus?.close();
    this.#publisher = this.#janus = null;
  }

  /** An encoder that takes no limit is no reason to end: the server has Janus hold it to the same. */
  async #obey() {
    await this.#publisher?.limit(this.#limitInForce()).catch(() => {});
  }

  async #tellLimit() {
    const bitrateLimit = (this.#toldLimit = this.#sending.userLimit);
    await this.#ask("set_bitrate_limit", { bitrateLimit });
  }

  #limitInForce() {
    const limits = [this.#controllerLimit, this.#sending.userLimit].filter((limit) => limit > 0);
    return limits.length ? Math.min(...limits) : 0;
  }

  async #ask(event, data, patience = ANSWER_MS) {
    let answer;
    try {
      answer = await this.#socket.timeout(patience).emitWithAck(event, data);
    } catch {
      throw new Error("The server does not answer.");
    }
    if (!answer.success) throw new Refusal(event, answer.message);
    return answer;
  }
}
