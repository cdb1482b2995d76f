// What happens, as it happens: the server's stream of events.
//
// The stream tells changes, not the state, so whoever listens reads the state anew each time it opens. It is closed
// while nobody sees the page: a browser has only six connections to a server, for all of its tabs together.

/** How long to wait after the server refused the stream; after a mere break the browser comes back by itself. */
const RETRY_MS = 5_000;

export class Events {
  #handlers;
  #onLink;
  #wanted = false;
  #source = null;
  #retry = 0;

  /**
   * `handlers` are by the event's name, `open` among them; `onLink` is told "live", "away" (broken, coming back by
   * itself) or "refused".
   */
  constructor(handlers, onLink) {
    this.#handlers = handlers;
    this.#onLink = onLink;
    document.addEventListener("visibilitychange", () => this.#follow());
  }

  start() {
    this.#wanted = true;
    this.#follow();
  }

  stop() {
    this.#wanted = false;
    this.#follow();
  }

  #follow() {
    if (this.#wanted && !document.hidden) this.#open();
    else this.#close();
  }

  #open() {
    if (this.#source) return;
    const source = new EventSource("/api/events");
    this.#source = source;
    source.onopen = () => {
      this.#onLink("live");
      this.#handlers.open();
    };
    source.onerror = () => this.#broken();
    for (const [name, handle] of Object.entries(this.#handlers)) {
      if (name !== "open") source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  }

  #broken() {
    if (this.#source.readyState === EventSource.CONNECTING) {
      this.#onLink("away");
      return;
    }
    this.#close();
    this.#retry = setTimeout(() => this.#follow(), RETRY_MS);
    this.#onLink("refused");
  }

  #close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }
}
