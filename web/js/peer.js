// One WebRTC connection to the broker: a picture to receive and the channels.

const CONNECT_MS = 8_000;
const SILENT_MS = 5_000;

/** Negotiated data channels with their stream ids, as in broker/protocol.py. */
const CHANNELS = { chat: 0 };

/** @returns {boolean} whether this browser can receive H.264 over WebRTC */
export function isSupported() {
  if (typeof RTCPeerConnection === "undefined") return false;
  const codecs = RTCRtpReceiver.getCapabilities?.("video")?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === "video/h264");
}

export class Peer {
  /**
   * @param {object} on
   * @param {(stream: MediaStream) => void} on.stream
   * @param {(channel: RTCDataChannel) => void} on.chat when the chat channel is open
   * @param {() => void} on.connected
   * @param {(reason: import("./protocol.js").MediaFailure) => void} on.failed once, for good
   */
  constructor(on) {
    this.on = on;
    this.done = false;
    this.wasConnected = false;
    this.connection = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.watch = setTimeout(() => this.#fail("no-udp"), CONNECT_MS);
    const transceiver = this.connection.addTransceiver("video", { direction: "recvonly" });
    preferH264(transceiver);
    this.receiver = transceiver.receiver;
    this.connection.ontrack = (event) => {
      lowestDelay(event.receiver);
      on.stream(event.streams[0] ?? new MediaStream([event.track]));
    };
    const chat = this.connection.createDataChannel("chat", { negotiated: true, id: CHANNELS.chat });
    chat.onopen = () => on.chat(chat);
    this.connection.onconnectionstatechange = () => this.#changed();
  }

  /** @returns {Promise<string>} the offer's SDP */
  async offer() {
    await this.connection.setLocalDescription();
    return this.connection.localDescription?.sdp ?? "";
  }

  /** @param {string} sdp */
  async accept(sdp) {
    try {
      await this.connection.setRemoteDescription({ type: "answer", sdp });
    } catch {
      this.#fail("no-codec");
    }
  }

  close() {
    this.done = true;
    clearTimeout(this.watch);
    this.connection.close();
  }

  #changed() {
    clearTimeout(this.watch);
    const state = this.connection.connectionState;
    if (state === "connected") this.on.connected();
    else if (state === "failed") this.#fail(this.wasConnected ? "lost" : "no-udp");
    else if (state === "disconnected") this.watch = setTimeout(() => this.#fail("lost"), SILENT_MS);
    else this.watch = setTimeout(() => this.#fail("no-udp"), CONNECT_MS);
    if (state === "connected") this.wasConnected = true;
  }

  /** @param {import("./protocol.js").MediaFailure} reason */
  #fail(reason) {
    if (this.done) return;
    this.close();
    this.on.failed(reason);
  }
}

/** @param {RTCRtpTransceiver} transceiver */
function preferH264(transceiver) {
  const codecs = RTCRtpReceiver.getCapabilities?.("video")?.codecs ?? [];
  const isH264 = (/** @type {{mimeType: string}} */ codec) => codec.mimeType === "video/H264";
  transceiver.setCodecPreferences?.([...codecs].sort((a, b) => Number(isH264(b)) - Number(isH264(a))));
}

/** @param {RTCRtpReceiver} receiver */
function lowestDelay(receiver) {
  if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
}
