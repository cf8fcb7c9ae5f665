// Who is in the session, each with their state in words.

import { make } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @param {HTMLElement} target
 * @param {import("./protocol.js").Session} session
 * @param {string} myId
 * @param {boolean} over whether the session has ended, and with it every state
 */
export function showParticipants(target, session, myId, over) {
  const person = line(
    session.facts.user,
    t("session.person"),
    over || session.person_connected ? "" : trouble(session.person_trouble),
    over || session.person_connected,
  );
  const technicians = session.participants.map(({ technician, status, connected, watching, ...rest }) => {
    const name = technician.id === myId ? `${technician.name} (${t("session.you")})` : technician.name;
    const present = status === "allowed" || status === "asked";
    const away = present && !connected;
    const words = away ? trouble(rest.trouble) : watching ? t("watching") : t(`status.${status}`);
    return line(name, technician.organisation, over ? "" : words, over || (present && connected));
  });
  target.replaceChildren(person, ...technicians);
}

/** @param {string | null | undefined} reason */
function trouble(reason) {
  return reason ? t(`trouble.${reason}`) : t("away");
}

/**
 * @param {string} name
 * @param {string} detail
 * @param {string} words
 * @param {boolean} here
 */
function line(name, detail, words, here) {
  return make(
    "li",
    { class: here ? "here" : "gone" },
    make("span", { class: "strong" }, name),
    make("span", { class: "quiet-text" }, detail),
    make("span", { class: "mark" }, words),
  );
}
