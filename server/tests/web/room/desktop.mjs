// A remote desktop for noVNC: a VNC server of one colour behind a WebSocket. It says as much of RFC 6143 as a viewer
// needs to show a picture.

import { once } from "node:events";
import { WebSocketServer } from "ws";

/** Of the picture, in pixels. */
export const DESKTOP = { width: 1600, height: 1200 };

export async function startDesktop() {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  server.on("connection", (socket) => serve(socket));
  await once(server, "listening");
  return { url: `ws://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Protocol version, security without a password, size; then nothing changes any more. */
function serve(socket) {
  const answers = [
    () => socket.send(Buffer.from([1, 1])),
    () => socket.send(Buffer.alloc(4)),
    () => socket.send(serverInit()),
  ];
  socket.send(Buffer.from("RFB 003.008\n"));
  socket.on("message", () => answers.shift()?.());
}

function serverInit() {
  const name = Buffer.from("desktop");
  const head = Buffer.alloc(24);
  head.writeUInt16BE(DESKTOP.width, 0);
  head.writeUInt16BE(DESKTOP.height, 2);
  // 32 bits a pixel, 24 of them colour, true colour of 8 bits each.
  head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
  head.writeUInt32BE(name.length, 20);
  return Buffer.concat([head, name]);
}
