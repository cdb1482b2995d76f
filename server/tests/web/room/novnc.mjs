// A page with noVNC and our cameras over it, all of it behind nginx as docs/janus has it.

import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startDesktop } from "./desktop.mjs";
import { Proxy } from "./proxy.mjs";

const NOVNC = fileURLToPath(new URL("../../../../tests/node_modules/@novnc/novnc", import.meta.url));
const PAGE = fileURLToPath(new URL("novnc.html", import.meta.url));
const SECURELY = { ignoreHTTPSErrors: true };

export class Novnc {
  #stage;
  #root;
  #desktop;
  #proxy;

  static async start(stage) {
    const novnc = new Novnc();
    novnc.#stage = stage;
    novnc.#root = await mkdtemp(join(tmpdir(), "cloudtalker-novnc-"));
    await cp(PAGE, join(novnc.#root, "index.html"));
    await cp(NOVNC, join(novnc.#root, "novnc"), { recursive: true });
    novnc.#desktop = await startDesktop();
    novnc.#proxy = await Proxy.start(stage.server, stage.janus, novnc.#root);
    return novnc;
  }

  /** A page that shows the remote desktop. */
  open(parameters, options) {
    return this.page("", { desktop: this.#desktop.url, ...parameters }, options);
  }

  /** Any page behind the proxy. */
  page(path, parameters, options) {
    const url = `https://127.0.0.1/${path}?${new URLSearchParams({ room: 1000, ...parameters })}`;
    return this.#stage.browser.page(url, { ...SECURELY, ...options });
  }

  async close() {
    this.#desktop.close();
    await this.#proxy.close();
    await rm(this.#root, { recursive: true });
  }
}
