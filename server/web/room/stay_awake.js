// Keeps a phone's screen on while it is a camera: one that sleeps sends nothing.

export class StayAwake {
  #isWanted = false;
  #isAsking = false;
  #lock = null;

  constructor() {
    // The browser takes the lock back whenever the page is out of sight.
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  want(isWanted) {
    this.#isWanted = isWanted;
    this.#follow();
  }

  async #follow() {
    if (!this.#isWanted) return this.#lock?.release();
    if (this.#lock || this.#isAsking || document.visibilityState !== "visible") return;
    this.#isAsking = true;
    // Where there is no such thing, or the battery is low, the person has to keep it awake.
    this.#lock = (await navigator.wakeLock?.request("screen").catch(() => null)) ?? null;
    this.#isAsking = false;
    this.#lock?.addEventListener("release", () => this.#released());
    // It may be wanted no more.
    if (!this.#isWanted) this.#lock?.release();
  }

  /** It may be wanted again. */
  #released() {
    this.#lock = null;
    this.#follow();
  }
}
