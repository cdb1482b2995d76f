// A session with Janus over one WebSocket. Requests are matched with their answers by a transaction; what Janus says
// unasked goes to the handle that it concerns. A handle is one publisher or one subscriber in a room.

/** How long Janus may take to answer; a connection that is silent for longer is taken for dead. */
const ANSWER_MS = 10_000;
/**
 * How long where a pin or a token is shown: an address that showed many wrong ones hears that one is wrong as late as
 * 30 s after.
 */
export const VERDICT_MS = 40_000;
/** Janus forgets a session that says nothing for a minute. */
const KEEP_ALIVE_MS = 15_000;
const PLUGIN = "janus.plugin.videoroom";

/** Codes that say what a person, or whoever tries again, can do about it. */
export const NO_SUCH_ROOM = 426;
export const NO_SUCH_FEED = 428;
export const ROOM_FULL = 432;
export const WRONG_PIN = 433;

/** Janus' own reasons are for those who run it. */
const SENTENCES = {
  [NO_SUCH_ROOM]: "The video server does not know this room yet.",
  [NO_SUCH_FEED]: "The video server does not know this camera yet.",
  [ROOM_FULL]: "All cameras of this room are on already.",
  [WRONG_PIN]: "This room has a PIN.",
};

/** What a person is told of an error. */
export function sentenceOf(error) {
  if (!(error instanceof JanusError) || error.code === 0) return error.message;
  console.info(`Janus: ${error.code} ${error.message}`);
  return SENTENCES[error.code] ?? "The video server refuses.";
}

/** Janus refused, with its code, or is not there any more (code 0). */
export class JanusError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Janus {
  #socket;
  #session = null;
  #handles = new Map();
  #waiting = new Map();
  /** Other sessions' answers, which may reach our handles, must not be taken for ours. */
  #prefix = Math.random().toString(36).slice(2);
  #count = 0;
  #keepAlive = 0;

  /** A new session. Its handles are told where it ends otherwise than by `close`. */
  static async open(url) {
    const janus = new Janus(new WebSocket(url, "janus-protocol"));
    await janus.#begin();
    return janus;
  }

  constructor(socket) {
    this.#socket = socket;
  }

  get id() {
    return this.#session;
  }

  get isOpen() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** A new handle. */
  async attach() {
    const { data } = await this.#request({ janus: "attach", plugin: PLUGIN });
    const handle = new Handle(data.id, (message) => this.#requestOf(data.id, message));
    this.#handles.set(data.id, handle);
    return handle;
  }

  /** Ends the session, and with it everything that is published or subscribed in it. */
  close() {
    this.#handles.clear();
    if (this.#session !== null && this.isOpen) this.#send({ janus: "destroy" });
    this.#over("The connection to the video server was closed.");
  }

  async #begin() {
    const socket = this.#socket;
    await new Promise((resolve, reject) => {
      const limit = setTimeout(() => fail("The video server does not answer."), ANSWER_MS);
      const fail = (reason) => {
        clearTimeout(limit);
        this.#over(reason);
        reject(new JanusError(0, reason));
      };
      socket.onopen = () => {
        clearTimeout(limit);
        resolve();
      };
      socket.onclose = ({ reason }) => fail(reason || "The video server can’t be reached.");
    });
    socket.onclose = ({ reason }) => this.#over(reason || "The connection to the video server broke.");
    socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    this.#session = await this.#create();
    this.#keepAlive = setInterval(() => this.#request({ janus: "keepalive" }).catch(() => {}), KEEP_ALIVE_MS);
  }

  async #create() {
    try {
      return (await this.#request({ janus: "create" })).data.id;
    } catch (error) {
      this.#over(error.message);
      throw error;
    }
  }

  /** What is detached is told nothing more. */
  #requestOf(handle, message) {
    if (message.janus === "detach") this.#handles.delete(handle);
    return this.#request({ ...message, handle_id: handle });
  }

  /** Sends a message; what comes of it is its answer, or for a plugin's message the event that answers it. */
  async #request(message) {
    if (!this.isOpen) throw new JanusError(0, "The connection to the video server is gone.");
    const transaction = this.#send(message);
    const isAnswer = message.janus === "message" ? (answer) => answer.janus !== "ack" : () => true;
    const showsPin = Boolean(message.body?.pin);
    // Whatever is asked meanwhile waits along.
    const waitsForVerdict = showsPin || [...this.#waiting.values()].some((waiting) => waiting.showsPin);
    const patience = waitsForVerdict ? VERDICT_MS : ANSWER_MS;
    const answer = await new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#over("The video server does not answer."), patience);
      this.#waiting.set(transaction, { isAnswer, resolve, reject, limit, showsPin });
    });
    const error = answer.error ?? pluginError(answer.plugindata?.data);
    if (error) throw new JanusError(error.code, error.reason);
    return answer;
  }

  #send(message) {
    const transaction = `${this.#prefix}-${++this.#count}`;
    const session = this.#session === null ? {} : { session_id: this.#session };
    this.#socket.send(JSON.stringify({ ...message, ...session, transaction }));
    return transaction;
  }

  #received(message) {
    const waiting = this.#waiting.get(message.transaction);
    if (waiting) {
      if (!waiting.isAnswer(message)) return;
      this.#waiting.delete(message.transaction);
      clearTimeout(waiting.limit);
      waiting.resolve(message);
    } else if (message.janus === "timeout") {
      this.#over("The video server forgot this page.");
    } else {
      this.#handles.get(message.sender)?.received(message);
    }
  }

  #over(reason) {
    clearInterval(this.#keepAlive);
    this.#socket.onopen = this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    for (const { reject, limit } of this.#waiting.values()) {
      clearTimeout(limit);
      reject(new JanusError(0, reason));
    }
    this.#waiting.clear();
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    for (const handle of handles) handle.onHangup();
  }
}

/** One publisher or subscriber, as Janus knows it. */
export class Handle {
  #request;
  /** Told when Janus has a connection to us, and passes on what comes. */
  onUp = () => {};
  /** Told when Janus ended what goes over this handle, or is gone itself. */
  onHangup = () => {};
  /** Told a candidate of Janus', which may come after its description. */
  onCandidate = () => {};

  constructor(id, request) {
    this.id = id;
    this.#request = request;
  }

  /** Asks the plugin. Resolves to its `data`, and to `jsep` where it sent a description. */
  async ask(body, jsep) {
    const { plugindata, jsep: answer } = await this.#request({ janus: "message", body, ...(jsep && { jsep }) });
    return { data: plugindata.data, jsep: answer };
  }

  /** Tells Janus a candidate of ours; none is their end. */
  trickle(candidate) {
    const told = candidate ? candidate.toJSON() : { completed: true };
    this.#request({ janus: "trickle", candidate: told }).catch(() => {});
  }

  detach() {
    this.#request({ janus: "detach" }).catch(() => {});
  }

  received({ janus, candidate, plugindata }) {
    if (janus === "hangup" || janus === "detached" || hasNothingLeft(plugindata?.data)) this.onHangup();
    else if (janus === "webrtcup") this.onUp();
    else if (janus === "trickle" && candidate && !candidate.completed) this.onCandidate(candidate);
  }
}

/** A subscriber whose feed has gone is offered a connection without it, not hung up. */
const hasNothingLeft = (data) => data?.videoroom === "updated" && !data.streams?.some(({ active }) => active);

const pluginError = (data) => data?.error_code && { code: data.error_code, reason: data.error };
