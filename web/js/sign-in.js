// Signing in: a one-time link becomes this browser's session.

import { ApiError, post } from "./api.js";
import { find } from "./dom.js";
import { t } from "./i18n.js";
import { setUp } from "./page.js";

setUp({ title: "signIn.title" });
const said = find("#said", HTMLElement);
const button = find("#sign-in", HTMLButtonElement);
const how = find("#how", HTMLElement);
const token = location.hash.slice(1);
history.replaceState(null, "", location.pathname + location.search);

if (token) {
  said.textContent = t("signIn.ready");
  button.hidden = false;
  button.addEventListener("click", signIn);
  button.focus();
} else {
  said.textContent = t("signIn.noLink");
  how.hidden = false;
}

async function signIn() {
  button.disabled = true;
  said.textContent = t("signIn.working");
  try {
    await post("/api/sign-in", { token });
    location.replace(next());
  } catch (error) {
    said.textContent = error instanceof Error ? error.message : t("common.failed");
    said.dataset.tone = "bad";
    const used = error instanceof ApiError && error.code !== "offline";
    button.hidden = used;
    button.disabled = false;
    how.hidden = !used;
  }
}

/** @returns {string} where to go: a path of this site, never another address */
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  const url = new URL(wanted || "/console", location.origin);
  return url.origin === location.origin && url.pathname !== "/sign-in" ? url.pathname : "/console";
}
