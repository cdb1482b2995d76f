// Where the server is, and what a page's own address asks for. Everything is relative to where this file came from, so
// that a proxy may put the server beneath any path.

const ROOT = new URL("../", import.meta.url);

/** Ports of the original's servers, one a room: a room is part of a path by it. */
const PORT_OF_ROOM_0 = 4000;

/** Where browsers speak with Janus. */
export function janusUrl() {
  const url = new URL("janus", ROOT);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** Where the events of a room come from: an origin, and a path that names the room. */
export const eventsOf = (room) => ({
  origin: ROOT.origin,
  path: new URL(`socket.io/${room + PORT_OF_ROOM_0}`, ROOT).pathname,
});

/** A parameter that is a whole number, or what holds without one. */
export function number(parameters, name, otherwise) {
  const text = parameters.get(name);
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : otherwise;
}

/** The room, as in the original's addresses. */
export const roomOf = (parameters) => number(parameters, "room", 1000);

/** The pin: none is asked for where there is one in the address; `none` says that the room has no pin. */
export function pinOf(parameters) {
  const pin = parameters.get("pin");
  return pin === "none" ? "" : pin;
}
