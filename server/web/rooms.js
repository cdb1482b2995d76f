// The rooms: what there is, the form that makes another, and the one that is open.

import * as api from "./api.js";
import { RoomPanel } from "./controller/room.js";
import { byId, fromTemplate, showText } from "./dom.js";
import { count } from "./format.js";

const NONE_YET = {
  title: "Make your first room",
  text: "A room is for cameras in browsers: phones and laptops send their pictures, screens show them where you put "
    + "them. Give it a name; then activate a camera in it, and send its link to whoever has the camera.",
};
const NONE_OPEN = { title: "No room is open", text: "Choose one, or make another." };
const GONE = { title: "This room is not there", text: "It was removed, or the page’s address is wrong." };

export class Rooms {
  #rooms = new Map();
  #entries = new Map();
  #panel = null;
  #isRead = false;
  /** The number that the page's address asks for; null for none, undefined while rooms are not to be seen. */
  #wanted = undefined;
  /** Rooms that went so far: an answer to what was asked before may be about one of them. */
  #removals = 0;
  #onError;

  /** `onError` is told what went wrong. */
  constructor(onError) {
    this.#onError = onError;
    byId("new-room").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
  }

  /** Reads every room there is, and whether there can be any. */
  async refresh() {
    const before = new Map(this.#rooms);
    try {
      const [server, rooms] = await Promise.all([api.server(), api.rooms()]);
      byId("no-janus").hidden = server.rooms;
      byId("new-room").hidden = !server.rooms;
      for (const number of before.keys()) {
        if (!rooms.some((room) => room.number === number)) this.drop(number);
      }
      for (const room of rooms) {
        // What was known when the server was asked is older than its answer, even if it was started again and its clock
        // put back. What came meanwhile may be newer.
        const isNewer = before.get(room.number) === this.#rooms.get(room.number);
        if (isNewer) this.#show(room);
        else this.#take(room);
      }
      this.#isRead = true;
      this.#settle();
    } catch (error) {
      this.#onError(error);
    }
  }

  /** An event: a room is new, or something in it changed. */
  changed(room) {
    this.#take(room);
  }

  /** A room that is no more. */
  drop(number) {
    this.#removals += 1;
    this.#rooms.delete(number);
    this.#entries.get(number)?.node.remove();
    this.#entries.delete(number);
    this.#settle();
  }

  /** Opens the room of this number, or none; undefined where rooms are not to be seen. */
  open(number) {
    this.#wanted = number;
    this.#settle();
  }

  /** Has a request change a room, which its answer is. */
  async #change(request) {
    const removals = this.#removals;
    const room = await request;
    if (removals === this.#removals) this.#take(room);
    return room;
  }

  /** What is older than what is known is none of it. */
  #take(room) {
    if (!(this.#rooms.get(room.number)?.as_of > room.as_of)) this.#show(room);
  }

  #show(room) {
    this.#rooms.set(room.number, room);
    this.#entry(room.number).show(room);
    if (this.#panel?.number === room.number) this.#panel.show(room);
    this.#settle();
  }

  #settle() {
    const room = this.#rooms.get(this.#wanted);
    if (this.#panel && this.#panel.number !== room?.number) {
      this.#panel.close();
      this.#panel = null;
    }
    if (room && !this.#panel) {
      this.#panel = new RoomPanel(room, (request) => this.#change(request), this.#onError);
      byId("room").append(this.#panel.node);
    }
    byId("rooms").classList.toggle("is-open", Boolean(room));
    for (const [number, entry] of this.#entries) entry.isCurrent = number === room?.number;
    this.#explain(room);
  }

  /** Says why no room is open, where there can be any. */
  #explain(room) {
    byId("no-room").hidden = Boolean(room) || !this.#isRead || !byId("no-janus").hidden;
    const why = typeof this.#wanted === "number" ? GONE : this.#rooms.size ? NONE_OPEN : NONE_YET;
    byId("no-room").classList.toggle("for-desks", why === NONE_OPEN);
    byId("no-room-title").textContent = why.title;
    byId("no-room-text").textContent = why.text;
  }

  #entry(number) {
    const known = this.#entries.get(number);
    if (known) return known;
    const entry = new Entry(number);
    this.#entries.set(number, entry);
    const after = [...this.#entries.keys()].sort((one, other) => one - other).find((other) => other > number);
    byId("room-list").insertBefore(entry.node, this.#entries.get(after)?.node ?? null);
    return entry;
  }

  async #add() {
    const [name, slots, button] = [byId("room-name"), byId("room-slots"), byId("room-add")];
    showText(byId("room-refusal"), null);
    button.disabled = true;
    try {
      const { number } = await this.#change(api.addRoom({ name: name.value, slots: slots.valueAsNumber }));
      name.value = "";
      location.hash = `#rooms/${number}`;
    } catch (error) {
      if (!(error instanceof api.ApiError) || error.isSignedOut) this.#onError(error);
      else showText(byId("room-refusal"), error.message);
    } finally {
      button.disabled = false;
    }
  }
}

/** A room's that Janus does not keep, by its trouble. */
const STATES = { away: "Janus does not answer", refused: "Janus refuses it" };

/** A room in the list. */
class Entry {
  #parts = fromTemplate("room-entry-template");

  constructor(number) {
    this.#parts.link.href = `#rooms/${number}`;
  }

  get node() {
    return this.#parts.node;
  }

  set isCurrent(isCurrent) {
    this.#parts.link.setAttribute("aria-current", isCurrent);
  }

  show({ name, kept, trouble, slots }) {
    const live = slots.filter(({ feed }) => feed !== null).length;
    this.#parts.node.classList.toggle("online", live > 0);
    this.#parts.name.textContent = name;
    this.#parts.state.textContent = kept ? `${live} of ${count(slots.length, "camera")} live` : STATES[trouble] ?? "Beginning…";
  }
}
