// A room as a receiver sees it: the server says which feeds there are, Janus gives their pictures. What breaks is tried
// again for ever, each by itself.

import { io } from "../vendor/socket.io.esm.min.js";
import { eventsOf, janusUrl } from "./address.js";
import { Feed } from "./feed.js";
import { Following } from "./following.js";
import { Janus } from "./janus.js";
import { whyUnreachable } from "./reach.js";

const ANSWER_MS = 10_000;

export class Watching {
  #room;
  #view;
  #socket;
  #session = null;
  #isOver = false;
  /** By its slot, each feed and what follows it. */
  #followed = new Map();

  /**
   * `view` is told what happens: `added(feed)`, `changed(feed)`, `removed(feed)`, `link(isThere, why)` of the server,
   * `pinWanted()` where the room has another pin, and `command({slot, command, params})`, also those that it need not
   * know.
   */
  constructor({ room, pin }, view) {
    this.#room = { number: room, pin };
    this.#view = view;
    const { origin, path } = eventsOf(room);
    this.#socket = io(origin, {
      path, transports: ["websocket", "polling"], tryAllTransports: true, reconnectionDelay: 500,
      reconnectionDelayMax: 4_000,
    });
    this.#listen();
  }

  get feeds() {
    return [...this.#followed.values()].map(({ feed }) => feed);
  }

  /** Another pin, after the view was asked for one. */
  set pin(pin) {
    this.#room.pin = pin;
    for (const { following } of this.#followed.values()) following.pinChanged();
  }

  /** Watches no more: all pictures go. */
  close() {
    this.#isOver = true;
    this.#socket.disconnect();
    this.#keepOnly([]);
    this.#session?.then((janus) => janus.close(), () => {});
  }

  #listen() {
    const socket = this.#socket;
    socket.on("connect", () => this.#readState());
    socket.on("disconnect", (reason) => {
      this.#view.link(false);
      // A server that is going to be replaced says so; by itself the client would then stay away.
      if (reason === "io server disconnect") socket.connect();
    });
    socket.on("connect_error", async () => {
      const why = await whyUnreachable(eventsOf(this.#room.number));
      if (!socket.connected) this.#view.link(false, why);
    });
    socket.on("new_feed", ({ slot, ...state }) => this.#put(slot, state));
    socket.on("remove_feed", ({ slot }) => this.#remove(slot));
    socket.on("remove_all_feeds", () => this.#keepOnly([]));
    socket.on("set_annotation", ({ slot, annotation }) => this.#change(slot, (feed) => feed.annotate(annotation)));
    socket.on("remove_annotation", ({ slot }) => this.#change(slot, (feed) => feed.annotate(null)));
    socket.on("command", (told) => {
      this.#change(told.slot, (feed) => feed.command(told));
      this.#view.command(told);
    });
  }

  #readState() {
    const socket = this.#socket;
    const { id } = socket;
    socket.timeout(ANSWER_MS).emit("query_state", (error, state) => {
      // A connection that broke ends the question, too. The client is about to make another, and must not be disturbed.
      if (socket.id !== id) return;
      // Without an answer this one is no good.
      if (error) return socket.disconnect().connect();
      this.#view.link(true);
      this.#keepOnly(Object.keys(state));
      for (const [slot, feed] of Object.entries(state)) this.#put(slot, feed);
    });
  }

  #put(slot, state) {
    const known = this.#followed.get(String(slot));
    if (known?.feed.feedId === state.feedId) return this.#change(slot, (feed) => feed.take(state));
    this.#remove(slot);
    const feed = new Feed(slot);
    feed.take(state);
    const following = new Following(feed, this.#room, () => this.#janus(), () => this.#view.pinWanted());
    this.#followed.set(String(slot), { feed, following });
    this.#view.added(feed);
  }

  #change(slot, change) {
    const known = this.#followed.get(String(slot));
    if (!known) return;
    change(known.feed);
    this.#view.changed(known.feed);
  }

  #remove(slot) {
    const known = this.#followed.get(String(slot));
    if (!known) return;
    this.#followed.delete(String(slot));
    known.following.stop();
    known.feed.remove();
    this.#view.removed(known.feed);
  }

  #keepOnly(slots) {
    for (const slot of this.#followed.keys()) if (!slots.includes(slot)) this.#remove(slot);
  }

  /** The session with Janus that all feeds share; a new one where the last is over. */
  async #janus() {
    if (this.#isOver) throw new Error("over");
    this.#session ??= Janus.open(janusUrl());
    const session = this.#session;
    try {
      const janus = await session;
      if (janus.isOpen) return janus;
    } catch (error) {
      if (this.#session === session) this.#session = null;
      throw error;
    }
    if (this.#session === session) this.#session = null;
    return this.#janus();
  }
}
