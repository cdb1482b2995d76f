// One camera's picture on its way into a room.

import { CodecError, Peer, hasVideo } from "./peer.js";

export class Publisher {
  #peer;
  #sender;
  /** In bit/s: the newest limit, and the one that the encoder has. */
  #wanted = 0;
  #inForce = 0;
  #limited = Promise.resolve();

  /**
   * Joins the room and publishes; resolves once the picture flows. `maxBitrate` is in bit/s, 0 is no limit; `onEnd` is
   * told the reason when the picture, once it flows, does so no more.
   */
  static async start(janus, { room, pin, track, maxBitrate, onEnd }) {
    const handle = await janus.attach();
    const publisher = new Publisher(new Peer(handle));
    try {
      const { data } = await handle.ask({ request: "join", ptype: "publisher", room, pin });
      publisher.ids = { feedId: data.id, sessionId: janus.id, videoroomId: handle.id };
      await publisher.#offer(handle, track, maxBitrate);
      await publisher.#peer.connected(onEnd);
      return publisher;
    } catch (error) {
      publisher.close();
      throw error;
    }
  }

  constructor(peer) {
    this.#peer = peer;
  }

  /** Holds the encoder to so many bit/s; 0 is no limit. Of several at once the newest counts. */
  limit(maxBitrate) {
    this.#wanted = maxBitrate;
    // A browser takes one change after the other, and refuses what overlaps.
    const limited = this.#limited.then(() => this.#obey());
    this.#limited = limited.catch(() => {});
    return limited;
  }

  /** Another camera's picture in place of this one. */
  replace(track) {
    return this.#sender.replaceTrack(track);
  }

  /** What goes out: bytes and frames so far, and the picture's size. */
  async sent() {
    const report = await this.#sender.getStats();
    return [...report.values()].find(({ type }) => type === "outbound-rtp");
  }

  close() {
    this.#peer.close();
  }

  async #obey() {
    const maxBitrate = this.#wanted;
    if (maxBitrate === this.#inForce) return;
    const parameters = this.#sender.getParameters();
    for (const encoding of parameters.encodings) setLimit(encoding, maxBitrate);
    await this.#sender.setParameters(parameters);
    this.#inForce = maxBitrate;
  }

  async #offer(handle, track, maxBitrate) {
    const { connection } = this.#peer;
    this.#wanted = this.#inForce = maxBitrate;
    const encoding = setLimit({}, maxBitrate);
    const transceiver = connection.addTransceiver(track, { direction: "sendonly", sendEncodings: [encoding] });
    this.#sender = transceiver.sender;
    preferH264(transceiver);
    await connection.setLocalDescription();
    const { type, sdp } = connection.localDescription;
    const { jsep } = await handle.ask({ request: "publish" }, { type, sdp });
    if (!jsep || !hasVideo(jsep)) throw new CodecError(NO_CODEC);
    await connection.setRemoteDescription(jsep);
  }
}

const NO_CODEC =
  "The room takes no video that this browser can send. It should take H.264 and VP8, as this server’s own rooms do.";

/** Boards decode and relay H.264 in hardware, and every browser shows it. The rest stays, for rooms of VP8 alone. */
function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("video")?.codecs;
  if (!codecs || !transceiver.setCodecPreferences) return;
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    if (mimeType.toLowerCase() !== "video/h264") return 2;
    return /packetization-mode=1/.test(sdpFmtpLine) && /profile-level-id=42e0/i.test(sdpFmtpLine) ? 0 : 1;
  };
  transceiver.setCodecPreferences([...codecs].sort((one, other) => rank(one) - rank(other)));
}

/** A browser counts in 32 bits: more than that is no limit. */
function setLimit(encoding, maxBitrate) {
  if (maxBitrate > 0 && maxBitrate < 2 ** 32) encoding.maxBitrate = maxBitrate;
  else delete encoding.maxBitrate;
  return encoding;
}
