// What every page has: language, header, shortcuts list, sign-out.

import { signOut } from "./api.js";
import { find, isTyping, make } from "./dom.js";
import { otherLanguage, t, translate } from "./i18n.js";

/** @typedef {[keys: string, words: string]} Shortcut */

/**
 * Sets the page up; call it first.
 * @param {object} page
 * @param {string} page.title a sentence key
 * @param {boolean} [page.signedIn]
 * @param {Shortcut[]} [page.shortcuts] keys and the sentence keys that explain them
 */
export function setUp({ title, signedIn = false, shortcuts = [] }) {
  translate();
  document.title = `${t(title)} · ${t("app")}`;
  const header = find("header", HTMLElement);
  header.append(brand(), signedIn ? navigation() : make("span"), tools(signedIn));
  const list = shortcutList([["?", "keys.help"], ...shortcuts]);
  document.body.append(list);
  addEventListener("keydown", (event) => {
    if (event.key === "?" && !isTyping(event.target)) list.showModal();
  });
}

function brand() {
  const mark = make("span", { class: "brand-mark", "aria-hidden": "true" });
  return make("a", { href: "/", class: "brand" }, mark, t("app"));
}

function navigation() {
  const links = [
    ["/console", "nav.console"],
    ["/incidents", "nav.incidents"],
  ].map(([href, key]) => {
    const link = make("a", { href }, t(key));
    if (location.pathname.startsWith(href)) link.setAttribute("aria-current", "page");
    return link;
  });
  return make("nav", { "aria-label": t("nav.main") }, ...links);
}

/** @param {boolean} signedIn */
function tools(signedIn) {
  const language = make(
    "button",
    {
      type: "button",
      class: "quiet",
      lang: t("nav.languageCode"),
      "aria-label": t("nav.languageLabel"),
      "data-testid": "language",
    },
    t("nav.language"),
  );
  language.addEventListener("click", otherLanguage);
  const box = make("div", { class: "tools" }, language);
  if (signedIn) {
    const out = make("button", { type: "button", class: "quiet" }, t("nav.signOut"));
    out.addEventListener("click", signOut);
    box.append(out);
  }
  return box;
}

/** @param {Shortcut[]} shortcuts */
function shortcutList(shortcuts) {
  const rows = shortcuts.flatMap(([keys, words]) => [
    make("dt", {}, make("kbd", {}, keys)),
    make("dd", {}, t(words)),
  ]);
  const close = make("button", { class: "primary" }, t("common.close"));
  return make(
    "dialog",
    { class: "shortcuts", "aria-label": t("nav.keys") },
    make("h2", {}, t("nav.keys")),
    make("dl", {}, ...rows),
    make("form", { method: "dialog" }, close),
  );
}

/**
 * A button that copies a text and says so.
 * @param {() => string} text
 * @param {string} [key]
 */
export function copyButton(text, key = "common.copy") {
  const button = make("button", { type: "button", class: "small" }, t(key));
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = t("common.copied");
    setTimeout(() => (button.textContent = t(key)), 2000);
  });
  return button;
}
