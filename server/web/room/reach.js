// Why a room's events can't be had. A WebSocket that is refused says nothing of it; a plain request does.

/** What a person is told: of a room that is not there, or is full, else of a server that is not reached. */
export async function whyUnreachable({ origin, path }) {
  const { status } = await fetch(`${origin}${path}/?EIO=4&transport=polling`).catch(() => ({ status: 0 }));
  switch (status) {
    case 404:
      return "There is no such room.";
    case 429:
    case 503:
      return "All places in this room are taken.";
    default:
      return "The server can’t be reached.";
  }
}
