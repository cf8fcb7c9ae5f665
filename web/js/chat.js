// Chat: what was said, what is on its way, and what could not be recorded.

import { find, make } from "./dom.js";
import { asClock, t } from "./i18n.js";
import { parse } from "./link.js";

/** @typedef {import("./protocol.js").ChatToPeer} ChatToPeer */
/** @typedef {import("./protocol.js").ChatFromPeer} ChatFromPeer */
/** @typedef {{id: string, text: string, line: HTMLElement}} Waiting */

const TEXT_MAX = 4000;

export class Chat {
  /**
   * @param {HTMLElement} root
   * @param {() => string} myId the technician's participant id
   */
  constructor(root, myId) {
    this.myId = myId;
    this.log = find("[data-testid=chat-log]", HTMLElement, root);
    this.form = find("form", HTMLFormElement, root);
    this.input = find("[data-testid=chat-input]", HTMLTextAreaElement, root);
    this.button = find("[data-testid=chat-send]", HTMLButtonElement, root);
    this.note = find(".chat-note", HTMLElement, root);
    /** @type {Map<string, Waiting>} */
    this.waiting = new Map();
    /** @type {RTCDataChannel | undefined} */
    this.channel = undefined;
    this.last = 0;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.#say();
      }
    });
    this.#enable();
  }

  /** A connection's chat channel is open: catch up, and send again what was not acknowledged. */
  attach(/** @type {RTCDataChannel} */ channel) {
    this.channel = channel;
    channel.onmessage = (event) => {
      const message = parse(event.data);
      if (message) this.#receive(message);
    };
    channel.onclose = () => {
      if (this.channel === channel) this.detach();
    };
    this.#send({ type: "chat-since", number: this.last });
    for (const { id, text } of this.waiting.values()) this.#send({ type: "say", id, text });
    this.#enable();
  }

  detach() {
    this.channel = undefined;
    this.#enable();
  }

  /** The session is over: what was not acknowledged was not recorded. */
  end() {
    for (const { line } of this.waiting.values()) mark(line, "failed");
    this.waiting.clear();
  }

  #enable() {
    const open = this.channel !== undefined;
    this.button.disabled = !open;
    this.note.textContent = open ? "" : t("chat.notYet");
  }

  #say() {
    const text = this.input.value.trim();
    if (!text || !this.channel) return;
    if (text.length > TEXT_MAX) {
      this.note.textContent = t("chat.tooLong", { max: TEXT_MAX, count: text.length });
      return;
    }
    const id = crypto.randomUUID();
    const line = this.#line(t("session.you"), text, "mine");
    this.waiting.set(id, { id, text, line });
    mark(line, "sending");
    this.input.value = "";
    this.#send({ type: "say", id, text });
  }

  /** @param {ChatToPeer} message */
  #receive(message) {
    if (message.type === "said") {
      const line = this.#settle(message.id);
      if (line) mark(line, "sent", message.at);
      this.last = Math.max(this.last, message.number);
    } else if (message.type === "not-said") {
      const failed = this.waiting.get(message.id);
      if (failed) this.#offerRetry(failed);
    } else if (message.type === "chat" && message.number > this.last) {
      this.last = message.number;
      const line = this.#settle(message.id) ?? this.#line(...this.#whose(message));
      mark(line, message.participant === this.myId() ? "sent" : "", message.at);
    }
  }

  /**
   * @param {import("./protocol.js").Chat} message
   * @returns {[string, string, string]}
   */
  #whose(message) {
    const mine = message.participant === this.myId();
    return [mine ? t("session.you") : message.name, message.text, mine ? "mine" : "theirs"];
  }

  /** @param {string} id */
  #settle(id) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    return waiting?.line;
  }

  /** @param {Waiting} failed */
  #offerRetry(failed) {
    const retry = make("button", { type: "button", class: "small" }, t("common.retry"));
    retry.addEventListener("click", () => {
      mark(failed.line, "sending");
      this.#send({ type: "say", id: failed.id, text: failed.text });
    });
    mark(failed.line, "failed");
    find(".mark", HTMLElement, failed.line).append(" ", retry);
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {string} side
   */
  #line(name, text, side) {
    const line = make(
      "li",
      { class: `message ${side}` },
      make("span", { class: "who" }, name),
      make("span", { class: "text" }, text),
      make("span", { class: "mark" }),
    );
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    this.log.append(line);
    if (atEnd || side === "mine") line.scrollIntoView({ block: "nearest" });
    return line;
  }

  /** @param {ChatFromPeer} message */
  #send(message) {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify(message));
  }
}

/**
 * @param {HTMLElement} line
 * @param {"" | "sending" | "sent" | "failed"} state
 * @param {string} [at]
 */
function mark(line, state, at) {
  line.dataset.state = state;
  const words = state ? t(`chat.${state}`) : "";
  find(".mark", HTMLElement, line).textContent = [at ? asClock(at) : "", words]
    .filter(Boolean)
    .join(" · ");
}
