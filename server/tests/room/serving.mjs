// `serve` with rooms: the server as people have it, and its HTTP API as a program uses it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ADMIN_KEY } from "../web/room/janus.mjs";
import { SERVER, within } from "./scene.mjs";

/** A server of this Janus, and perhaps somebody who is signed in. */
export class Serving {
  #child;
  #cookie;
  #people = "127.0.0.1:0";

  static async open(janus) {
    const serving = new Serving();
    serving.dir = await mkdtemp(join(tmpdir(), "cloudtalker-rooms-"));
    serving.janus = janus;
    await writeFile(join(serving.dir, "admin-key"), `${ADMIN_KEY}\n`);
    await serving.start();
    return serving;
  }

  /** Serves: at any free port, or again where it did before. */
  async start() {
    const args = ["serve", "--data", join(this.dir, "data"), "--camera-addr", "127.0.0.1:0", "--web-addr", this.#people,
      "--janus-url", this.janus.url, "--janus-ws-url", this.janus.webSocketUrl,
      "--janus-admin-key", join(this.dir, "admin-key")];
    this.#child = spawn(SERVER, args, { stdio: ["ignore", "pipe", "inherit"] });
    const told = {};
    for await (const line of createInterface({ input: this.#child.stdout })) {
      const [, name, value] = line.match(/^(\w+): (.*)$/);
      told[name] = value;
      if (told.people && (this.password || told.password)) break;
    }
    this.password ??= told.password;
    this.url = told.people.replace(/\/$/, "");
    this.#people = new URL(this.url).host;
  }

  /** Has `ask` come from somebody who may. */
  async signIn() {
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ password: this.password });
    const answer = await fetch(`${this.url}/api/session`, { method: "POST", headers, body });
    this.#cookie = answer.headers.get("set-cookie").split(";")[0];
  }

  async ask(method, path, body) {
    const headers = { cookie: this.#cookie, "content-type": "application/json" };
    const answer = await fetch(`${this.url}/api/rooms${path}`, { method, headers, body: body && JSON.stringify(body) });
    const json = await answer.json();
    assert.ok(answer.ok, JSON.stringify(json));
    return json;
  }

  async end(signal) {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill(signal);
      await within("the end of the server", once(this.#child, "exit"));
    }
    return this.#child.exitCode;
  }

  async close() {
    await this.end("SIGKILL");
    await rm(this.dir, { recursive: true });
  }
}
