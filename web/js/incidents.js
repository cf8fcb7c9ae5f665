// The incident list: search, page, move by keyboard.

import { get } from "./api.js";
import { find, isTyping, make } from "./dom.js";
import { asDateTime, asDuration, t } from "./i18n.js";
import { setUp } from "./page.js";

/** @typedef {import("./incident-types.js").IncidentRow} IncidentRow */

const TYPING_PAUSE_MS = 200;

setUp({
  title: "incidents.title",
  signedIn: true,
  shortcuts: [
    ["/", "keys.search"],
    ["j k", "keys.move"],
    ["Enter", "keys.open"],
  ],
});
const search = find("#search", HTMLInputElement);
const body = find("tbody", HTMLElement);
const note = find("[data-testid=status]", HTMLElement);
const more = find("#more", HTMLButtonElement);
let asked = 0;
let pause = 0;

search.value = new URLSearchParams(location.search).get("q") ?? "";
search.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(() => load(false), TYPING_PAUSE_MS);
});
more.addEventListener("click", () => load(true));
addEventListener("keydown", (event) => {
  if (isTyping(event.target)) {
    if (event.key === "Escape") search.blur();
    return;
  }
  if (event.key === "/") {
    event.preventDefault();
    search.select();
  }
  if (event.key === "j") move(1);
  if (event.key === "k") move(-1);
});
load(false);

/** @param {boolean} further whether to add to what is shown */
async function load(further) {
  const question = ++asked;
  const query = search.value.trim();
  const before = further ? (body.lastElementChild?.getAttribute("data-id") ?? "") : "";
  const url = new URL(location.href);
  if (query) url.searchParams.set("q", query);
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  const parameters = new URLSearchParams({ q: query, ...(before ? { before } : {}) });
  try {
    /** @type {{incidents: IncidentRow[], more: boolean}} */
    const found = await get(`/api/incidents?${parameters}`);
    if (question !== asked) return;
    const rows = found.incidents.map(row);
    if (further) body.append(...rows);
    else body.replaceChildren(...rows);
    more.hidden = !found.more;
    say(query);
  } catch (error) {
    if (question === asked) note.textContent = error instanceof Error ? error.message : "";
  }
}

/** @param {string} query */
function say(query) {
  const count = body.childElementCount;
  const empty = query ? t("incidents.nothing", { query }) : t("incidents.empty");
  note.textContent = count ? t("incidents.count", { count }) : empty;
}

/** @param {IncidentRow} incident */
function row(incident) {
  const open = incident.state === "open";
  const link = make("a", { href: `/incidents/${incident.id}` }, asDateTime(incident.opened_at));
  const reason = open ? t("incidents.open") : t(`end.${incident.reason}`);
  return make(
    "tr",
    { "data-testid": "incident-row", "data-id": incident.id },
    make("td", {}, link),
    make(
      "td",
      {},
      make("span", { class: "strong" }, `${incident.user}@${incident.host}`),
      make("span", { class: "quiet-text block" }, incident.system),
    ),
    make("td", {}, incident.technicians.join(", ") || t("incidents.none")),
    make("td", { class: "number" }, asDuration(incident.opened_at, incident.ended_at)),
    make("td", {}, make("span", { class: open ? "state live" : "quiet-text" }, reason)),
    make("td", { class: "number" }, String(incident.chats)),
  );
}

/** @param {number} step */
function move(step) {
  const links = [...body.querySelectorAll("a")];
  const here = links.findIndex((link) => link === document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, here + step))]?.focus();
}
