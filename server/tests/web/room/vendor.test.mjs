// What is not ours is as its makers published it, to the byte.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const VENDOR = new URL("../../../web/vendor/", import.meta.url);
const PACKAGE = new URL("../../../../tests/node_modules/socket.io-client/", import.meta.url);

test("the Socket.IO client and its licence are npm's", async () => {
  const pairs = [["socket.io.esm.min.js", "dist/socket.io.esm.min.js"], ["socket.io.LICENSE", "LICENSE"]];
  for (const [ours, theirs] of pairs) {
    assert.ok((await readFile(new URL(ours, VENDOR))).equals(await readFile(new URL(theirs, PACKAGE))), ours);
  }
});
