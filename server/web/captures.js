// The captures: one card each, last arrived first, under the day on which they were recorded.

import * as api from "./api.js";
import { announce, byId, element, fromTemplate, showText } from "./dom.js";
import { capitalised, count, dayKey, dayName, duration, isoTime, size, timeOfDay } from "./format.js";
import { play } from "./player.js";
import { drawStill } from "./stills.js";

export class Captures {
  #list = byId("captures");
  #filter = byId("of-camera");
  #older = byId("older");
  #days = new Map();
  #cards = new Map();
  #names = null;
  /** Where the captures begin that are not read yet; null where there are none, undefined before the first read. */
  #next = undefined;
  #onSeen;
  #onError;

  /** `onSeen` is told every capture that is read; `onError` what went wrong. */
  constructor(onSeen, onError) {
    this.#onSeen = onSeen;
    this.#onError = onError;
    this.#filter.addEventListener("change", () => this.#read({ before: null, isAnew: true }));
    this.#older.addEventListener("click", () => this.#read({ before: this.#next }));
  }

  /** Reads the newest captures into what is shown. */
  refresh() {
    return this.#read({ before: null });
  }

  /** The cameras that one may choose from; one alone is no choice. */
  offer(names) {
    if (names.join() === this.#names) return;
    this.#names = names.join();
    const chosen = this.#filter.value;
    const options = ["", ...names].map((name) => {
      const option = element("option", name || "all cameras");
      option.value = name;
      return option;
    });
    this.#filter.replaceChildren(...options);
    this.#filter.value = names.includes(chosen) ? chosen : "";
    byId("filter").hidden = names.length < 2;
    byId("no-captures-hint").textContent = names.length
      ? "Press “Capture now” on a camera, or arm it and walk past it."
      : "Captures appear here by themselves once a camera is there.";
  }

  /** A capture began, grew or ended just now. */
  live(capture) {
    if (this.#filter.value && capture.camera !== this.#filter.value) return;
    const isNew = !this.#cards.has(capture.id);
    const card = this.#put(capture);
    if (isNew) {
      card.node.classList.add("fresh");
      announce(`New capture of ${capture.camera}`);
    }
    this.#settle();
  }

  /** These captures are no more. */
  drop(ids) {
    for (const id of ids) {
      this.#cards.get(id)?.node.remove();
      this.#cards.delete(id);
    }
    for (const [key, { node, captures }] of this.#days) {
      if (captures.children.length) continue;
      node.remove();
      this.#days.delete(key);
    }
    this.#settle();
  }

  async #read({ before, isAnew = false }) {
    const camera = this.#filter.value;
    this.#older.disabled = true;
    try {
      const { captures, next } = await api.captures({ camera, before });
      // Somebody may have chosen another camera meanwhile.
      if (camera !== this.#filter.value) return;
      // More came than a page holds since the last read: what was shown before is not the continuation.
      const hasGap = !before && next !== null && !captures.some(({ id }) => this.#cards.has(id));
      if (isAnew || hasGap) this.#clear();
      else if (!before) this.drop(this.#missingFrom(captures, next));
      captures.forEach((capture) => {
        this.#put(capture);
        this.#onSeen(capture);
      });
      // What is read again from the top says nothing of how far down the list has been read.
      if (before || this.#next === undefined) this.#next = next;
      this.#settle();
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#older.disabled = false;
    }
  }

  /** What is shown and is not among the newest, though it would be. */
  #missingFrom(newest, next) {
    const ids = new Set(newest.map(({ id }) => id));
    const last = next ? Math.min(...[...ids].map(Number)) : 0;
    return [...this.#cards.keys()].filter((id) => Number(id) > last && !ids.has(id));
  }

  #clear() {
    this.#days.clear();
    this.#cards.clear();
    this.#next = undefined;
    this.#list.replaceChildren();
  }

  #settle() {
    this.#list.setAttribute("aria-busy", "false");
    byId("no-captures").hidden = this.#cards.size > 0;
    this.#older.hidden = !this.#next;
    // What was today may be yesterday by now.
    this.#days.forEach(({ name, seconds }) => (name.textContent = dayName(seconds)));
  }

  #put(capture) {
    const known = this.#cards.get(capture.id);
    if (known) {
      known.show(capture);
      return known;
    }
    const card = new CaptureCard(capture);
    this.#cards.set(capture.id, card);
    const cards = this.#day(capture.shown_at);
    const older = [...cards.children].find((node) => isBefore(this.#cards.get(node.dataset.id).capture, capture));
    cards.insertBefore(card.node, older ?? null);
    return card;
  }

  /** The list of a day's cards. */
  #day(seconds) {
    const key = dayKey(seconds);
    if (!this.#days.has(key)) {
      const { node, name, captures } = fromTemplate("day-template");
      const olderKey = [...this.#days.keys()].filter((other) => other < key).sort().pop();
      this.#list.insertBefore(node, this.#days.get(olderKey)?.node ?? null);
      this.#days.set(key, { node, name, captures, seconds });
    }
    return this.#days.get(key).captures;
  }
}

class CaptureCard {
  #parts = fromTemplate("capture-template");

  constructor(capture) {
    const { node, play: button } = this.#parts;
    node.dataset.id = capture.id;
    button.addEventListener("click", () => play(this.capture));
    this.show(capture);
  }

  get node() {
    return this.#parts.node;
  }

  show(capture) {
    const { node, play: button, length, time, camera, trigger, state, reason, clock } = this.#parts;
    const video = stillOf(capture);
    const isNewVideo = video && video !== (this.capture && stillOf(this.capture));
    this.capture = capture;

    node.classList.remove("open", "complete", "broken");
    node.classList.add(capture.state);
    button.disabled = !isPlayable(capture);
    button.setAttribute("aria-label", `Play ${capture.camera}, ${timeOfDay(capture.shown_at)}`);
    length.textContent = capture.joined ? duration(capture.joined.duration_s) : "";
    time.textContent = timeOfDay(capture.shown_at);
    time.dateTime = isoTime(capture.shown_at);
    camera.textContent = capture.camera;
    trigger.textContent = capture.trigger === "pir" ? "Motion" : "Requested";
    state.textContent = stateText(capture);
    showText(reason, capture.error && `${capitalised(capture.error)}.`);
    showText(clock, capture.clock_is_off ? "The board’s clock was not set: this is when it reached the server." : null);
    if (isNewVideo) drawStill(button, video);
  }
}

const isBefore = (one, other) =>
  one.shown_at < other.shown_at || (one.shown_at === other.shown_at && Number(one.id) < Number(other.id));

const isPlayable = ({ state, parts }) => state === "complete" || (state === "broken" && parts.length > 0);

/** The video whose first picture stands for the capture. */
function stillOf(capture) {
  if (capture.video) return capture.video;
  return isPlayable(capture) ? capture.parts.find((part) => part.type === "video/mp4")?.url : undefined;
}

function stateText({ state, joined, parts }) {
  switch (state) {
    case "open":
      return parts.length ? `${count(parts.length, "segment")} so far` : "has begun";
    case "complete":
      return size(joined.bytes);
    case "broken":
      return parts.length ? `not whole: ${count(parts.length, "segment")}` : "nothing of it arrived";
  }
}
