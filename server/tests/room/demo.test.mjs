// `make demo`, as a newcomer's machine has it: with Janus, and without.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const [demo, server, agent] =
  ["server/target/debug/examples/demo", "server/target/debug/cloudtalker-server", "target/debug/cloudtalker"]
    .map((path) => join(root, path));

for (const { machine, path, room } of [
  { machine: "with Janus", path: process.env.PATH, room: /^Janus keeps room 1000, for browsers: http:\/\/127\.0\.0\.1:\d+\/#rooms\/1000$/m },
  { machine: "without Janus", path: "/nowhere", room: /^No room: that takes Janus\. On Debian scripts\/install-tools janus fetches it/m },
]) {
  test(`the demo's round trip succeeds on a machine ${machine}`, async () => {
    // Here the joined videos stay, for a person to see.
    const TMPDIR = await mkdtemp(join(tmpdir(), "cloudtalker-demo-test-"));
    try {
      const env = { ...process.env, PATH: path, TMPDIR };
      const { stdout } = await promisify(execFile)(demo, ["--agent", agent, "--server", server, "--once"], { env });
      assert.match(stdout, room);
      assert.match(stdout, /^The camera obeyed arm, capture and disarm\./m);
      assert.equal(stdout.match(/ s of joined video: /g).length, 2);
    } finally {
      await rm(TMPDIR, { recursive: true });
    }
  });
}
