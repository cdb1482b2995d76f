// Why a room's events can't be had. A WebSocket that is refused says nothing of it; a plain request does.

/** How long the server may take to say so: whoever asks waits, and then tries again. */
const ANSWER_MS = 5_000;

/** What a person is told: of a room that is not there, of too many connections, else of a server that is not reached. */
export async function whyUnreachable({ origin, path }) {
  // By no transport that there is: an answer is all that is wanted, and a session would take somebody's place.
  switch (await statusOf(`${origin}${path}/?EIO=4&transport=none`)) {
    case 404:
      return "There is no such room.";
    case 429:
    case 503:
      return "There are too many connections at the moment.";
    default:
      return "The server can’t be reached.";
  }
}

/** Of an answer in time; else null. */
async function statusOf(url) {
  const asking = new AbortController();
  const limit = setTimeout(() => asking.abort(), ANSWER_MS);
  try {
    return (await fetch(url, { signal: asking.signal })).status;
  } catch {
    return null;
  } finally {
    clearTimeout(limit);
  }
}
