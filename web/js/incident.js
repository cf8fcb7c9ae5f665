// One incident with its whole timeline.

import { ApiError, get } from "./api.js";
import { find, make } from "./dom.js";
import { sentence } from "./events.js";
import { asClock, asDateTime, asDuration, t } from "./i18n.js";
import { copyButton, setUp } from "./page.js";

/** @typedef {import("./incident-types.js").IncidentRow} IncidentRow */
/** @typedef {import("./incident-types.js").IncidentEvent} IncidentEvent */

const HASH_SHOWN = 16;

setUp({ title: "incident.title", signedIn: true });
const note = find("[data-testid=status]", HTMLElement);
const id = location.pathname.split("/")[2] ?? "";

try {
  /** @type {{incident: IncidentRow, events: IncidentEvent[]}} */
  const found = await get(`/api/incidents/${encodeURIComponent(id)}`);
  showFacts(found.incident);
  showTimeline(found.incident, found.events);
  showChain(found.events);
  note.textContent = "";
  find("#incident", HTMLElement).hidden = false;
} catch (error) {
  const missing = error instanceof ApiError && error.code === "not-found";
  note.textContent = missing ? t("incident.notFound") : error instanceof Error ? error.message : "";
}

/** @param {IncidentRow} incident */
function showFacts(incident) {
  const title = `${incident.user}@${incident.host}`;
  find("h1", HTMLElement).textContent = title;
  document.title = `${title} · ${t("app")}`;
  const ended = incident.reason ? t(`end.${incident.reason}`) : t("incidents.open");
  /** @type {[string, string][]} */
  const facts = [
    ["incidents.time", asDateTime(incident.opened_at)],
    ["incidents.duration", asDuration(incident.opened_at, incident.ended_at)],
    ["incidents.end", ended],
    ["incidents.technicians", incident.technicians.join(", ") || t("incidents.none")],
    ["incident.system", incident.system],
    ["incidents.chats", String(incident.chats)],
  ];
  find("#facts", HTMLElement).replaceChildren(
    ...facts.flatMap(([key, value]) => [make("dt", {}, t(key)), make("dd", {}, value)]),
  );
}

/**
 * @param {IncidentRow} incident
 * @param {IncidentEvent[]} events
 */
function showTimeline(incident, events) {
  const names = new Map([
    ["person", incident.user],
    ["broker", t("actor.broker")],
  ]);
  const lines = events.map((event) => {
    if (typeof event.data.name === "string") {
      names.set(String(event.data.technician ?? event.actor), event.data.name);
    }
    const time = make("time", { datetime: event.at }, asClock(event.at));
    const who = names.get(event.actor) ?? event.actor;
    const text = make("span", { class: "text" }, sentence(event, names));
    const actor = make("span", { class: "who" }, who);
    return make("li", { class: `event ${event.kind}`, id: `e${event.number}` }, time, actor, text);
  });
  find("#timeline", HTMLElement).replaceChildren(...lines);
}

/** @param {IncidentEvent[]} events */
function showChain(events) {
  const hash = events.at(-1)?.hash ?? "";
  const shown = make("code", { title: hash }, `${hash.slice(0, HASH_SHOWN)}…`);
  find("#chain", HTMLElement).replaceChildren(shown, " ", copyButton(() => hash));
}
