// What publisher and subscriber have in common: a connection that tells its candidates as it finds them, and whose end
// is told once.
//
//   new ──descriptions──▶ connecting ──both sides are up──▶ connected ──▶ over, told to onEnd
//                             └──── not within the limit, or Janus hung up ──▶ over, connected() rejects

/** How long a connection may take, from the descriptions until both sides are up. */
const CONNECT_MS = 15_000;

const NO_WAY = "No way to the video server was found. A firewall may be blocking it.";
const BROKEN = "The way to the video server broke.";
const ENDED = "The video server ended the picture.";

/** No way was found for the picture, or it broke. The message is fit to be shown. */
export class PeerError extends Error {}

/** The other side takes or has no video that this browser knows: trying again can't mend it. */
export class CodecError extends Error {}

export class Peer {
  #handle;
  #isOver = false;
  /** Janus may be up a moment after the browser, and until then no one can subscribe to what is published. */
  #isJanusUp = false;
  #look = () => {};
  #onEnd = () => {};

  constructor(handle) {
    this.#handle = handle;
    this.connection = new RTCPeerConnection();
    this.connection.onicecandidate = ({ candidate }) => handle.trickle(candidate);
    handle.onCandidate = (candidate) => this.connection.addIceCandidate(candidate).catch(() => {});
    handle.onHangup = () => this.#end(ENDED);
    handle.onUp = () => {
      this.#isJanusUp = true;
      this.#look();
    };
  }

  /** Resolves once both sides are up; from then on `onEnd` is told the reason when they can do so no more. */
  async connected(onEnd) {
    if (this.#isOver) throw new PeerError(ENDED);
    let limit;
    try {
      await new Promise((resolve, reject) => {
        limit = setTimeout(() => reject(new PeerError(NO_WAY)), CONNECT_MS);
        this.#onEnd = (reason) => reject(new PeerError(reason));
        this.#whenConnected(resolve);
      });
      this.#onEnd = onEnd;
    } finally {
      clearTimeout(limit);
    }
  }

  close() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.connection.onicecandidate = this.connection.onconnectionstatechange = null;
    this.connection.close();
    this.#look = () => {};
    this.#handle.onHangup = this.#handle.onUp = this.#handle.onCandidate = () => {};
    this.#handle.detach();
  }

  #whenConnected(then) {
    let reason = NO_WAY;
    this.#look = () => {
      if (this.connection.connectionState === "failed") this.#end(reason);
      if (this.connection.connectionState !== "connected") return;
      reason = BROKEN;
      if (this.#isJanusUp) then();
    };
    this.connection.onconnectionstatechange = () => this.#look();
    this.#look();
  }

  #end(reason) {
    if (this.#isOver) return;
    this.close();
    this.#onEnd(reason);
  }
}

/** Whether a description's first video is one that flows. */
export function hasVideo({ sdp }) {
  const video = sdp.split(/^m=/m).find((media) => media.startsWith("video "));
  return Boolean(video) && !video.startsWith("video 0 ") && !/^a=inactive\r?$/m.test(video);
}
