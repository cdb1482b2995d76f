// Links into a room, for people who are to send or to watch: as text in the clipboard, or as a QR code for a phone. The
// code is drawn here: behind a proxy only the browser knows by what address the server is reached.

import { announce, byId, showText } from "../dom.js";
import { generate } from "../vendor/lean-qr.mjs";

/** How long a button says that it has copied. */
const COPIED_MS = 2_000;
/** Light around a QR code, in modules: readers want four. */
const QUIET_ZONE = 4;

/** The link that makes a device the camera of a slot, and lets its person give a name. */
export const senderLink = ({ number: room, pin }, { slot, token }) =>
  link("sender.html", { room, slot, token, pin, customNameAllowed: "" });

/** The link that shows a room as it is arranged. */
export const receiverLink = ({ number: room, pin }) => link("receiver.html", { room, pin, view: "arranged" });

const link = (page, parameters) => new URL(`${page}?${new URLSearchParams(parameters)}`, location.href).href;

/** Has a button copy a link. Where the browser does not allow that, the link is shown, to be copied by hand. */
export function copyOnPress(button, shared) {
  button.addEventListener("click", async () => {
    if (!(await copy(button, shared.link()))) showLink(shared);
  });
}

/** Shows a link as text and as a QR code. `link()` is the link as it is now. */
export function showLink({ title, hint, link }) {
  const [text, button] = [byId("link-text"), byId("link-copy")];
  byId("link-title").textContent = title;
  byId("link-hint").textContent = hint;
  text.value = link();
  showText(byId("link-warning"), isHere() ? ONLY_HERE : null);
  generate(text.value).toCanvas(byId("link-qr"), { on: [0, 0, 0], off: [255, 255, 255], pad: QUIET_ZONE });
  button.onclick = async () => {
    if (!(await copy(button, text.value))) text.select();
  };
  byId("link-dialog").showModal();
}

const ONLY_HERE =
  "It leads to this machine alone. For other devices, open this page by the address at which they reach the server.";

const isHere = () => /^(localhost$|127\.|\[::1\])/.test(location.hostname);

/** Copies a text if the browser allows it, has the button say so for a moment, and gives whether it did. */
async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // There is no clipboard without HTTPS, and a browser may refuse it.
    return false;
  }
  button.dataset.label ??= button.textContent;
  button.textContent = isHere() ? "Copied, for this machine alone" : "Copied";
  announce("The link is copied");
  clearTimeout(restoring.get(button));
  restoring.set(button, setTimeout(() => (button.textContent = button.dataset.label), COPIED_MS));
  return true;
}

/** The timers of buttons that say "Copied" at the moment. */
const restoring = new WeakMap();
