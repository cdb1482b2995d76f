// The player: a whole capture as one video, a broken one part by part.

import { byId, element } from "./dom.js";
import { capitalised, count, duration, moment, size } from "./format.js";

const dialog = byId("player");

/** Opens the player with this capture and starts it. */
export function play(capture) {
  byId("player-title").textContent = `${capture.camera}, ${moment(capture.shown_at)}`;
  byId("player-about").textContent = about(capture);
  const parts = capture.video ? [] : capture.parts;
  const buttons = parts.map((part, place) => {
    const button = element("button", `Segment ${part.seg_no}`);
    button.type = "button";
    button.addEventListener("click", () => playPart(place));
    return button;
  });
  byId("player-parts").replaceChildren(...buttons);

  function playPart(place) {
    buttons.forEach((button, at) => button.setAttribute("aria-current", at === place));
    const next = place + 1 < parts.length ? () => playPart(place + 1) : null;
    start(parts[place].url, parts[place].type, next);
  }

  dialog.showModal();
  if (capture.video) start(capture.video, "video/mp4", null);
  else playPart(0);
}

/** A new element for each video, so that an old one's events can't be taken for the new one's. */
function start(url, type, next) {
  const video = document.createElement("video");
  Object.assign(video, { controls: true, autoplay: true, playsInline: true, src: url });
  video.addEventListener("error", () => showError(whyNot(video, type)));
  video.addEventListener("ended", () => next?.());
  showError("");
  byId("player-download").href = url;
  giveBack();
  byId("player-screen").replaceChildren(video);
}

/** Lets go of the video's connection at once; else it is kept until the element is collected. */
function giveBack() {
  const video = byId("player-screen").querySelector("video");
  if (!video) return;
  video.pause();
  video.removeAttribute("src");
  video.load();
  video.remove();
}

const showError = (text) => (byId("player-error").textContent = text);

function whyNot(video, type) {
  if (!video.hasAttribute("src")) return "";
  if (video.error?.code === MediaError.MEDIA_ERR_NETWORK) return "The connection broke while the video was loading.";
  if (type !== "video/mp4") return "This browser can’t play this kind of recording (MPEG-TS). Download it to watch it.";
  return "This browser can’t play this video; perhaps it is H.265. Download it to watch it.";
}

function about({ trigger, joined, parts, error }) {
  const why = trigger === "pir" ? "Recorded on motion" : "Recorded on request";
  const whole = joined && `${duration(joined.duration_s)}, ${size(joined.bytes)}`;
  return [why, whole ?? count(parts.length, "segment"), error && capitalised(error)].filter(Boolean).join(" · ");
}

byId("player-close").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", giveBack);
// A press beside the player closes it too.
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
