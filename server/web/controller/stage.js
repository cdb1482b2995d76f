// A room's screen in small: each open slot is a box that people move and resize, with its camera's picture in it.

import { announce, fromTemplate } from "../dom.js";
import { boxOf, moved, paramsOf, resized } from "./arrangement.js";

/** By how many of the screen's pixels an arrow key moves a picture. */
const STEP = 10;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage {
  #node;
  #onPlaced;
  #screen = { width: 1280, height: 720 };
  #boxes = new Map();
  #feeds = new Map();
  #sizes = new ResizeObserver(() => this.#boxes.forEach((box) => box.draw()));

  /** `onPlaced(slot, geometry)` carries out what a person wants; it never throws. */
  constructor(node, onPlaced) {
    this.#node = node;
    this.#onPlaced = onPlaced;
    this.#sizes.observe(node);
  }

  /** The size of the screen, in pixels, that the stage stands for. */
  set screen(screen) {
    this.#screen = screen;
    this.#node.style.setProperty("--ratio", screen.width / screen.height);
    for (const box of this.#boxes.values()) box.settle();
  }

  /** The slots that are open, and what the room says of them. */
  show(slots) {
    for (const [number, box] of this.#boxes) {
      if (slots.some(({ slot }) => slot === number)) continue;
      box.node.remove();
      this.#boxes.delete(number);
    }
    for (const slot of slots) this.#box(slot).show(slot);
  }

  /** A feed came, in the place of an earlier one of its slot. */
  take(feed) {
    this.#feeds.set(Number(feed.slot), feed);
    this.#boxes.get(Number(feed.slot))?.take(feed);
  }

  /** A feed went. */
  drop(feed) {
    this.#feeds.delete(Number(feed.slot));
  }

  /** Puts a slot's picture before all others. */
  bringToFront(slot) {
    const others = [...this.#boxes].filter(([number]) => number !== slot).map(([, box]) => box.z);
    this.#boxes.get(slot).raise(Math.max(0, ...others) + 1);
  }

  close() {
    this.#sizes.disconnect();
  }

  #box({ slot }) {
    const known = this.#boxes.get(slot);
    if (known) return known;
    const box = new Box(slot, () => this.#frame(), (geometry) => this.#onPlaced(slot, geometry));
    this.#boxes.set(slot, box);
    if (this.#feeds.has(slot)) box.take(this.#feeds.get(slot));
    this.#node.append(box.node);
    return box;
  }

  #frame() {
    return { screen: this.#screen, scale: this.#node.clientWidth / this.#screen.width };
  }
}

/**
 * One picture's place. While a person holds it, or the room has not answered yet, what the room says of it waits:
 *
 *   as told ──press──▶ held ──release──▶ sending ──answer──▶ as told
 *      ▲                 └── cancelled ──────┐
 *      └─────────────────────────────────────┘
 */
class Box {
  #parts;
  #number;
  #frame;
  #place;
  #told = null;
  #box = null;
  #isHeld = false;
  #isSending = false;
  #isUnsent = false;

  /** `frame()` is the screen and how many pixels of the stage one of its is; `place(geometry)` tells the room. */
  constructor(number, frame, place) {
    this.#number = number;
    this.#frame = frame;
    this.#place = place;
    this.#parts = fromTemplate("box-template");
    const { node, handle } = this.#parts;
    node.addEventListener("pointerdown", (event) => this.#grab(event, this.#moved));
    handle.addEventListener("pointerdown", (event) => this.#grab(event, this.#resized));
    node.addEventListener("keydown", (event) => this.#key(event));
  }

  get node() {
    return this.#parts.node;
  }

  get z() {
    return this.#box.z;
  }

  show(slot) {
    this.#told = slot;
    this.node.classList.toggle("is-hidden", !slot.visible);
    const remark = slot.visible ? (slot.feed === null ? " · waiting" : "") : " · hidden";
    this.#parts.label.textContent = `Camera ${this.#number + 1}${remark}`;
    this.settle();
  }

  take(feed) {
    this.#parts.picture.replaceChildren(feed.node);
  }

  /** Puts it where it is in the stage's own pixels. */
  draw() {
    const { scale } = this.#frame();
    const { x, y, width, height, z } = this.#box;
    const px = (length) => `${length}px`;
    Object.assign(this.node.style, {
      left: px(x * scale), top: px(y * scale), width: px(width * scale), height: px(height * scale), zIndex: z,
    });
    // The picture, and what is written over it, is the screen's in small.
    Object.assign(this.#parts.picture.style, { width: px(width), height: px(height), transform: `scale(${scale})` });
    const [left, top, across, down] = [x, y, width, height].map(Math.round);
    this.node.setAttribute("aria-label", `Camera ${this.#number + 1} at ${left}, ${top}: ${across} × ${down}`);
  }

  /** Goes where the room says, unless a person or a request is ahead of it. */
  settle() {
    if (this.#isHeld || this.#isSending) return;
    this.#box = boxOf(this.#told.geometry, this.#frame().screen);
    this.draw();
  }

  raise(z) {
    this.#box = { ...this.#box, z };
    this.draw();
    this.#send();
  }

  #moved = (box, across, down) => moved(box, across, down, this.#frame().screen);

  #resized = (box, across, down) => {
    const { videoWidth, videoHeight } = this.node.querySelector("video") ?? {};
    const ratio = videoWidth ? videoWidth / videoHeight : box.width / box.height;
    return resized(box, across, down, ratio, this.#frame().screen);
  };

  #grab(event, change) {
    // A second finger, and buttons that mean something else, are not for us.
    if (event.button !== 0 || this.#isHeld) return;
    event.stopPropagation();
    const [{ clientX, clientY, pointerId, currentTarget }, before] = [event, this.#box];
    const { scale } = this.#frame();
    const listening = new AbortController();
    const on = (name, handle) => currentTarget.addEventListener(name, handle, { signal: listening.signal });
    const release = () => {
      listening.abort();
      this.#isHeld = false;
      this.node.classList.remove("is-held");
    };
    currentTarget.setPointerCapture(pointerId);
    this.#isHeld = true;
    this.node.classList.add("is-held");
    on("pointermove", (move) => {
      this.#box = change(before, (move.clientX - clientX) / scale, (move.clientY - clientY) / scale);
      this.draw();
    });
    on("pointerup", () => {
      release();
      if (this.#box !== before) this.#send();
      else this.settle();
    });
    on("pointercancel", () => {
      release();
      this.settle();
    });
  }

  #key(event) {
    const arrow = ARROWS[event.key];
    if (!arrow || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [across, down] = arrow.map((direction) => direction * STEP);
    if (event.shiftKey) {
      const grows = across + down > 0 ? STEP : -STEP;
      this.#box = this.#resized(this.#box, grows, (grows * this.#box.height) / this.#box.width);
    } else {
      this.#box = this.#moved(this.#box, across, down);
    }
    this.draw();
    announce(this.node.getAttribute("aria-label"));
    this.#send();
  }

  /** Tells the room where it is now: one request at a time, and of those that wait the newest alone. */
  async #send() {
    this.#isUnsent = true;
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#isUnsent) {
      this.#isUnsent = false;
      const { relative_to } = this.#told.geometry;
      await this.#place({ relative_to, params: paramsOf(this.#box, this.#frame().screen) });
    }
    this.#isSending = false;
    this.settle();
  }
}
