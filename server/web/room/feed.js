// One camera on the screen: its picture, what is written over it, and where it is.
//
// Ids and classes are the original's. Sizes and places are set one by one, never as a style attribute or sheet: so the
// same code works under our page's strict policy and in a noVNC page that knows nothing of it.

import { buildAnnotation } from "./annotation.js";
import { parseGeometry, place } from "./geometry.js";

/** Where captions seldom are. */
const NOTE = {
  position: "absolute", left: "0", right: "0", top: "0", zIndex: "1", margin: "0", padding: "6px 10px", color: "#fff",
  background: "rgb(10 16 28 / 75%)", font: "14px/1.4 system-ui, sans-serif",
};

/** An annotation that says nothing of its looks is a caption. */
const CAPTION = {
  position: "absolute", left: "0", right: "0", bottom: "0", margin: "0", padding: "4px 8px", color: "#fff",
  background: "rgb(10 16 28 / 75%)", font: "16px/1.4 system-ui, sans-serif", overflowWrap: "anywhere", textAlign: "center",
};

export class Feed {
  node = document.createElement("div");
  #video = document.createElement("video");
  #note = document.createElement("p");
  #annotation = null;
  #geometry = null;

  constructor(slot) {
    this.slot = slot;
    this.node.id = `camera-feed-${slot}-container`;
    this.node.className = "camera-feed-container";
    // What is written over it stays within it, whatever its style says.
    Object.assign(this.node.style, { overflow: "hidden", contain: "layout paint" });
    this.node.setAttribute("role", "group");
    this.node.setAttribute("aria-label", this.name);

    this.#video.id = `camera-feed-${slot}`;
    this.#video.className = "camera-feed";
    // Only a silent video starts by itself.
    Object.assign(this.#video, { muted: true, autoplay: true, playsInline: true });
    Object.assign(this.#video.style, { display: "block", width: "100%", height: "100%" });

    this.#note.className = "camera-feed-note";
    this.#note.setAttribute("role", "status");
    Object.assign(this.#note.style, NOTE);
    this.node.append(this.#video, this.#note);
  }

  /** Whether the room's controller has it shown. */
  get isShown() {
    return this.node.style.visibility !== "hidden";
  }

  get name() {
    return `Camera ${Number(this.slot) + 1}`;
  }

  /** Everything that the server keeps of a feed. */
  take({ feedId, geometry, visibility, annotation }) {
    this.feedId = feedId;
    if (geometry) this.command(geometry);
    if (visibility) this.command(visibility);
    this.annotate(annotation);
  }

  /** Shows this picture; the one before stays until the new one comes. */
  play(stream) {
    this.#video.srcObject = stream;
    this.note("");
    this.#start();
  }

  /** A browser that saves power may refuse; the picture then waits for a press anywhere on the page, or of a key. */
  #start() {
    const stream = this.#video.srcObject;
    this.#video.play().then(() => this.note(""), ({ name }) => {
      // Another picture came, or none does any more.
      if (name !== "NotAllowedError" || this.#video.srcObject !== stream) return;
      this.note("Press anywhere, or any key, to see the picture.");
      const pressed = new AbortController();
      const again = () => {
        pressed.abort();
        this.#start();
      };
      for (const event of ["pointerdown", "keydown"]) addEventListener(event, again, { signal: pressed.signal });
    });
  }

  /** Says over the picture why there is none, or nothing. */
  note(text) {
    this.#note.textContent = text;
    this.#note.hidden = !text;
  }

  annotate(html) {
    this.#annotation?.remove();
    this.#annotation = buildAnnotation(html);
    if (!this.#annotation) return;
    this.#annotation.classList.add("annotation");
    if (!this.#annotation.style.position) Object.assign(this.#annotation.style, CAPTION);
    this.node.append(this.#annotation);
  }

  /** What a room's controller says of this feed. Words that are not known are for others. */
  command({ command, params }) {
    if (command === "show" || command === "hide") {
      const isHidden = command === "hide";
      // The picture goes on coming, so that it is there at once when it is shown again.
      this.node.style.visibility = isHidden ? "hidden" : "visible";
      this.node.classList.toggle("visually-hidden", isHidden);
    } else {
      this.#geometry = parseGeometry({ command, params }) ?? this.#geometry;
    }
  }

  /** Puts it into its place; `frame` is what `place` wants to know of the window. */
  placeIn(frame) {
    if (!this.#geometry) return;
    const { left, right, top, bottom, width, height, zIndex } = place(this.#geometry, frame);
    const px = (length) => (length === undefined ? "auto" : `${length}px`);
    Object.assign(this.node.style, {
      position: "fixed", left: px(left), right: px(right), top: px(top), bottom: px(bottom), width: px(width),
      height: px(height), zIndex,
    });
  }

  /** Leaves its place to the page's own layout. */
  unplace() {
    for (const name of ["position", "left", "right", "top", "bottom", "width", "height", "zIndex"]) {
      this.node.style[name] = "";
    }
  }

  remove() {
    this.#video.srcObject = null;
    this.node.remove();
  }
}
