// One feed of a room on its way to a screen.

import { CodecError, Peer, hasVideo } from "./peer.js";

export class Subscriber {
  #peer;

  /**
   * Subscribes to a feed; resolves once its picture flows. `onStream` is told the stream as soon as there is one,
   * `onEnd` the reason when it ended.
   */
  static async start(janus, { room, pin, feedId, onStream, onEnd }) {
    const handle = await janus.attach();
    const subscriber = new Subscriber(new Peer(handle));
    try {
      await subscriber.#answer(handle, { room, pin, feedId, onStream });
      await subscriber.#peer.connected(onEnd);
      return subscriber;
    } catch (error) {
      subscriber.close();
      throw error;
    }
  }

  constructor(peer) {
    this.#peer = peer;
  }

  close() {
    this.#peer.close();
  }

  async #answer(handle, { room, pin, feedId, onStream }) {
    const { connection } = this.#peer;
    connection.ontrack = ({ track, streams }) => {
      if (track.kind === "video") onStream(streams[0] ?? new MediaStream([track]));
    };
    const { jsep } = await handle.ask({ request: "join", ptype: "subscriber", room, pin, streams: [{ feed: feedId }] });
    if (!jsep || !hasVideo(jsep)) throw new CodecError("This camera sends no video that the room takes.");
    await connection.setRemoteDescription(jsep);
    await connection.setLocalDescription();
    const { type, sdp } = connection.localDescription;
    if (!hasVideo({ sdp })) throw new CodecError("This browser can’t show this camera’s video.");
    await handle.ask({ request: "start" }, { type, sdp });
  }
}
