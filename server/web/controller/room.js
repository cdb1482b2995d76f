// One room that is open on the page: its screen in small, its slots, and the way to watch it.

import * as api from "../api.js";
import { byId, fromTemplate, showText } from "../dom.js";
import { Watching } from "../room/watching.js";
import { copyOnPress, receiverLink, showLink } from "./links.js";
import { SlotCard } from "./slot.js";
import { Stage } from "./stage.js";

const TROUBLES = {
  away: "Janus, which carries the pictures, does not answer at the moment. The server goes on trying.",
  refused: "Janus, which carries the pictures, refuses this room. The server’s log says why.",
};

export class RoomPanel {
  #parts = fromTemplate("room-template");
  #room;
  #stage;
  #cards;
  #watching;
  #change;
  #onError;

  /** `change(request)` has a request change the room; `onError` is told what concerns the whole page. */
  constructor(room, change, onError) {
    this.#room = room;
    this.#change = change;
    this.#onError = onError;
    const { stage, screen, slots, copy, qr, remove } = this.#parts;
    this.#cards = room.slots.map(({ slot }) => new SlotCard(
      slot, (action, body) => this.#act(slot, action, body), () => this.#stage.bringToFront(slot)));
    slots.append(...this.#cards.map(({ node }) => node));
    this.#stage = new Stage(stage, (slot, geometry) => this.#place(slot, geometry));
    const setScreen = () => {
      const [width, height] = screen.value.split("x").map(Number);
      this.#stage.screen = { width, height };
    };
    setScreen();
    screen.addEventListener("change", setScreen);
    const share = {
      title: "The link to watch",
      hint: "Whoever has it sees all cameras of this room that are shown.",
      link: () => receiverLink(this.#room),
    };
    copyOnPress(copy, share);
    qr.addEventListener("click", () => showLink(share));
    remove.addEventListener("click", () => this.#askToRemove());
    this.#watching = this.#watch();
    this.show(room);
  }

  get node() {
    return this.#parts.node;
  }

  get number() {
    return this.#room.number;
  }

  show(room) {
    if (room.pin !== this.#room.pin) this.#watching.pin = room.pin;
    this.#room = room;
    const { name, facts, trouble, watch, hint } = this.#parts;
    name.textContent = room.name;
    facts.textContent = `Room ${room.number} · PIN ${room.pin}`;
    showText(trouble, TROUBLES[room.trouble]);
    watch.href = receiverLink(room);
    const open = room.slots.filter(({ token }) => token !== null);
    this.#stage.show(open);
    hint.textContent = open.length
      ? "Drag pictures to their places, and their lower right corners to resize them; or use arrow keys, with Shift to resize."
      : "Activate a camera below, and send its link to whoever has it: its picture appears here.";
    for (const slot of room.slots) this.#cards[slot.slot].show(room, slot);
  }

  close() {
    this.#watching.close();
    this.#stage.close();
    this.node.remove();
  }

  #watch() {
    const { number, pin } = this.#room;
    return new Watching({ room: number, pin }, {
      added: (feed) => this.#stage.take(feed),
      changed: () => {},
      removed: (feed) => this.#stage.drop(feed),
      // The page's own link says when the server is away, and the room's events bring another pin.
      link: () => {},
      pinWanted: () => {},
      command: () => {},
    });
  }

  async #act(slot, action, body) {
    try {
      await this.#change(api.driveSlot(this.number, slot, action, body));
    } catch (error) {
      if (error.isSignedOut) this.#onError(error);
      throw error;
    }
  }

  async #place(slot, geometry) {
    try {
      await this.#act(slot, "geometry", geometry);
    } catch (error) {
      if (!(error instanceof api.ApiError)) throw error;
      this.#cards[slot].tell(error.message, "failed");
    }
  }

  #askToRemove() {
    const dialog = byId("remove-dialog");
    byId("remove-name").textContent = this.#room.name;
    dialog.returnValue = "";
    dialog.onclose = async () => {
      if (dialog.returnValue !== "remove") return;
      try {
        await api.removeRoom(this.number);
        location.hash = "#rooms";
      } catch (error) {
        this.#onError(error);
      }
    };
    dialog.showModal();
  }
}
