// Keeps a phone's screen on while it is a camera: one that sleeps sends nothing.

export class StayAwake {
  #isWanted = false;
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
    if (this.#isWanted && !this.#lock && document.visibilityState === "visible") {
      // Where there is no such thing, or the battery is low, the person has to keep it awake.
      this.#lock = await navigator.wakeLock?.request("screen").catch(() => null);
      this.#lock?.addEventListener("release", () => (this.#lock = null));
    }
    if (!this.#isWanted) this.#lock?.release();
  }
}
