// The person's screen: the picture, fit or 1:1, and in words why there is none.

import { find, make } from "./dom.js";
import { t } from "./i18n.js";

/**
 * @typedef {object} Why why there is no picture
 * @property {"wait" | "bad" | "end"} tone
 * @property {string} topic the same as long as only its numbers change
 * @property {string} text
 * @property {string} [next]
 * @property {[sentence: string, href: string][]} [links]
 */

export class Screen {
  /**
   * @param {HTMLElement} root
   * @param {HTMLElement} announcer a live region: each new reason is said there, once
   */
  constructor(root, announcer) {
    this.root = root;
    this.video = find("video", HTMLVideoElement, root);
    this.veil = find(".veil", HTMLElement, root);
    this.announcer = announcer;
    this.hasFrame = false;
    this.topic = "";
    this.shown = "";
    this.video.addEventListener("resize", () => this.#measure());
  }

  /** @param {MediaStream} stream */
  show(stream) {
    this.video.srcObject = stream;
    this.video.play().catch(() => {});
    const first = () => {
      this.hasFrame = true;
      this.onFrame?.();
    };
    this.video.requestVideoFrameCallback(first);
  }

  /** Called at the first frame of each connection. @type {(() => void) | undefined} */
  onFrame;

  clear() {
    this.hasFrame = false;
    this.video.srcObject = null;
  }

  /**
   * Covers the picture with a sentence, a next step, and links; null uncovers it.
   * @param {null | Why} why
   */
  explain(why) {
    this.veil.hidden = why === null;
    this.#announce(why);
    if (why === null) return;
    this.veil.dataset.tone = why.tone;
    const links = (why.links ?? []).map(([key, href]) => make("a", { href, class: "button" }, t(key)));
    const parts = [make("p", { class: "why" }, why.text)];
    if (why.next) parts.push(make("p", { class: "next" }, why.next));
    if (links.length) parts.push(make("p", { class: "actions" }, ...links));
    const shown = parts.map((part) => part.textContent).join("\n");
    if (shown === this.shown) return;
    this.shown = shown;
    this.veil.replaceChildren(make("div", { class: "veil-box" }, ...parts));
  }

  /** @returns {boolean} whether it is 1:1 now */
  toggleActual() {
    return this.root.classList.toggle("actual");
  }

  /**
   * Not the veil itself: a screen reader would read its seconds aloud, each of them.
   * @param {null | Why} why
   */
  #announce(why) {
    const topic = why?.topic ?? "";
    if (topic === this.topic) return;
    this.topic = topic;
    this.announcer.textContent = why ? `${why.text} ${why.next ?? ""}` : t("session.pictureHere");
  }

  #measure() {
    this.video.style.setProperty("--screen-width", `${this.video.videoWidth / devicePixelRatio}px`);
  }
}
