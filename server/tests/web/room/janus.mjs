// A real Janus with a configuration of its own, on free ports, and its HTTP API for making rooms.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";

export class Janus {
  #dir;
  #child = null;

  /** Its ports for pictures may be others, and its configuration of NAT more than none. */
  static async start({ rtpPorts = "20000-20999", nat = "" } = {}) {
    const janus = new Janus();
    janus.#dir = await mkdtemp(join(tmpdir(), "cloudtalker-janus-"));
    await janus.#configure(...(await freePorts(2)), rtpPorts, nat);
    await janus.run();
    return janus;
  }

  async #configure(httpPort, wsPort, rtpPorts, nat) {
    this.url = `http://127.0.0.1:${httpPort}/janus`;
    this.webSocketUrl = `ws://127.0.0.1:${wsPort}/`;
    const modules = await modulesOf(await program("janus"));
    const files = {
      "janus.jcfg": `general: {
          plugins_folder = "${modules}/plugins"
          transports_folder = "${modules}/transports"
          debug_level = 3
        }
        media: { rtp_port_range = "${rtpPorts}" }
        ${nat}
        plugins: { disable = "${await others(`${modules}/plugins`, ["videoroom"])}" }
        transports: { disable = "${await others(`${modules}/transports`, ["http", "websockets"])}" }`,
      "janus.transport.http.jcfg": `general: { json = "compact", http = true, port = ${httpPort}, ip = "127.0.0.1" }`,
      "janus.transport.websockets.jcfg":
        `general: { json = "compact", ws = true, ws_port = ${wsPort}, ws_ip = "127.0.0.1" }`,
      "janus.plugin.videoroom.jcfg": `general: { admin_key = "${ADMIN_KEY}" }`,
    };
    await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(this.#dir, name), text)));
  }

  /** Starts it, or starts it again where it was before. */
  async run() {
    const args = ["-F", this.#dir, "-C", join(this.#dir, "janus.jcfg")];
    this.#child = spawn(await program("janus"), args, { stdio: ["ignore", "ignore", "inherit"] });
    const ended = once(this.#child, "exit").then(([code]) => {
      throw new Error(`expected janus to run, but it ended with ${code}`);
    });
    ended.catch(() => {});
    await Promise.race([ended, this.#answers()]);
  }

  /** Pulls its plug. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill("SIGKILL");
    await once(this.#child, "exit");
  }

  async close() {
    await this.kill();
    await rm(this.#dir, { recursive: true });
  }

  /** Asks the plugin of rooms. */
  async ask(body) {
    const session = (await this.#post("", { janus: "create" })).data.id;
    const handle = (await this.#post(`/${session}`, { janus: "attach", plugin: "janus.plugin.videoroom" })).data.id;
    const answer = await this.#post(`/${session}/${handle}`, { janus: "message", body });
    await this.#post(`/${session}`, { janus: "destroy" });
    return answer.plugindata.data;
  }

  async #post(path, message) {
    const body = JSON.stringify({ transaction: "t", ...message });
    const answer = await (await fetch(`${this.url}${path}`, { method: "POST", body })).json();
    if (answer.janus !== "success") throw new Error(`expected success of ${body}, got ${JSON.stringify(answer)}`);
    return answer;
  }

  /** By both ways: it opens one after the other. */
  async #answers() {
    while (!(await fetch(`${this.url}/info`).then(({ ok }) => ok, () => false))) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await listens(new URL(this.webSocketUrl).port);
  }
}

export const ADMIN_KEY = "the-admins";

/** Where a program is: in PATH, or where scripts/install-tools puts what must not be installed. */
export async function program(name) {
  const cache = process.env.XDG_CACHE_HOME ?? join(process.env.HOME, ".cache");
  const tools = process.env.TOOLS ?? join(cache, "cloudtalker/tools");
  const dirs = [...process.env.PATH.split(delimiter), resolve(tools, "bin")];
  for (const dir of dirs) {
    const path = join(dir, name);
    if (await realpath(path).catch(() => null)) return path;
  }
  throw new Error(`expected ${name} in PATH: run scripts/install-tools test`);
}

/** Where a janus has its plugins and transports: in lib, or beneath it by the machine's architecture. */
async function modulesOf(janus) {
  const lib = join(dirname(dirname(await realpath(janus))), "lib");
  for (const name of [".", ...(await readdir(lib))]) {
    const modules = join(lib, name, "janus");
    if (await realpath(join(modules, "plugins")).catch(() => null)) return modules;
  }
  throw new Error(`expected ${janus} to have its plugins beneath ${lib}`);
}

/** What a folder has besides the ones that are wanted, as Janus writes lists. */
async function others(folder, wanted) {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".so"));
  return names.filter((name) => !wanted.some((one) => name === `libjanus_${one}.so`)).join(",");
}

/** Ports that nobody has at the moment. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}

export const freePort = async () => (await freePorts(1))[0];

/** Resolves once somebody takes connections there. */
export async function listens(port) {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(() => true, () => false);
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
