// A room as a controller runs it: the real server, orders on its standard input, notifications in a file or a pipe, and
// clients of Socket.IO around it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
export const SERVER = process.env.CLOUDTALKER_SERVER ?? join(root, "server/target/debug/cloudtalker-server");
const require = createRequire(join(root, "tests/package.json"));

/** Generous: it only ends a test that would hang. */
export const DEADLINE_MS = 60_000;

/** Each client that originals and ours may have, over each transport. */
export const CLIENTS = ["socket.io-client-3", "socket.io-client"].flatMap((library) =>
  [["polling"], ["websocket"], ["polling", "websocket"]].map((transports) => ({ library, transports })),
);
const NEWEST = { library: "socket.io-client", transports: ["websocket"] };

export const ROOM = 1000;
export const TOKEN = "t0ken-of-slot-1";

export class Scene {
  #child;
  #sockets = [];
  #lines;
  #log = [];
  #heard = new Set();

  /**
   * `config` is of the configuration, `args` of the command; notifications go to a named `pipe`, or a file. It may have
   * so many `files` open.
   */
  static async open({ config = {}, args = [], env: more = {}, stdin = "pipe", pipe = false, files } = {}) {
    const scene = new Scene();
    scene.dir = await mkdtemp(join(tmpdir(), "cloudtalker-room-"));
    scene.notifyPath = config.notifyPath ?? join(scene.dir, "notifications");
    if (pipe) execFileSync("mkfifo", [scene.notifyPath]);
    else if (!config.notifyPath) await writeFile(scene.notifyPath, "");
    // Where no Janus is asked for there is none, and nothing but the log is to tell.
    const all = { port: 0, janusURL: "http://127.0.0.1:9/janus", notifyPath: scene.notifyPath, ...config };
    const variables = Object.entries(all).map(([key, value]) => [`CVH_CAMERA_CONFIG_${key}`, String(value)]);
    const env = { ...process.env, ...Object.fromEntries(variables), ...more };
    const command = ["room", "--bind", "127.0.0.1", "--log-level", "debug", ...args];
    const limited = files ? ["prlimit", `--nofile=${files}:${files}`, SERVER] : [SERVER];
    const [program, ...before] = limited;
    scene.#child = spawn(program, [...before, ...command], { env, stdio: [stdin, "pipe", "pipe"] });
    scene.#lines = createInterface({ input: scene.#child.stderr }).on("line", (line) => scene.#logged(line));
    const [line] = await within("the server's address", once(createInterface({ input: scene.#child.stdout }), "line"));
    scene.url = line.match(/^room: (http:.*)\/$/)[1];
    return scene;
  }

  get pid() {
    return this.#child.pid;
  }

  /** What the server logged so far. */
  get log() {
    return this.#log.join("\n");
  }

  get stdin() {
    return this.#child.stdin;
  }

  /** Leaves output and log unread from now on. */
  readNothing() {
    this.#child.stdout.pause();
    this.#lines.pause();
    this.#child.stderr.pause();
  }

  /** What is left of a controller that died: nobody at the other ends of its three pipes. */
  abandon() {
    for (const pipe of this.#child.stdio) pipe.destroy();
  }

  /** Gives orders. */
  order(...lines) {
    for (const line of lines) this.#child.stdin.write(`${line}\n`);
  }

  /** Gives orders, and waits until they are carried out: what comes last is refused, and logged. */
  async ordered(...lines) {
    const end = `end-of-orders-${this.#log.length}`;
    this.order(...lines, end);
    await this.logged(end);
  }

  /** The line of the log that has this text. */
  async logged(text) {
    const found = () => this.#log.find((line) => line.includes(text));
    return found() ?? within(`"${text}" in the log`, new Promise((resolve) => {
      const look = () => {
        if (!found()) return;
        this.#heard.delete(look);
        resolve(found());
      };
      this.#heard.add(look);
    }));
  }

  #logged(line) {
    this.#log.push(line);
    for (const look of this.#heard) look();
  }

  /** A client that is connected. */
  async connect(client = NEWEST, options = {}) {
    const opened = this.client(client, options);
    await opened.connected();
    return opened;
  }

  client(client = NEWEST, options = {}) {
    const opened = clientOf(this.url, { path: `/socket.io/${ROOM + 4000}`, ...client, ...options });
    this.#sockets.push(opened);
    return opened;
  }

  /** A client that has shown the token of slot 1. */
  async sender(client = NEWEST, more = {}) {
    const sender = await this.connect(client);
    const answer = await sender.ask("sender_init", { slot: 1, token: TOKEN, ...more });
    assert.equal(answer.success, true, answer.message);
    return sender;
  }

  /** The notifications so far. */
  async notifications() {
    const text = await readFile(this.notifyPath, "utf8").catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  /** Waits for a notification. */
  async notified(line) {
    await until(`the notification ${line}`, async () => (await this.notifications()).includes(line));
  }

  /** Ends the server by this signal; its exit code. */
  async end(signal = "SIGTERM") {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill(signal);
      await within("the end of the server", once(this.#child, "exit"));
    }
    return this.#child.exitCode;
  }

  async close() {
    this.#sockets.forEach((client) => client.close());
    await this.end("SIGKILL");
    await rm(this.dir, { recursive: true });
  }
}

function clientOf(url, { library, transports, ...options }) {
  const { io } = require(library);
  return new Client(io(url, { transports, forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 500, ...options }));
}

/** A client of any server that is connected, for as long as a test takes. */
export async function connectTo(t, url, options) {
  const client = clientOf(url, { ...NEWEST, ...options });
  t.after(() => client.close());
  await client.connected();
  return client;
}

/** A client of Socket.IO, and what it was told. */
export class Client {
  #told = [];
  #waiting = new Set();

  constructor(socket) {
    this.socket = socket;
    // Version 3 calls it by another name, but both have the list of listeners for any event.
    socket.onAny((event, ...args) => this.#heard([event, ...args]));
    socket.on("disconnect", (reason) => this.#heard(["disconnect", reason]));
    socket.on("connect", () => this.#heard(["connect"]));
    socket.on("connect_error", (error) => this.#heard(["connect_error", error.message]));
  }

  connected() {
    return this.next("connect");
  }

  /** Says something, and resolves to the answer. */
  ask(event, ...args) {
    return within(`an answer to ${event}`, new Promise((resolve) => this.socket.emit(event, ...args, resolve)));
  }

  /** The next of this event, past all others before it: its data. */
  async next(event) {
    const take = () => {
      const at = this.#told.findIndex(([name]) => name === event);
      return at < 0 ? undefined : this.#told.splice(0, at + 1).at(-1);
    };
    const told = take() ?? (await within(event, new Promise((resolve) => {
      const look = () => {
        const found = take();
        if (!found) return;
        this.#waiting.delete(look);
        resolve(found);
      };
      this.#waiting.add(look);
    })));
    return told[1];
  }

  /** All that it was told since, in order, once the server has answered what is asked now. */
  async toldUntilNow() {
    await this.ask("query_state");
    return this.#told.splice(0);
  }

  close() {
    this.socket.close();
  }

  #heard(told) {
    this.#told.push(told);
    for (const look of [...this.#waiting]) look();
  }
}

/** A feed as a sender says it. */
export function feed(id, more = {}) {
  return { feedId: id, sessionId: 100 + id, videoroomId: 200 + id, ...more };
}

/** Fails where something takes for ever. */
export async function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`expected ${what}, but nothing came`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until something holds. */
export async function until(what, holds) {
  await within(what, (async () => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
  })());
}
