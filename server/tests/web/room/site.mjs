// Our modules on an empty page, without a server of ours.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const WEB = new URL("../../../web/", import.meta.url);

export async function startSite() {
  const server = createServer(async ({ url }, response) => {
    if (url === "/") return response.setHeader("content-type", "text/html").end("<!doctype html><body>");
    const file = await readFile(new URL(`.${url}`, WEB)).catch(() => null);
    response.writeHead(file ? 200 : 404, { "content-type": "text/javascript" }).end(file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
