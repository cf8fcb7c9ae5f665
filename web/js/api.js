// The broker's JSON API, with every failure as a sentence in the page's language.

import { has, t } from "./i18n.js";

/** A refusal or an unreachable broker; its message is for people. */
export class ApiError extends Error {
  /**
   * @param {string} code a Refusal, "offline" or "http"
   * @param {string} message
   */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/**
 * @template T
 * @param {string} path
 * @returns {Promise<T>}
 */
export const get = (path) => request(path, {});

/**
 * @template T
 * @param {string} path
 * @param {object} body
 * @returns {Promise<T>}
 */
export const post = (path, body) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** @param {string} code a Refusal */
export const refusal = (code) => (has(`refusal.${code}`) ? t(`refusal.${code}`) : t("common.failed"));

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError("offline", t("common.offline"));
  }
  if (response.status === 204) return undefined;
  const body = await response.json().catch(() => ({}));
  if (response.ok) return body;
  const code = typeof body.error === "string" ? body.error : "http";
  if (code === "sign-in") leaveForSignIn();
  throw new ApiError(code, refusal(code));
}

let signingOut = false;

/** Ends the browser's session and leads to the first page. */
export async function signOut() {
  signingOut = true;
  await post("/api/sign-out", {}).catch(() => {});
  location.assign("/");
}

export function leaveForSignIn() {
  if (signingOut) return; // what says so is our own doing
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname)}`);
}
