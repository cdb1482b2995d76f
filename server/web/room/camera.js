// The cameras of this device, and what to say where there is none to be had.

/** The sizes that a person may choose from: the original's. The camera comes as near as it can. */
export const SIZES = ["320x240", "320x180", "640x480", "640x360", "960x720", "1280x720"];
export const USUAL_SIZE = "640x480";

/** A side of a phone, in place of a camera's id. */
const FACING = "facing:";

/** A camera can't be had. The message is fit to be shown. */
export class CameraError extends Error {}

/** Browsers give cameras only to pages that came by HTTPS, or from the machine itself. */
export const hasCameras = () => Boolean(window.isSecureContext && navigator.mediaDevices?.getUserMedia);

/**
 * The cameras to choose from: their ids and names. Before a person has allowed one they have no names: a phone then
 * offers its two sides.
 */
export async function cameras() {
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
  if (devices.some(({ label }) => label)) {
    return devices.map(({ deviceId, label }, place) => ({ id: deviceId, name: label || `Camera ${place + 1}` }));
  }
  if (!matchMedia("(pointer: coarse)").matches) return [{ id: "", name: "The usual camera" }];
  return [{ id: `${FACING}user`, name: "Front camera" }, { id: `${FACING}environment`, name: "Back camera" }];
}

/** The camera that is in use: one at a time, and never one that came when it was not wanted any more. */
export class Camera {
  #track = null;
  /** Counts what people wished: an opening that finds another number than its own came too late. */
  #wish = 0;
  #opening = Promise.resolve();

  /** Its picture; null while none is open. */
  get track() {
    return this.#track;
  }

  /**
   * Opens a camera at about this size in place of the one before. Resolves to its picture; to null where it was closed,
   * or another one wished for, before it came.
   */
  open(id, size) {
    this.close();
    const wish = this.#wish;
    // One after the other: a phone opens no second camera before the first is closed.
    const opening = this.#opening.then(() => this.#openFor(wish, id, size));
    this.#opening = opening.catch(() => {});
    return opening;
  }

  /** Ends an opening, too. */
  close() {
    this.#wish += 1;
    this.#track?.stop();
    this.#track = null;
  }

  async #openFor(wish, id, size) {
    const isWanted = () => wish === this.#wish;
    if (!isWanted()) return null;
    try {
      const track = await requestTrack(id, size);
      if (isWanted()) return (this.#track = track);
      track.stop();
    } catch (error) {
      if (isWanted()) throw error;
    }
    return null;
  }
}

/** Asks the browser for a camera. The microphone is never asked for. */
async function requestTrack(id, size) {
  const [width, height] = size.split("x").map(Number);
  const which = () => {
    if (id.startsWith(FACING)) return { facingMode: id.slice(FACING.length) };
    return id ? { deviceId: { exact: id } } : {};
  };
  try {
    const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: 30, max: 30 }, ...which() };
    const stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    return stream.getVideoTracks()[0];
  } catch (error) {
    throw new CameraError(WORDS[error.name] ?? `The camera can’t be used: ${error.message}`);
  }
}

const WORDS = {
  NotAllowedError:
    "The browser was told not to give this page the camera. Allow it beside the page’s address, then start again.",
  NotFoundError: "This device has no camera that the browser could use.",
  OverconstrainedError: "That camera is not there any more. Choose another one.",
  NotReadableError: "The camera is busy: another program has it. Close that one, then start again.",
  AbortError: "The camera could not be started. Try again.",
};

/** Whether people expect to see this camera's picture as in a mirror. */
export const isMirrored = (track) => track.getSettings().facingMode !== "environment";
