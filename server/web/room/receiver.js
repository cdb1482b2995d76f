// The receiver's page: every camera of a room, in a grid, or each where the room's controller put it.
//
// Its address holds the room, and may hold `pin` (`none` is a room without one) and `view=arranged`.

import { announce, byId, showText } from "../dom.js";
import { flawOf, pinOf, roomOf } from "./address.js";
import { Watching } from "./watching.js";

/** How long the tools stay where nobody touches the page. */
const IDLE_MS = 3_000;

const parameters = new URLSearchParams(location.search);
const [room, pin, flaw] = [roomOf(parameters), pinOf(parameters), flawOf(parameters, "room")];
let isArranged = parameters.get("view") === "arranged";
/** Whether a pin was given that is not the room's. */
let wasWrong = Boolean(pin);
/** Why there is no room to see, as far as is known. */
let trouble = flaw;
let idle = 0;

const watching = flaw ? null : new Watching({ room, pin: pin ?? "" }, {
  added(feed) {
    byId("feeds").append(feed.node);
    announce(`${feed.name} is there`);
    layOut();
  },
  changed: layOut,
  removed(feed) {
    announce(`${feed.name} is gone`);
    layOut();
  },
  link(isThere, why) {
    byId("link").textContent = isThere ? `Room ${room}` : "Reconnecting…";
    byId("link").classList.toggle("live", isThere);
    trouble = isThere ? "" : why ?? trouble;
    layOut();
  },
  pinWanted: askForPin,
  command: (told) => document.dispatchEvent(new CustomEvent("cloudtalker:command", { detail: told })),
});

if (flaw) showText(byId("link"), "");
else document.title = `Room ${room} – cloudtalker`;
byId("view").addEventListener("click", () => {
  isArranged = !isArranged;
  // So it is when the page is loaded again.
  if (isArranged) parameters.set("view", "arranged");
  else parameters.delete("view");
  history.replaceState(null, "", `?${parameters}`);
  layOut();
});
for (const event of ["pointermove", "pointerdown", "keydown"]) addEventListener(event, stir);
stir();
byId("pin-dialog").addEventListener("close", () => (watching.pin = byId("pin").value));
// There is nothing to see without it.
byId("pin-dialog").addEventListener("cancel", (event) => event.preventDefault());
addEventListener("resize", layOut);
layOut();

function layOut() {
  document.body.classList.toggle("arranged", isArranged);
  byId("view").setAttribute("aria-pressed", isArranged);
  const frame = { window: { width: document.documentElement.clientWidth, height: innerHeight } };
  const feeds = watching?.feeds ?? [];
  for (const feed of feeds) {
    if (isArranged) feed.placeIn(frame);
    else feed.unplace();
  }
  showText(byId("nothing"), feeds.some(({ isShown }) => isShown) ? "" : whyNothing(feeds));
}

function whyNothing(feeds) {
  if (trouble) return trouble;
  if (feeds.length) return "All cameras are hidden at the moment.";
  return "No camera is sending yet. Pictures appear here by themselves.";
}

function stir() {
  clearTimeout(idle);
  document.body.classList.remove("idle");
  idle = setTimeout(() => document.body.classList.add("idle"), IDLE_MS);
}

function askForPin() {
  if (byId("pin-dialog").open) return;
  byId("pin-refusal").textContent = wasWrong ? "That is not the room’s PIN." : "";
  wasWrong = true;
  byId("pin").value = "";
  byId("pin-dialog").showModal();
}
