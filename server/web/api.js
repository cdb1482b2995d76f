// What the server can be asked. Every answer that is not the wanted one becomes an ApiError, whose message is fit to
// be shown.

/** The server refused, or could not be reached (status 0). */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  /** Whether signing in would help. */
  get isSignedOut() {
    return this.status === 401;
  }
}

export const signIn = (password) => json("POST", "/api/session", { password });
export const signOut = () => json("DELETE", "/api/session");

/** Every camera, by name. */
export const cameras = () => json("GET", "/api/cameras");

/** Tells a camera "arm", "disarm" or "capture"; the answer's `message` says what will come of it. */
export const command = (camera, command) =>
  json("POST", `/api/cameras/${encodeURIComponent(camera)}/command`, { command });

/** Captures of one camera or of all, last arrived first, and where the following ones begin: null after the last. */
export async function captures({ camera, before }) {
  const query = new URLSearchParams({ limit: "24" });
  if (camera) query.set("camera", camera);
  if (before) query.set("before", before);
  const { answer, response } = await answered("GET", `/api/captures?${query}`);
  return { captures: answer, next: response.headers.has("link") ? answer.at(-1).id : null };
}

/** What this server is: whether it can have `rooms`, and its `version`. */
export const server = () => json("GET", "/api/server");

/** Every room, by number. */
export const rooms = () => json("GET", "/api/rooms");

/** Makes a room: `{name, slots}`. */
export const addRoom = (wanted) => json("POST", "/api/rooms", wanted);

export const removeRoom = (number) => json("DELETE", `/api/rooms/${number}`);

/** Drives a slot by an action of the room's; resolves to the room as it is then. */
export const driveSlot = (room, slot, action, body) => json("POST", `/api/rooms/${room}/slots/${slot}/${action}`, body);

const json = async (...request) => (await answered(...request)).answer;

async function answered(method, path, body) {
  const { answer, response } = await sent(method, path, body);
  if (response.ok) return { answer, response };
  throw new ApiError(response.status, answer.message);
}

/** Every answer is JSON; what is not came from something between us and the server. */
async function sent(method, path, body) {
  const content = body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  try {
    const response = await fetch(path, { method, ...content });
    return { answer: await response.json(), response };
  } catch {
    throw new ApiError(0, "The server can’t be reached. Is it running, and are you in its network?");
  }
}
