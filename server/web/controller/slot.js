// A slot: who may send in it, what is seen of it, and the link for its camera.

import { ApiError } from "../api.js";
import { fromTemplate, htmlOf, showText, textOf } from "../dom.js";
import { copyOnPress, senderLink, showLink } from "./links.js";

/** How long good news stays. */
const GOOD_NEWS_MS = 4_000;

export class SlotCard {
  #parts = fromTemplate("slot-template");
  #room = null;
  #slot = null;
  #act;
  #news = 0;

  /**
   * A card of the slot of this number. `act(action, body)` resolves once the room has done it; `onFront` brings the
   * slot's picture before all others.
   */
  constructor(number, act, onFront) {
    this.#act = act;
    const name = `Camera ${number + 1}`;
    const { activate, copy, qr, shown, front, caption, limit, renew, deactivate } = this.#parts;
    this.#parts.name.textContent = name;
    const share = {
      title: `The link of ${name.toLowerCase()}`,
      hint: "Whoever has it can send a picture, until the camera gets a new link here, or is deactivated.",
      link: () => senderLink(this.#room, this.#slot),
    };
    copyOnPress(copy, share);
    qr.addEventListener("click", () => showLink(share));
    front.addEventListener("click", onFront);
    this.#on(activate, "click", "activate", () => ({}), "Now send its link to whoever has the camera.");
    this.#on(renew, "click", "refresh", () => ({}), "The former link is worth nothing any more. Who sends goes on.");
    this.#on(deactivate, "click", "deactivate", () => ({}), "");
    this.#on(shown, "click", "visibility", () => ({ visible: !this.#slot.visible }), "");
    this.#on(caption, "change", "annotation", () => ({ html: htmlOf(caption.value.trim()) || null }), "The caption is set.");
    this.#on(limit, "change", "bitrate", () => ({ limit: Math.round(limit.valueAsNumber * 1000) }), "The limit is set.");
    for (const field of [caption, limit]) {
      // What is asked for in this moment is filled in when it is answered.
      field.addEventListener("blur", () => field.ariaBusy === null && this.#fill(field));
    }
  }

  get node() {
    return this.#parts.node;
  }

  show(room, slot) {
    this.#room = room;
    this.#slot = slot;
    const { node, state, sender, closed, open, activate, copy, shown, caption, limit } = this.#parts;
    const isOpen = slot.token !== null;
    node.classList.toggle("online", slot.feed !== null);
    state.textContent = stateOf(slot);
    showText(sender, isOpen && slot.name_html && `Sent by ${textOf(slot.name_html)}`);
    const losesFocus = (isOpen ? closed : open).contains(document.activeElement);
    closed.hidden = isOpen;
    open.hidden = !isOpen;
    if (losesFocus) (isOpen ? copy : activate).focus();
    shown.setAttribute("aria-checked", slot.visible);
    for (const field of [caption, limit]) {
      // What somebody is writing is left alone.
      if (document.activeElement !== field) this.#fill(field);
    }
  }

  /** Says what went wrong, or that all went well. */
  tell(text, outcome) {
    clearTimeout(this.#news);
    const { progress } = this.#parts;
    progress.textContent = text;
    progress.classList.toggle("failed", outcome === "failed");
    if (outcome !== "failed") this.#news = setTimeout(() => (progress.textContent = ""), GOOD_NEWS_MS);
  }

  /** Has a field say what the room says. */
  #fill(field) {
    const { annotation, bitrate_limit: limit } = this.#slot;
    field.value = field === this.#parts.caption ? textOf(annotation ?? "") : limit / 1000;
  }

  #on(control, event, action, body, done) {
    control.addEventListener(event, async () => {
      if (control.validity && !control.reportValidity()) return;
      // A button is pressed once, and keeps its focus, which one that is disabled loses.
      if (control.ariaBusy === "true") return;
      control.ariaBusy = String(control.localName === "button");
      try {
        await this.#act(action, body());
        this.tell(done);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.tell(error.message, "failed");
        // What was not done is not shown as if it were.
        this.show(this.#room, this.#slot);
      } finally {
        control.ariaBusy = null;
      }
    });
  }
}

const stateOf = ({ token, feed, visible }) => {
  if (token === null) return "Off: nobody may send";
  if (feed === null) return "Waiting for its camera";
  return visible ? "Live" : "Live, but hidden";
};
