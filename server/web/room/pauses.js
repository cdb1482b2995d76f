// Pauses before the next try.

const FIRST_MS = 250;
const LONGEST_MS = 4_000;

/** Pauses that double. Each lies anywhere in the upper half of its span, so that those of many pages don't coincide. */
export class Pauses {
  #span = FIRST_MS;

  /** What was tried went well: the next pause is short again. */
  reset() {
    this.#span = FIRST_MS;
  }

  async pass() {
    const span = this.#span;
    this.#span = Math.min(2 * span, LONGEST_MS);
    await new Promise((resolve) => setTimeout(resolve, span * (0.5 + Math.random() / 2)));
  }
}
