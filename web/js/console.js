// The console: enter a code, see one's own sessions live.

import { leaveForSignIn, post } from "./api.js";
import { find, isTyping, make } from "./dom.js";
import { asClock, t } from "./i18n.js";
import { Link } from "./link.js";
import { setUp } from "./page.js";

/** @typedef {import("./protocol.js").SessionRow} SessionRow */

const DIGITS = 12;

setUp({ title: "console.title", signedIn: true, shortcuts: [["/", "console.codeLabel"]] });
const form = find("form", HTMLFormElement);
const input = find("[data-testid=code-input]", HTMLInputElement);
const button = find("[data-testid=join]", HTMLButtonElement);
const note = find("#code-note", HTMLElement);
const rows = find("#sessions", HTMLElement);
const status = find("[data-testid=status]", HTMLElement);
input.focus();

const digits = () => input.value.replace(/\D/g, "").slice(0, DIGITS);

input.addEventListener("input", () => {
  const atEnd = input.selectionStart === input.value.length;
  if (atEnd) input.value = grouped(digits());
  note.textContent = "";
  input.removeAttribute("aria-invalid");
});
input.addEventListener("paste", (event) => {
  const pasted = event.clipboardData?.getData("text").match(/\d/g)?.join("") ?? "";
  if (pasted.length < DIGITS) return;
  event.preventDefault();
  input.value = grouped(pasted.slice(0, DIGITS));
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (digits().length < DIGITS) return refuse(t("console.short", { count: digits().length }));
  button.disabled = true;
  button.textContent = t("console.joining");
  try {
    const { session } = await post("/api/codes", { code: digits() });
    location.assign(`/session/${session}`);
  } catch (error) {
    refuse(error instanceof Error ? error.message : t("common.failed"));
    button.disabled = false;
    button.textContent = t("console.join");
  }
});
button.disabled = false; // before, the browser would have sent the form itself

addEventListener("keydown", (event) => {
  if (event.key === "/" && !isTyping(event.target)) {
    event.preventDefault();
    input.select();
  }
});

/** @type {Link<import("./protocol.js").ToConsole, never>} */
const link = new Link("/ws/console", {
  change: (up) => (status.textContent = up ? "" : t("common.reconnecting")),
  message: (message) => {
    if (message.type === "sessions") show(message.sessions);
    if (message.type === "refused" && message.reason === "sign-in") leaveForSignIn();
    if (message.type === "refused" && message.fatal) link.attempt += 1;
  },
});

/** @param {string} words */
function refuse(words) {
  note.textContent = words;
  input.setAttribute("aria-invalid", "true");
  input.select();
}

/** @param {readonly SessionRow[]} sessions */
function show(sessions) {
  const lines = sessions.map((row) =>
    make(
      "a",
      { class: "row", href: `/session/${row.session}`, "data-testid": "session-row" },
      make("span", { class: "strong" }, `${row.user}@${row.host}`),
      make("span", { class: `state ${row.state}` }, t(`state.${row.state}`)),
      make("time", { datetime: row.opened_at }, `${t("console.since")} ${asClock(row.opened_at)}`),
      make("span", { class: "go" }, t("console.open")),
    ),
  );
  const empty = make("p", { class: "empty" }, t("console.empty"));
  rows.replaceChildren(...(lines.length ? lines : [empty]));
}

/** @param {string} text */
function grouped(text) {
  return text.replace(/(\d{3})(?=\d)/g, "$1 ");
}
