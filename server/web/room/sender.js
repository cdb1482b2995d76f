// The sender's page: this device as a camera in a slot of a room.
//
// Its address holds what is needed: room, slot, token, pin (`none` is a room without one; without the parameter it is
// asked for), and customNameAllowed, whose value is the first name.

import { byId, element, showText } from "../dom.js";
import { number, pinOf, roomOf } from "./address.js";
import { CameraError, SIZES, USUAL_SIZE, cameras, hasCameras, isMirrored, openCamera } from "./camera.js";
import { Sending } from "./sending.js";
import { StayAwake } from "./stay_awake.js";

/** How often what is sent is measured. */
const MEASURE_MS = 2_000;

const STATES = {
  off: () => "The camera is off.",
  connecting: () => "Connecting…",
  live: () => "Your picture is being sent.",
  waiting: ({ message }) => `${message} Trying again…`,
  taken: ({ message }) => `${message} Trying again as soon as the slot is free…`,
  refused: ({ message }) => message,
};

const parameters = new URLSearchParams(location.search);
const [room, slot, pin] = [roomOf(parameters), number(parameters, "slot", 0), pinOf(parameters)];
const mayHaveName = parameters.has("customNameAllowed");

const sending = new Sending({ room, slot, token: parameters.get("token") ?? "", resume: resumeSecret() }, show);
const awake = new StayAwake();
let track = null;
let state = "off";

byId("place").textContent = `Room ${room} · Camera ${slot + 1}`;
for (const size of SIZES) byId("size").append(element("option", size.replace("x", " × ")));
byId("size").selectedIndex = SIZES.indexOf(USUAL_SIZE);
showFields("of-pin", pin === null);
showFields("of-name", mayHaveName);
byId("name").value = parameters.get("customNameAllowed") ?? "";

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  // A press of Enter in the name is not a press of Start.
  if (!isOn()) start();
});
byId("stop").addEventListener("click", () => sending.stop());
byId("camera").addEventListener("change", reopen);
byId("size").addEventListener("change", reopen);
byId("name").addEventListener("change", () => sending.rename(byId("name").value.trim()));
byId("limit-form").addEventListener("submit", setLimit);
addEventListener("pagehide", () => sending.stop());
setInterval(measure, MEASURE_MS);

if (!hasCameras()) refuse(withoutCameras());
else if (!parameters.get("token")) refuse("This link lacks its token. Ask whoever sent it to you for the whole link.");
else offerCameras().then(() => show({ state: "off" }));

async function start() {
  show({ state: "connecting" });
  const problem = await open();
  if (problem) return show({ state: "refused", message: problem });
  sending.pin = pin ?? byId("pin").value;
  sending.name = mayHaveName ? byId("name").value.trim() : "";
  sending.start(track);
}

/** Opens the camera that is chosen and shows its picture. Returns why it can't be had, or nothing. */
async function open() {
  close();
  try {
    track = await openCamera(byId("camera").value, SIZES[byId("size").selectedIndex]);
  } catch (error) {
    if (error instanceof CameraError) return error.message;
    throw error;
  }
  track.addEventListener("ended", () => end("The camera was unplugged, or the browser took it back."));
  const preview = byId("preview");
  preview.srcObject = new MediaStream([track]);
  preview.classList.toggle("mirrored", isMirrored(track));
  preview.hidden = false;
  preview.play().catch(() => {});
  // Now that one is allowed, they have names.
  await offerCameras(track.getSettings().deviceId);
}

function close() {
  track?.stop();
  track = null;
  byId("preview").hidden = true;
  byId("preview").srcObject = null;
}

/** Ends it for a reason that the person should know. */
function end(message) {
  sending.stop();
  show({ state: "refused", message });
}

/** Another camera or size, in the middle of sending. */
async function reopen() {
  if (!isOn()) return;
  const problem = await open();
  if (problem) end(problem);
  else await sending.replace(track);
}

async function offerCameras(chosen = byId("camera").value) {
  const options = (await cameras()).map(({ id, name }) => Object.assign(element("option", name), { value: id }));
  byId("camera").replaceChildren(...options);
  if (options.some(({ value }) => value === chosen)) byId("camera").value = chosen;
}

async function setLimit(event) {
  event.preventDefault();
  try {
    await sending.limit(byId("limit").valueAsNumber * 1000);
    byId("status").textContent = "Your limit is set.";
  } catch (error) {
    byId("status").textContent = error.message;
  }
}

function isOn() {
  return state !== "off" && state !== "refused";
}

function show(told) {
  ({ state } = told);
  document.body.dataset.state = state;
  byId("status").textContent = STATES[state](told);
  byId("status").classList.toggle("refusal", state === "refused");
  byId("on-air").hidden = state !== "live";
  byId("start").hidden = isOn();
  byId("stop").hidden = !isOn();
  byId("pin").disabled = isOn();
  byId("details").hidden = !isOn();
  if (!isOn()) close();
  if (told.wantsPin) {
    showFields("of-pin", true);
    byId("pin").focus();
  }
  if (state === "live") byId("room-limit").textContent = rate(told.controllerLimit);
  awake.want(isOn());
}

/** Nothing that a person could do on this page would help. */
function refuse(message) {
  show({ state: "refused", message });
  byId("start").disabled = true;
}

function withoutCameras() {
  return window.isSecureContext
    ? "This browser gives pages no camera. Try another browser."
    : "Browsers give a camera only to pages that came by HTTPS, and this one did not. Ask for an https link.";
}

let before = null;
async function measure() {
  const now = await sending.sent();
  const isSame = now && before?.id === now.id;
  const bits = isSame ? (8000 * (now.bytesSent - before.bytesSent)) / (now.timestamp - before.timestamp) : 0;
  before = now;
  if (!isSame || !now.frameWidth) return showText(byId("sent"), "");
  const size = `${now.frameWidth} × ${now.frameHeight}`;
  showText(byId("sent"), `${size} · ${now.framesPerSecond ?? 0} fps · ${Math.round(bits / 1000)} kbit/s`);
}

const rate = (bits) => (bits > 0 ? `${Math.round(bits / 1000)} kbit/s` : "any bitrate");

function showFields(kind, isShown) {
  for (const field of document.querySelectorAll(`.${kind}`)) field.hidden = !isShown;
}

/** By this secret the slot is known for ours when we come back, also after the page was loaded again. */
function resumeSecret() {
  const key = `cloudtalker.resume.${room}.${slot}`;
  const random = [...crypto.getRandomValues(new Uint8Array(16))];
  const fresh = random.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  try {
    if (!sessionStorage.getItem(key)) sessionStorage.setItem(key, fresh);
    return sessionStorage.getItem(key);
  } catch {
    return fresh;
  }
}
