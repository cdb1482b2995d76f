// Lays the cameras of a room over the canvas of a noVNC page, which includes this file and nothing else:
//
//   <script type="module" src="/novnc.js"></script>
//
// The page's address holds the room, and may hold the password, which is the room's PIN, too, and video_prescale, a
// fraction N/M, where the canvas's picture was scaled on the server's side. Without a password in the address the one
// that noVNC asks for is taken. What a controller says to a feed is also told to the page, as the document's event
// `cloudtalker:command` with {slot, command, params}.

import { flawOf, roomOf } from "./room/address.js";
import { parsePrescale } from "./room/geometry.js";
import { Watching } from "./room/watching.js";

/** A canvas that moved without changing its size is seen at the latest after this. */
const LOOK_AGAIN_MS = 500;

// noVNC takes its own settings from either part of the address.
const parameters = new URLSearchParams(location.search);
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) parameters.append(name, value);
// Another room's cameras would be worse than none.
const flaw = flawOf(parameters, "room");
if (flaw) throw new Error(`cloudtalker: ${flaw}`);
const prescale = parsePrescale(parameters.get("video_prescale"));
const password = () => document.getElementById("noVNC_password_input")?.value ?? "";

let seen = "";

const watching = new Watching({ room: roomOf(parameters), pin: parameters.get("password") ?? password() }, {
  added(feed) {
    // A person who points at the picture means what lies beneath it on the remote desktop.
    feed.node.style.pointerEvents = "none";
    document.body.append(feed.node);
    place(feed);
  },
  changed: place,
  removed: () => {},
  link: () => {},
  pinWanted: () => console.info("cloudtalker: the room has a PIN, and the noVNC page's password is not it"),
  command: (told) => document.dispatchEvent(new CustomEvent("cloudtalker:command", { detail: told })),
});

// The field is emptied as soon as noVNC has taken it.
document.addEventListener("change", ({ target }) => {
  if (target.id === "noVNC_password_input") watching.pin = password();
});
addEventListener("resize", follow);
setInterval(follow, LOOK_AGAIN_MS);
const sizes = new ResizeObserver(follow);

/** The canvas of the remote desktop: the page has no other. */
const canvas = () => document.querySelector("canvas");

function place(feed) {
  feed.placeIn(frame());
  // Without a remote desktop there is nothing to lay it over.
  feed.node.hidden = !canvas();
}

/** Keeps the feeds in their places when the canvas changes its own. */
function follow() {
  if (canvas()) sizes.observe(canvas());
  const now = JSON.stringify(frame());
  if (now === seen) return;
  seen = now;
  watching.feeds.forEach(place);
}

function frame() {
  const window = { width: document.documentElement.clientWidth, height: innerHeight };
  const shown = canvas();
  if (!shown) return { window, canvas: null, prescale };
  const { left, top, width, height } = shown.getBoundingClientRect();
  return { window, canvas: { left, top, width, height, pixels: shown.width }, prescale };
}
