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

/** The numbers that an address may hold, and what holds without them, as in the original's. */
const NUMBERS = { room: 1000, slot: 0 };

export const roomOf = (parameters) => number(parameters, "room");
export const slotOf = (parameters) => number(parameters, "slot");

/** What a person is told of an address in which one of these names no number; nothing where all is well. */
export function flawOf(parameters, ...names) {
  const wrong = names.find((name) => Number.isNaN(number(parameters, name)));
  if (!wrong) return "";
  const whole = "and should be a whole number. Ask whoever sent it to you for the whole link.";
  return `This link’s ${wrong} is “${parameters.get(wrong)}”, ${whole}`;
}

function number(parameters, name) {
  const text = parameters.get(name) || String(NUMBERS[name]);
  return /^\d{1,15}$/.test(text) ? Number(text) : NaN;
}

/** The pin: none is asked for where there is one in the address; `none` says that the room has no pin. */
export function pinOf(parameters) {
  const pin = parameters.get("pin");
  return pin === "none" ? "" : pin;
}
