// nginx with the example of docs/janus, on this network's own 443 and 8089, with a certificate made for the test.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { listens, program } from "./janus.mjs";

const EXAMPLE = new URL("../../../../docs/janus/nginx.conf", import.meta.url);

export class Proxy {
  #dir;
  #child;

  /** A proxy of this server and Janus, which shows the files of a directory besides. */
  static async start(server, janus, root) {
    const proxy = new Proxy();
    const dir = (proxy.#dir = await mkdtemp(join(tmpdir(), "cloudtalker-proxy-")));
    await certify(dir);
    const example = replaced(await readFile(EXAMPLE, "utf8"), {
      "http://127.0.0.1:5000/": `http://127.0.0.1:${server.port}/`,
      "http://127.0.0.1:$port": `http://127.0.0.1:${server.port}`,
      "http://127.0.0.1:8088": new URL(janus.url).origin,
      "/usr/share/novnc": root,
      "/etc/letsencrypt/live/cameras.example/fullchain.pem": join(dir, "cert.pem"),
      "/etc/letsencrypt/live/cameras.example/privkey.pem": join(dir, "key.pem"),
    });
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${dir};`);
    await writeFile(join(dir, "nginx.conf"), `
      daemon off; master_process off; pid ${dir}/pid; error_log stderr warn;
      events {}
      http {
        access_log off; ${paths.join(" ")}
        types { text/html html; text/javascript js; text/css css; image/svg+xml svg; }
        ${example}
      }`);
    const args = ["-p", dir, "-c", join(dir, "nginx.conf")];
    proxy.#child = spawn(await program("nginx"), args, { stdio: ["ignore", "ignore", "inherit"] });
    const ended = once(proxy.#child, "exit").then(() => assert.fail("nginx ended"));
    ended.catch(() => {});
    await Promise.race([ended, listens(443)]);
    return proxy;
  }

  async close() {
    // Nothing, where it has ended.
    if (this.#child.kill("SIGKILL")) await once(this.#child, "exit");
    await rm(this.#dir, { recursive: true });
  }
}

/** Every text must be there to be replaced: the example says what the test takes it to say. */
function replaced(text, replacements) {
  for (const [from, to] of Object.entries(replacements)) {
    assert.ok(text.includes(from), `expected ${from} in the example`);
    text = text.replaceAll(from, to);
  }
  return text;
}

async function certify(dir) {
  const names = ["-subj", "/CN=cameras.example", "-addext", "subjectAltName=DNS:cameras.example"];
  const files = ["-keyout", join(dir, "key.pem"), "-out", join(dir, "cert.pem")];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await promisify(execFile)("openssl", ["req", "-x509", "-days", "2", ...key, ...names, ...files]);
}
