// Why there is no picture: one sentence and the next step, from what is known. Pure.

import { refusal } from "./api.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Known
 * @property {string} id the session's
 * @property {boolean} linkUp
 * @property {boolean} supported whether this browser has WebRTC with H.264
 * @property {import("./protocol.js").Technician} [me]
 * @property {import("./protocol.js").Session} [session]
 * @property {number} [sessionAt] when it came, in milliseconds
 * @property {"connected" | import("./protocol.js").MediaFailure} [media]
 * @property {import("./protocol.js").Ended} [ended]
 * @property {import("./protocol.js").Refusal} [refused]
 */
/** @typedef {import("./screen.js").Why} Why */

/**
 * @param {Known} known
 * @param {boolean} hasFrame
 * @param {number} now milliseconds, as `sessionAt`
 * @returns {Why | null} null when the picture is there
 */
export function explain(known, hasFrame, now) {
  const { session } = known;
  if (known.ended) return over("ended", t(`end.${known.ended.reason}`), known.id);
  if (known.refused) {
    return { ...over("refused", refusal(known.refused), known.id), next: t("why.refusedNext") };
  }
  if (!known.supported) return bad("why.noCodec", "why.noCodecNext");
  if (!known.linkUp) return bad("why.brokerGone", "why.brokerGoneNext");
  if (!session) return wait("why.opening");
  const passed = (now - (known.sessionAt ?? now)) / 1000;
  const left = (/** @type {number | null | undefined} */ s) => Math.max(0, Math.round((s ?? 0) - passed));
  const mine = session.participants.find((p) => p.technician.id === known.me?.id);
  const name = session.facts.user;
  if (mine?.status === "asked") {
    const seconds = left(session.ask_in_s);
    return { ...wait("why.asked", { name, seconds }), next: t("why.askedNext") };
  }
  if (session.person_trouble === "no-udp") return bad("why.personNoUdp", "why.personNoUdpNext", { name });
  if (session.person_trouble === "capture") return bad("why.capture", "why.captureNext", { name });
  if (!session.person_connected) {
    return bad("why.waitPerson", "why.waitPersonNext", { name, seconds: left(session.resume_in_s) });
  }
  if (known.media === "no-codec") return bad("why.noCodec", "why.noCodecNext");
  if (known.media === "no-udp") return bad("why.noUdp", "why.noUdpNext");
  if (known.media === "lost") return bad("why.lost", "why.lostNext");
  if (hasFrame) return null;
  return wait(known.media === "connected" ? "why.firstFrame" : "why.connecting");
}

/**
 * @param {string} text
 * @param {import("./i18n.js").Values} [values]
 * @returns {Why}
 */
function wait(text, values) {
  return { tone: "wait", topic: text, text: t(text, values) };
}

/**
 * @param {string} text
 * @param {string} next
 * @param {import("./i18n.js").Values} [values]
 * @returns {Why}
 */
function bad(text, next, values) {
  return { tone: "bad", topic: text, text: t(text, values), next: t(next, values) };
}

/**
 * @param {string} topic
 * @param {string} text
 * @param {string} id
 * @returns {Why}
 */
function over(topic, text, id) {
  return {
    tone: "end",
    topic,
    text,
    links: [
      ["session.toIncident", `/incidents/${id}`],
      ["session.toConsole", "/console"],
    ],
  };
}
