// Other authors' upload server: @tus/server with its file store, by HTTPS, for cameras with a certificate alone.
//
//   node tus-server.mjs {"port", "dir", "cert", "key", "clients", "hold"}
//
// Port 0 is one of the system's choice: it prints which, and then a line for each request. Of the first PATCH it takes `hold` bytes, if that is given, and the rest only after
// SIGUSR2.

import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const { port, dir, cert, key, clients, hold } = JSON.parse(process.argv[2]);

class Store extends FileStore {
  #left = hold ?? Infinity;

  write(body, id, offset) {
    return super.write(this.#held(body), id, offset);
  }

  async *#held(body) {
    for await (const bytes of body) {
      yield bytes;
      this.#left -= bytes.length;
      if (this.#left > 0) continue;
      this.#left = Infinity;
      const told = once(process, "SIGUSR2");
      console.log("holds");
      await told;
    }
  }
}

const tus = new Server({ path: "/uploads", datastore: new Store({ directory: dir }) });
const [certificate, privateKey, ca] = [cert, key, clients].map((file) => readFileSync(file));
const tls = { cert: certificate, key: privateKey, ca, requestCert: true, rejectUnauthorized: true };
const server = createServer(tls, (request, response) => {
  const { method, url, headers } = request;
  console.log(`${method} ${url} ${headers["upload-offset"] ?? "-"}`);
  tus.handle(request, response);
}).listen(port, "127.0.0.1", () => console.log(`serves at ${server.address().port}`));
