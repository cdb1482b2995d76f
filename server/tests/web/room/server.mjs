// `cloudtalker-server room` as a controller runs it: orders on its standard input, notifications in a file.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ADMIN_KEY } from "./janus.mjs";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const SERVER = process.env.CLOUDTALKER_SERVER ?? join(root, "server/target/debug/cloudtalker-server");

export const ROOM = 1000;

export class Server {
  #janus;
  #options;
  #child = null;
  #port = 0;
  #dir;

  /** A server of this Janus; `options` are more of the configuration, and `args` of the command. */
  static async start(janus, { args = [], ...options } = {}) {
    const server = new Server();
    server.#janus = janus;
    server.#options = { args, options };
    server.#dir = await mkdtemp(join(tmpdir(), "cloudtalker-room-"));
    await writeFile(join(server.#dir, "notifications"), "");
    await server.run();
    return server;
  }

  /** Starts it, or starts it again where it was before. */
  async run() {
    const { args, options } = this.#options;
    const configuration = {
      port: this.#port, janusURL: this.#janus.url, janusWebSocketURL: this.#janus.webSocketUrl, janusRoom: ROOM,
      janusAdminKey: ADMIN_KEY, notifyPath: join(this.#dir, "notifications"), ...options,
    };
    const variables = Object.entries(configuration).map(([key, value]) => [`CVH_CAMERA_CONFIG_${key}`, String(value)]);
    const env = { ...process.env, ...Object.fromEntries(variables) };
    this.#child = spawn(SERVER, ["room", ...args], { env, stdio: ["pipe", "pipe", "inherit"] });
    for await (const line of createInterface({ input: this.#child.stdout })) {
      const [, port] = line.match(/^room: http:.*:(\d+)\/$/) ?? [];
      if (port) return void (this.#port = Number(port));
    }
    throw new Error("expected the server to say where it listens, but it ended");
  }

  /** A page of it. `host` is one of this network's. */
  url(path, parameters = {}, host = "127.0.0.1") {
    return `http://${host}:${this.#port}/${path}?${new URLSearchParams({ room: ROOM, ...parameters })}`;
  }

  get port() {
    return this.#port;
  }

  /** Gives an order, as a controller does. */
  order(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** What the controller was told so far. */
  async notifications() {
    const text = await readFile(join(this.#dir, "notifications"), "utf8").catch(() => "");
    return text.split("\n").slice(0, -1);
  }

  /** Ends it by this signal; resolves to its exit code. */
  async end(signal) {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill(signal);
      await once(this.#child, "exit");
    }
    return this.#child.exitCode;
  }

  async close() {
    await this.end("SIGKILL");
    await rm(this.#dir, { recursive: true });
  }
}
