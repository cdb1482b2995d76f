// What is not ours is as its makers published it, to the byte.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const VENDOR = new URL("../../../web/vendor/", import.meta.url);
const PACKAGES = new URL("../../../../tests/node_modules/", import.meta.url);

for (const [what, pairs] of Object.entries({
  "the Socket.IO client": {
    "socket.io.esm.min.js": "socket.io-client/dist/socket.io.esm.min.js",
    "socket.io.LICENSE": "socket.io-client/LICENSE",
  },
  "the maker of QR codes": { "lean-qr.mjs": "lean-qr/index.mjs", "lean-qr.LICENSE": "lean-qr/LICENSE" },
})) {
  test(`${what} and its licence are npm's`, async () => {
    for (const [ours, theirs] of Object.entries(pairs)) {
      assert.ok((await readFile(new URL(ours, VENDOR))).equals(await readFile(new URL(theirs, PACKAGES))), ours);
    }
  });
}
