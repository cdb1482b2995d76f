// One feed's picture, kept coming for as long as the feed is there.

import { NO_SUCH_ROOM, WRONG_PIN, sentenceOf } from "./janus.js";
import { Pauses } from "./pauses.js";
import { CodecError } from "./peer.js";
import { Subscriber } from "./subscriber.js";

export class Following {
  #feed;
  #room;
  #janus;
  #onPinWanted;
  #subscriber = null;
  #isOver = false;
  /** What the loop may be waiting for, each to be ended by a call. */
  #endPicture = () => {};
  #endWaitForPin = () => {};

  /**
   * Follows a feed. `room` has the room's number and its pin, which may change; `janus()` resolves to a session;
   * `onPinWanted` is told when the pin is not the room's.
   */
  constructor(feed, room, janus, onPinWanted) {
    this.#feed = feed;
    this.#room = room;
    this.#janus = janus;
    this.#onPinWanted = onPinWanted;
    feed.note("Connecting…");
    this.#run();
  }

  /** Tries again at once where it waits for another pin. */
  pinChanged() {
    this.#endWaitForPin();
  }

  stop() {
    this.#isOver = true;
    this.#subscriber?.close();
    this.#endPicture();
    this.#endWaitForPin();
  }

  async #run() {
    const pauses = new Pauses();
    while (!this.#isOver) {
      const { pin } = this.#room;
      try {
        await this.#receive(pin, () => pauses.reset());
      } catch (error) {
        if (this.#isOver) return;
        this.#feed.note(noteOf(error));
        if (error instanceof CodecError) return;
        if (error.code !== WRONG_PIN) await pauses.pass();
        // Another one may have come while this one was tried.
        else if (pin === this.#room.pin) await this.#otherPin();
      }
    }
  }

  /** Subscribes; throws as soon as the picture does not come any more. */
  async #receive(pin, onPicture) {
    const janus = await this.#janus();
    if (this.#isOver) return;
    const ended = new Promise((resolve) => (this.#endPicture = resolve));
    const onStream = (stream) => this.#isOver || this.#feed.play(stream);
    const [{ number: room }, { feedId }] = [this.#room, this.#feed];
    const subscribed = Subscriber.start(janus, { room, pin, feedId, onStream, onEnd: this.#endPicture });
    this.#subscriber = await subscribed;
    if (this.#isOver) return this.#subscriber.close();
    this.#feed.note("");
    onPicture();
    throw new Error(await ended);
  }

  async #otherPin() {
    const changed = new Promise((resolve) => (this.#endWaitForPin = resolve));
    this.#onPinWanted();
    await changed;
  }
}

function noteOf(error) {
  const isClear = error instanceof CodecError || error.code === WRONG_PIN || error.code === NO_SUCH_ROOM;
  return isClear ? sentenceOf(error) : `${sentenceOf(error)} Trying again…`;
}
