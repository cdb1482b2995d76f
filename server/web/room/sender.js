// The sender's page: this device as a camera in a slot of a room.
//
// Its address holds what is needed: room, slot, token, pin (`none` is a room without one; without the parameter it is
// asked for), and customNameAllowed, whose value is the first name.

import { byId, element, showText } from "../dom.js";
import { flawOf, pinOf, roomOf, slotOf } from "./address.js";
import { Camera, CameraError, SIZES, USUAL_SIZE, cameras, hasCameras, isMirrored } from "./camera.js";
import { Sending } from "./sending.js";
import { StayAwake } from "./stay_awake.js";

/** How often what is sent is measured. */
const MEASURE_MS = 2_000;

const STATES = {
  off: () => "The camera is off.",
  opening: () => "Starting the camera. Allow it if the browser asks.",
  connecting: () => "Connecting…",
  live: () => "Your picture is being sent.",
  waiting: ({ message }) => `${message} Trying again…`,
  taken: ({ message }) => `${message} Trying again as soon as the slot is free…`,
  refused: ({ message }) => message,
};

const parameters = new URLSearchParams(location.search);
const flaw = flawOf(parameters, "room", "slot");
const [room, slot, pin] = [roomOf(parameters), slotOf(parameters), pinOf(parameters)];
const mayHaveName = parameters.has("customNameAllowed");

const sending = new Sending({ room, slot, token: parameters.get("token") ?? "", resume: resumeSecret() }, show);
const awake = new StayAwake();
const camera = new Camera();
let state = "off";
/** Whether the pin is the person's to say: the link has none, or not the room's. */
let isPinAsked = pin === null;

showText(byId("place"), !flaw && `Room ${room} · Camera ${slot + 1}`);
for (const size of SIZES) byId("size").append(element("option", size.replace("x", " × ")));
byId("size").selectedIndex = SIZES.indexOf(USUAL_SIZE);
showFields("of-pin", isPinAsked);
showFields("of-name", mayHaveName);
byId("name").value = parameters.get("customNameAllowed") ?? "";

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  // A press of Enter in the name is not a press of Start.
  if (!isOn()) film();
});
byId("stop").addEventListener("click", () => stop());
byId("camera").addEventListener("change", () => isOn() && film());
byId("size").addEventListener("change", () => isOn() && film());
byId("name").addEventListener("change", () => sending.rename(byId("name").value.trim()));
byId("limit-form").addEventListener("submit", setLimit);
addEventListener("pagehide", () => stop());
setInterval(measure, MEASURE_MS);

if (flaw) refuse(flaw);
else if (!hasCameras()) refuse(withoutCameras());
else if (!parameters.get("token")) refuse("This link lacks its token. Ask whoever sent it to you for the whole link.");
else offer();

/** Waits for a person, who may be faster than the browser is with its list. */
function offer() {
  show({ state: "off" });
  offerCameras();
  navigator.mediaDevices.addEventListener("devicechange", offerCameras);
}

/** Opens the camera that is chosen, shows its picture and sends it, also in place of the one that is being sent. */
async function film() {
  if (!sending.isOn) show({ state: "opening" });
  preview(null);
  let track;
  try {
    track = await camera.open(byId("camera").value, SIZES[byId("size").selectedIndex]);
  } catch (error) {
    if (!(error instanceof CameraError)) throw error;
    return stop({ state: "refused", message: error.message });
  }
  if (!track) return;
  track.addEventListener("ended", () => lost(track));
  preview(track);
  send(track);
  // Now that one is allowed, they have names.
  await offerCameras();
}

function send(track) {
  if (sending.isOn) return sending.replace(track);
  sending.pin = isPinAsked ? byId("pin").value : pin;
  sending.name = mayHaveName ? byId("name").value.trim() : "";
  sending.start(track);
}

function lost(track) {
  if (track !== camera.track) return;
  stop({ state: "refused", message: "The camera was unplugged, or the browser took it back." });
}

/** Ends sending, and an opening; what is shown then says why. */
function stop(told = { state: "off" }) {
  sending.stop();
  show(told);
}

function preview(track) {
  const video = byId("preview");
  video.hidden = !track;
  video.srcObject = track && new MediaStream([track]);
  if (!track) return;
  video.classList.toggle("mirrored", isMirrored(track));
  video.play().catch(() => {});
}

async function offerCameras() {
  const options = (await cameras()).map(({ id, name }) => Object.assign(element("option", name), { value: id }));
  const chosen = camera.track?.getSettings().deviceId ?? byId("camera").value;
  byId("camera").replaceChildren(...options);
  if (options.some(({ value }) => value === chosen)) byId("camera").value = chosen;
}

async function setLimit(event) {
  event.preventDefault();
  const news = byId("limit-news");
  news.textContent = "";
  try {
    await sending.limit(byId("limit").valueAsNumber * 1000);
    news.textContent = "Your limit is set.";
  } catch (error) {
    news.textContent = error.message;
  }
}

function isOn() {
  return state !== "off" && state !== "refused";
}

function show(told) {
  ({ state } = told);
  document.body.dataset.state = state;
  showText(byId("status"), STATES[state](told));
  byId("status").classList.toggle("refusal", state === "refused");
  byId("on-air").hidden = state !== "live";
  const losesFocus = document.activeElement === byId(isOn() ? "start" : "stop");
  byId("start").hidden = isOn();
  byId("stop").hidden = !isOn();
  if (losesFocus) byId(isOn() ? "stop" : "start").focus();
  byId("pin").disabled = isOn();
  byId("details").hidden = !isOn();
  if (!isOn()) {
    camera.close();
    preview(null);
  }
  if (told.wantsPin) {
    isPinAsked = true;
    showFields("of-pin", true);
    byId("pin").focus();
  }
  if (state === "live") showText(byId("room-limit"), `The room allows ${rate(told.controllerLimit)}.`);
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
