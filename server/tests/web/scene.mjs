// The real programs around the page: server, agents, and the camera programs that the agents talk to.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const SERVER = process.env.CLOUDTALKER_SERVER ?? join(root, "server/target/debug/cloudtalker-server");
const AGENT = process.env.CLOUDTALKER ?? join(root, "target/debug/cloudtalker");

/** Where screenshots go. */
export const SCREENSHOTS = process.env.SCREENSHOTS ?? join(root, "server/target/screenshots");

/** Segments of a capture, each of this many seconds. */
export const SEGMENTS = 3;
const SEGMENT_S = 2;

/** What the cameras see: ffmpeg's sources. */
export const VIEWS = {
  fractal: "mandelbrot=size=640x360:rate=15:start_scale=3:end_scale=0.3",
  valley: "mandelbrot=size=640x360:rate=15:start_x=-0.7436:start_y=0.1318:start_scale=0.05:end_scale=0.01",
  coast: "mandelbrot=size=640x360:rate=15:start_x=-1.25:start_y=0.02:start_scale=0.1:end_scale=0.05",
  dusk: "gradients=size=640x360:rate=15:speed=0.02:nb_colors=3:c0=0x1b2a49:c1=0xd9775f:c2=0xf4c27a:x0=0:y0=0:x1=0:y1=359",
  card: "testsrc2=size=640x360:rate=15",
};

/** A server in a directory of its own, and all that was started around it. */
export class Scene {
  #children = [];
  #server = null;

  static async open() {
    const scene = new Scene();
    scene.dir = await mkdtemp(join(tmpdir(), "cloudtalker-page-"));
    await scene.serve();
    assert.ok(scene.password, "the server prints its first password");
    return scene;
  }

  /** Starts the server: at any free ports, or again at those that it had before. */
  async serve() {
    const [cameras, people] = [this.cameras, this.people].map((url) => (url ? new URL(url).host : "127.0.0.1:0"));
    const args = ["serve", "--data", this.path("data"), "--camera-addr", cameras, "--web-addr", people];
    this.#server = this.#start(SERVER, args);
    for await (const line of createInterface({ input: this.#server.stdout })) {
      const [, name, value] = line.match(/^(\w+): (.*)$/);
      this[name] = value;
      if (this.cameras && this.people && this.password) return;
    }
    assert.fail("the server ended");
  }

  async stopServing() {
    await end(this.#server);
  }

  path(...names) {
    return join(this.dir, ...names);
  }

  /** Adds a camera, whose board is still switched off. */
  async camera(name) {
    const add = ["camera", "add", name, "--data", this.path("data"), "--out", this.path(name)];
    const [, ...args] = (await this.#output(SERVER, add)).trim().split(" ");
    return new Camera(this, name, [...args, "--state_dir", this.path(name, "state")]);
  }

  /** Runs the board's program. */
  start(...args) {
    return this.#start(AGENT, args);
  }

  #start(program, args) {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#children.push(child);
    return child;
  }

  async #output(program, args) {
    const child = this.#start(program, args);
    const [text, code] = await Promise.all([child.stdout.toArray(), exited(child)]);
    assert.equal(code, 0, `${program} ${args.join(" ")}`);
    return Buffer.concat(text).toString();
  }

  async close() {
    await Promise.all(this.#children.map(end));
    await rm(this.dir, { recursive: true });
  }
}

/** A board: its agent, and a camera program that films when it is told to. */
export class Camera {
  #scene;
  #name;
  #args;
  #agent = null;

  constructor(scene, name, args) {
    this.#scene = scene;
    this.#name = name;
    this.#args = args;
  }

  #path(name) {
    return this.#scene.path(this.#name, name);
  }

  /** Starts the board; `onCommand` is told each command that reaches the camera program. */
  switchOn(onCommand) {
    const camSock = this.#path("camera.sock");
    const listener = this.#scene.start("listen", "--cam_sock", camSock);
    createInterface({ input: listener.stdout }).on("line", (line) => onCommand(line.trim()));
    this.#agent = this.#scene.start(...this.#args, "--input_sock", this.#path("input.sock"), "--cam_sock", camSock);
  }

  async switchOff() {
    await end(this.#agent);
  }

  /**
   * Films and hands the segments to the agent, as the original's sample does: objects with nothing in between.
   * A segment that is spoiled is no video.
   */
  async record(trigger, timestamp, view, { spoiled } = {}) {
    const name = this.#path(`${trigger}.${timestamp}.%d.mp4`);
    await film(view, name);
    const files = Array.from({ length: SEGMENTS }, (_, number) => name.replace("%d", number));
    if (spoiled !== undefined) await writeFile(files[spoiled], "no video");
    const messages = files.map((segment) => JSON.stringify({ segment }));
    const input = connect(this.#path("input.sock"));
    input.end(messages.join(""));
    await once(input, "finish");
  }
}

/** Films a view into segments, each a file of its own. */
async function film(view, name) {
  const encode = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"];
  const cut = ["-f", "segment", "-segment_time", `${SEGMENT_S}`, "-reset_timestamps", "1"];
  const keys = ["-force_key_frames", `expr:gte(t,n_forced*${SEGMENT_S})`];
  const length = ["-t", `${SEGMENTS * SEGMENT_S}`];
  const args = ["-v", "error", "-f", "lavfi", "-i", view, ...length, ...encode, ...keys, ...cut, name];
  const child = spawn("ffmpeg", args, { stdio: ["ignore", "inherit", "inherit"] });
  assert.equal(await exited(child), 0, "ffmpeg films");
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await exited(child);
}

/** The exit code of a process, once it has one. */
async function exited(child) {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}
