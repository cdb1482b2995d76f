// A still of each video: its first picture, drawn once it scrolls into view.
//
// A <video preload="metadata"> for each would hold a connection each, and a browser has six. So one hidden player
// goes from video to video, and gives its connection back after every picture.

/** A phone that saves power may never load a video that nobody started. */
const PATIENCE_MS = 8_000;

const player = document.createElement("video");
Object.assign(player, { muted: true, playsInline: true, preload: "auto" });

const waiting = [];
let isBusy = false;

const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    waiting.push(target.querySelector("canvas"));
  }
  drawNext();
}, { rootMargin: "200px" });

/** Draws a video's first picture on the canvas within this element, as soon as somebody could see it. */
export function drawStill(screen, url) {
  if (navigator.connection?.saveData) return;
  screen.querySelector("canvas").dataset.video = url;
  seen.observe(screen);
}

async function drawNext() {
  if (isBusy || waiting.length === 0) return;
  isBusy = true;
  const canvas = waiting.shift();
  if (canvas.isConnected) await draw(canvas);
  isBusy = false;
  drawNext();
}

/** Where there is no picture to be had the card does without one: the player will say why. */
async function draw(canvas) {
  const isLoaded = await new Promise((resolve) => {
    player.onloadeddata = () => resolve(true);
    player.onerror = () => resolve(false);
    setTimeout(() => resolve(false), PATIENCE_MS);
    player.src = canvas.dataset.video;
  });
  if (isLoaded && player.videoWidth) {
    canvas.height = Math.round((canvas.width * player.videoHeight) / player.videoWidth);
    canvas.getContext("2d").drawImage(player, 0, 0, canvas.width, canvas.height);
    canvas.hidden = false;
  }
  player.onerror = null;
  player.removeAttribute("src");
  player.load();
}
