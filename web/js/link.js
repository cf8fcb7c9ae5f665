// A signalling WebSocket that says hello, and comes back by itself.

import { get } from "./api.js";

export const VERSION = 1;
const PRODUCT = "ayuda-web";
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/**
 * @param {unknown} data
 * @returns {any} the message, or undefined if it is none
 */
export function parse(data) {
  try {
    const message = JSON.parse(String(data));
    return typeof message?.type === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @template Incoming, Outgoing
 */
export class Link {
  /**
   * @param {string} path
   * @param {object} on
   * @param {(message: Incoming) => void} on.message
   * @param {(up: boolean) => void} on.change
   */
  constructor(path, on) {
    this.path = path;
    this.on = on;
    this.attempt = 0;
    this.up = false;
    this.over = false;
    /** @type {WebSocket | undefined} */
    this.socket = undefined;
    this.timer = 0;
    this.#open();
    addEventListener("online", () => this.#hurry());
  }

  /** @param {Outgoing} message @returns {boolean} whether the link was up */
  send(message) {
    if (!this.up || !this.socket) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Closes for good. */
  close() {
    this.over = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path}`);
    this.socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ type: "hello", version: VERSION, product: PRODUCT }));
    };
    socket.onmessage = (event) => {
      if (!this.up) this.#set(true);
      this.attempt = 0;
      const message = parse(event.data);
      if (message) this.on.message(message);
    };
    socket.onclose = () => {
      if (socket !== this.socket) return;
      if (this.up) this.#set(false);
      if (!this.over) this.#later();
      // A browser does not tell why a WebSocket was refused; this page may be signed out.
      if (!this.over && this.attempt > 1) get("/api/me").catch(() => {});
    };
  }

  #later() {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.attempt);
    this.attempt += 1;
    this.on.change(false);
    this.timer = setTimeout(() => this.#open(), longest * (0.5 + Math.random() / 2));
  }

  #hurry() {
    if (this.up || this.over || this.socket?.readyState !== WebSocket.CLOSED) return;
    clearTimeout(this.timer);
    this.#open();
  }

  /** @param {boolean} up */
  #set(up) {
    this.up = up;
    this.on.change(up);
  }
}
