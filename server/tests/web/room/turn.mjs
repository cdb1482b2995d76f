// A real TURN server, coturn, and a Janus that has no other way to browsers: what docs/janus says of one.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { program } from "./janus.mjs";

const DOCUMENTATION = new URL("../../../../docs/janus/README.md", import.meta.url);
/** This network's own, as lan.py has it. */
const ADDRESS = "192.0.2.1";
const PORT = 3478;
const [USER, PASSWORD] = ["janus", "secret"];
/** No other Janus of these tests has these ports. */
const JANUS_PORTS = "21000-21999";

export class Turn {
  #dir;
  #child;

  static async start() {
    const turn = new Turn();
    turn.#dir = await mkdtemp(join(tmpdir(), "cloudtalker-turn-"));
    const args = ["-n", "--no-cli", "--no-tls", "--no-dtls", "--log-file", "stdout", "--simple-log",
      "--pidfile", join(turn.#dir, "pid"), "--userdb", join(turn.#dir, "users"),
      "--listening-ip", ADDRESS, "--relay-ip", ADDRESS, "--listening-port", PORT,
      "--lt-cred-mech", "--realm", "turn.example", "--user", `${USER}:${PASSWORD}`];
    turn.#child = spawn(await program("turnserver"), args, { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface({ input: turn.#child.stdout })) {
      if (line.includes("Total General servers")) break;
    }
    turn.#child.stdout.resume();
    assert.equal(turn.#child.exitCode, null, "the TURN server runs");
    return turn;
  }

  async close() {
    // Nothing, where it has ended.
    if (this.#child.kill("SIGKILL")) await once(this.#child, "exit");
    await rm(this.#dir, { recursive: true });
  }
}

/** The part of Janus' configuration that the documentation has for a TURN server, with this one in it. */
export async function janusWithTurn() {
  const [nat] = (await readFile(DOCUMENTATION, "utf8")).match(/nat: \{\n    turn_server[^}]*\}/);
  assert.ok(nat.includes("turn.example"));
  return { nat: nat.replace("turn.example", ADDRESS), rtpPorts: JANUS_PORTS };
}

/** Lets nothing but the TURN server reach Janus' own ports; resolves to what opens them again. */
export async function close() {
  const rule = ["INPUT", "-p", "udp", "--dport", JANUS_PORTS.replace("-", ":"), "!", "--sport", PORT, "-j", "DROP"];
  const iptables = (action) => promisify(execFile)("iptables", [action, ...rule]);
  await iptables("-A");
  return () => iptables("-D");
}
