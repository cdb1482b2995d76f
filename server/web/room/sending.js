// A camera's picture, kept in its slot for as long as the person wants: attempt after attempt.
//
//   off ──start──▶ connecting ──▶ live ──something broke──▶ waiting ──▶ connecting …
//    ▲                 │  └─ the slot is somebody else's ──▶ taken ───▶ connecting …
//    └──stop───────────┴─ what trying again can't mend ──▶ refused
//
// Once the picture has been live, a refusal is tried again for some minutes: a server that has just started may not know
// its slots yet. A room that ends the camera is obeyed: it starts again only when the person wants it.

import { Attempt, Dismissal, Refusal } from "./attempt.js";
import { ROOM_FULL, WRONG_PIN, sentenceOf } from "./janus.js";
import { Pauses } from "./pauses.js";
import { CodecError } from "./peer.js";

/** How long a camera that was live goes on filming while the server refuses it. */
const REFUSED_MS = 5 * 60_000;
/** Between attempts that the server refused: guesses beyond twenty a minute would be held up. */
const REFUSED_PAUSE_MS = 5_000;

export class Sending {
  #onState;
  #attempt = null;
  /** What the loop of the last start goes by; null while it is off. */
  #run = null;
  #wasLive = false;
  /** Since when the server refuses it, in a page's milliseconds; null while it does not. */
  #refusedSince = null;
  #wake = () => {};

  /**
   * `onState` is told `{state, message, wantsPin, controllerLimit}`, by the names above; not `off`, which who stops it
   * knows.
   */
  constructor({ room, slot, token, resume }, onState) {
    Object.assign(this, { room, slot, token, resume, pin: "", name: "", track: null, userLimit: 0 });
    this.#onState = onState;
  }

  /** Whether it sends, or tries to. */
  get isOn() {
    return this.#run !== null;
  }

  /** Sends this picture until it is stopped. */
  async start(track) {
    const run = (this.#run = {});
    this.track = track;
    this.#wasLive = false;
    this.#refusedSince = null;
    const pauses = new Pauses();
    while (this.#run === run) {
      this.#tell({ state: "connecting" });
      this.#attempt = new Attempt(this, (state) => {
        if (state === "live") this.#isLive(pauses);
        this.#tell({ state, controllerLimit: this.#attempt.controllerLimit });
      });
      try {
        await this.#attempt.run();
      } catch (error) {
        if (this.#run === run) await this.#failed(error, pauses);
      }
    }
  }

  stop() {
    if (!this.#run) return;
    this.#run = null;
    this.#attempt.close();
    this.#wake();
  }

  /** Another camera's picture from now on. */
  replace(track) {
    this.track = track;
    this.#attempt?.replace(track);
  }

  rename(name) {
    this.name = name;
    this.#attempt?.rename(name);
  }

  /** The person's own limit, in bit/s; 0 is none. */
  async limit(userLimit) {
    this.userLimit = userLimit;
    await this.#attempt?.limit();
  }

  sent() {
    return this.#attempt?.sent();
  }

  async #failed(error, pauses) {
    const message = sentenceOf(error);
    if (error.code === WRONG_PIN) {
      return this.#refused({ message: this.pin ? "That is not the room’s PIN." : "The room has a PIN.", wantsPin: true });
    }
    if (error instanceof Dismissal || error instanceof CodecError) return this.#refused({ message });
    const isUnknown = error instanceof Refusal && error.event === "sender_init";
    if (isUnknown && !this.#mayBeKnownAgain()) return this.#refused({ message });
    // A room has as many places as slots: where all are taken, ours is.
    const isTaken = error.code === ROOM_FULL || (error instanceof Refusal && error.event === "set_feed_id");
    this.#tell({ state: isTaken ? "taken" : "waiting", message });
    if (isTaken || error instanceof Refusal) await this.#pause();
    else await pauses.pass();
  }

  #isLive(pauses) {
    this.#wasLive = true;
    this.#refusedSince = null;
    pauses.reset();
  }

  #mayBeKnownAgain() {
    this.#refusedSince ??= performance.now();
    return this.#wasLive && performance.now() - this.#refusedSince < REFUSED_MS;
  }

  #refused(told) {
    this.#run = null;
    this.#tell({ state: "refused", ...told });
  }

  async #pause() {
    let timer;
    await new Promise((resolve) => {
      this.#wake = resolve;
      timer = setTimeout(resolve, REFUSED_PAUSE_MS);
    });
    clearTimeout(timer);
  }

  #tell(told) {
    this.#onState(told);
  }
}
