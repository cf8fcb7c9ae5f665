// An event of the incident log as a sentence.

import { refusal } from "./api.js";
import { has, t } from "./i18n.js";

/** @typedef {import("./incident-types.js").IncidentEvent} IncidentEvent */

/**
 * @param {IncidentEvent} event
 * @param {Map<string, string>} names of participants by id
 * @returns {string}
 */
export function sentence(event, names) {
  const { kind, data } = event;
  const name = (/** @type {unknown} */ id) => names.get(String(id)) ?? String(id);
  const who = name(data.who ?? event.actor);
  const technician = name(data.technician);
  switch (kind) {
    case "chat":
      return String(data.text);
    case "ended":
      return t(`end.${data.reason}`);
    case "consent-answered":
      return t(data.allowed ? "event.consent-yes" : "event.consent-no", { technician });
    case "consent-withdrawn":
      return t("event.consent-withdrawn", { technician });
    case "code-issued":
      return t("event.code-issued", { lookup: String(data.lookup), for: name(data.for) });
    case "code-refused":
      return t("event.code-refused", { name: String(data.name), reason: refusal(String(data.reason)) });
    case "left":
      return t("event.left", { name: technician, reason: t(`event.left.${data.reason}`) });
    case "connection": {
      const cause = data.cause === "link" ? "event.connection.link" : `trouble.${data.cause}`;
      return t(`event.connection.${data.state}`, { who, cause: t(cause) });
    }
    case "picture":
      return t(`event.${data.who === "person" ? "publish" : "picture"}.${data.state}`, { who });
  }
  const values = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, String(value)]));
  return has(`event.${kind}`) ? t(`event.${kind}`, values) : t("event.unknown", { kind });
}
