// The cameras: whether they are there, whether they watch for motion, and the button that asks for a capture.

import * as api from "./api.js";
import { byId, element, fromTemplate } from "./dom.js";
import { count, moment, size } from "./format.js";

/** The server lets a request lapse after a minute and says so; this is for when its word is lost. */
const LAPSE_MS = 65_000;
/** How long good news stays. */
const GOOD_NEWS_MS = 10_000;
/** Certificates that expire sooner are mentioned. */
const EXPIRY_SOON_S = 30 * 86_400;

export class Cameras {
  #cards = new Map();

  /** Every camera there is, by name. */
  show(cameras) {
    const names = new Set(cameras.map((camera) => camera.name));
    for (const [name, card] of this.#cards) {
      if (names.has(name)) continue;
      card.node.remove();
      this.#cards.delete(name);
    }
    cameras.forEach((camera) => this.update(camera));
    byId("no-cameras").hidden = this.#cards.size > 0;
  }

  /** One camera that changed, or is new. */
  update(camera) {
    byId("no-cameras").hidden = true;
    this.#card(camera.name).show(camera);
  }

  /** The names of all, in order. */
  get names() {
    return [...this.#cards.keys()].sort();
  }

  /** What became of a request for a capture. */
  requestSettled({ camera, request, state }) {
    this.#cards.get(camera)?.requestSettled(request, state);
  }

  /** A capture began, grew or ended: perhaps the one that was asked for. */
  captureChanged(capture) {
    this.#cards.get(capture.camera)?.captureChanged(capture);
  }

  #card(name) {
    const known = this.#cards.get(name);
    if (known) return known;
    const card = new CameraCard(name);
    this.#cards.set(name, card);
    const after = this.names[this.names.indexOf(name) + 1];
    byId("cameras").insertBefore(card.node, this.#cards.get(after)?.node ?? null);
    return card;
  }
}

/**
 * One camera. A request for a capture goes through these steps; while it waits, no other can be made:
 *
 *   none ──press──▶ waiting ──delivered──▶ recording ──a capture begins──▶ arriving ──it ends──▶ none
 *                      └───── lapsed ────▶ none
 */
class CameraCard {
  #name;
  #parts;
  #asked = null;
  /** The greatest number of a requested capture so far: they count up. */
  #newest = 0;
  #news = 0;

  constructor(name) {
    this.#name = name;
    this.#parts = fromTemplate("camera-template");
    this.#parts.name.textContent = name;
    this.#parts.capture.addEventListener("click", () => this.#askForCapture());
    this.#parts.armed.addEventListener("click", () => this.#toggleArmed());
  }

  get node() {
    return this.#parts.node;
  }

  show(camera) {
    const { node, presence, armed, facts } = this.#parts;
    node.classList.toggle("online", camera.online);
    presence.textContent = presenceText(camera);
    const wanted = camera.wanted_armed ?? camera.armed ?? false;
    armed.setAttribute("aria-checked", wanted);
    armed.setAttribute("aria-busy", wanted !== (camera.armed ?? false));
    facts.replaceChildren(...factsOf(camera).flatMap(([term, text]) => [element("dt", term), element("dd", text)]));
  }

  async requestSettled(request, state) {
    const asked = this.#asked;
    // What became of a request may be told before the answer that names it.
    const answer = await asked?.answer.catch(() => null);
    if (answer?.request !== request || asked !== this.#asked) return;
    this.#stopWaiting();
    if (state === "delivered") this.#progress("The camera has been told; its capture appears here as it comes in.");
    else this.#finish("The camera did not answer within a minute; nothing was recorded.", "failed");
  }

  captureChanged(capture) {
    if (capture.trigger !== "request") return;
    const number = Number(capture.id);
    const asked = this.#asked;
    if (asked && number > asked.after) asked.capture ??= number;
    this.#newest = Math.max(this.#newest, number);
    if (asked?.capture === number) this.#follow(capture);
  }

  #follow({ state, segments }) {
    this.#stopWaiting();
    switch (state) {
      case "open":
        return this.#progress(`The capture is arriving: ${count(segments.length, "segment")} so far…`);
      case "complete":
        return this.#finish("The capture is there.");
      case "broken":
        return this.#finish("The capture is there, but not whole.", "failed");
    }
  }

  async #askForCapture() {
    const answer = api.command(this.#name, "capture");
    this.#asked = { answer, after: this.#newest, lapse: setTimeout(() => this.#lapse(), LAPSE_MS) };
    this.#parts.capture.disabled = true;
    this.#progress("Asking the camera…");
    try {
      this.#progress((await answer).message);
    } catch (error) {
      this.#finish(error.message, "failed");
    }
  }

  #lapse() {
    this.#finish("No answer came within a minute. Is the page still connected?", "failed");
  }

  #stopWaiting() {
    clearTimeout(this.#asked?.lapse);
    this.#parts.capture.disabled = false;
  }

  async #toggleArmed() {
    const { armed } = this.#parts;
    const wanted = armed.getAttribute("aria-checked") !== "true";
    armed.disabled = true;
    try {
      const { message } = await api.command(this.#name, wanted ? "arm" : "disarm");
      this.#briefly(message);
    } catch (error) {
      this.#progress(error.message, "failed");
    } finally {
      armed.disabled = false;
    }
  }

  #progress(text, outcome) {
    clearTimeout(this.#news);
    const { progress } = this.#parts;
    progress.textContent = text;
    progress.classList.toggle("failed", outcome === "failed");
  }

  #briefly(text) {
    this.#progress(text);
    this.#news = setTimeout(() => this.#progress(""), GOOD_NEWS_MS);
  }

  #finish(text, outcome) {
    this.#stopWaiting();
    this.#asked = null;
    if (outcome === "failed") this.#progress(text, outcome);
    else this.#briefly(text);
  }
}

function presenceText({ online, since }) {
  if (since === null) return "Has never connected";
  return `${online ? "Online" : "Offline"} since ${moment(since)}`;
}

/** What is worth knowing of a camera: pairs of a term and its text. */
function factsOf({ last_alarm, report }) {
  const facts = [];
  if (last_alarm) facts.push(["Last alarm", moment(last_alarm)]);
  if (report?.backlog.captures) {
    facts.push(["Still on the board", `${count(report.backlog.captures, "capture")}, ${size(report.backlog.bytes)}`]);
  }
  const lost = (report?.evicted ?? 0) + (report?.missing ?? 0);
  if (lost) facts.push(["Lost on the board", count(lost, "segment")]);
  const expires = report?.certificate_expires;
  if (expires && expires < Date.now() / 1000 + EXPIRY_SOON_S) facts.push(["Certificate until", moment(expires)]);
  return facts;
}
