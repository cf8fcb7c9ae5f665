// The picture's numbers, once a second: size, frame rate, bit rate, round trip.

import { t } from "./i18n.js";

/**
 * @param {() => RTCPeerConnection | undefined} connection
 * @param {HTMLElement} target
 * @returns {() => void} stops
 */
export function showStats(connection, target) {
  /** @type {{at: number, bytes: number, frames: number} | undefined} */
  let last;
  const timer = setInterval(async () => {
    const report = await connection()?.getStats();
    if (!report) {
      target.textContent = "–";
      last = undefined;
      return;
    }
    for (const entry of report.values()) {
      if (entry.type !== "inbound-rtp" || entry.kind !== "video") continue;
      const { timestamp: at, bytesReceived: bytes, framesDecoded: frames = 0 } = entry;
      if (last && at > last.at) {
        const seconds = (at - last.at) / 1000;
        target.textContent = t("session.stats", {
          width: entry.frameWidth ?? 0,
          height: entry.frameHeight ?? 0,
          fps: Math.round((frames - last.frames) / seconds),
          kbps: Math.round(((bytes - last.bytes) * 8) / 1000 / seconds),
          rtt: roundTrip(report),
        });
      }
      last = { at, bytes, frames };
    }
  }, 1000);
  return () => clearInterval(timer);
}

/** @param {RTCStatsReport} report */
function roundTrip(report) {
  for (const entry of report.values()) {
    if (entry.type === "candidate-pair" && entry.nominated && entry.currentRoundTripTime != null) {
      return Math.round(entry.currentRoundTripTime * 1000);
    }
  }
  return "–";
}
