// The page's language: sentences by key, dates and numbers, and the switch.

/** @typedef {"en" | "es"} Language */
/** @typedef {Record<string, string | number>} Values */

const STORED = "ayuda-language";

/** @returns {Language} the language that was asked for, chosen before, or the browser's */
function choose() {
  const asked = new URLSearchParams(location.search).get("lang");
  const wanted = [asked, localStorage.getItem(STORED), ...navigator.languages];
  for (const language of wanted) {
    const short = language?.slice(0, 2);
    if (short === "en" || short === "es") return short;
  }
  return "en";
}

export const language = choose();

/** @type {Record<string, string>} */
const sentences = await (await fetch(`/static/locales/${language}.json`)).json();

/**
 * @param {string} key
 * @param {Values} [values] for the `{names}` in the sentence
 */
export function t(key, values = {}) {
  const sentence = sentences[key] ?? key;
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key */
export function has(key) {
  return key in sentences;
}

/** Fills every `data-t` (text), `data-t-label` and `data-t-placeholder` below an element. */
export function translate(/** @type {ParentNode} */ root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(element.getAttribute("data-t") ?? "");
  }
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.getAttribute("data-t-label") ?? ""));
  }
  for (const element of root.querySelectorAll("[data-t-placeholder]")) {
    element.setAttribute("placeholder", t(element.getAttribute("data-t-placeholder") ?? ""));
  }
}

export function otherLanguage() {
  const other = language === "en" ? "es" : "en";
  localStorage.setItem(STORED, other);
  const url = new URL(location.href);
  url.searchParams.delete("lang");
  if (url.href === location.href) location.reload();
  else location.replace(url);
}

/** The browser's own region of this language, for its way to write dates. */
const region = navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
const dateTime = new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat(region, { timeStyle: "medium" });

/** @param {string} at RFC 3339 */
export const asDateTime = (at) => dateTime.format(new Date(at));

/** @param {string} at RFC 3339 */
export const asClock = (at) => clock.format(new Date(at));

/**
 * @param {string} from RFC 3339
 * @param {string | null} to RFC 3339, or now
 * @returns {string} hours, minutes and seconds, as on a stop watch
 */
export function asDuration(from, to) {
  const end = to ? Date.parse(to) : Date.now();
  const seconds = Math.max(0, Math.round((end - Date.parse(from)) / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((n) => String(n).padStart(2, "0"));
  const hours = Math.floor(seconds / 3600);
  return (hours ? [String(hours), ...parts] : parts).join(":");
}
