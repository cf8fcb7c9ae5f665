// The person's screen: the picture, fit or 1:1, and in words why there is none.

import { find, make } from "./dom.js";
import { t } from "./i18n.js";

export class Screen {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.video = find("video", HTMLVideoElement, root);
    this.veil = find(".veil", HTMLElement, root);
    this.hasFrame = false;
    this.said = "";
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
   * @param {null | {tone: "wait" | "bad" | "end", text: string, next?: string, links?: [string, string][]}} why
   */
  explain(why) {
    this.veil.hidden = why === null;
    if (why === null) return;
    this.veil.dataset.tone = why.tone;
    const links = (why.links ?? []).map(([key, href]) => make("a", { href, class: "button" }, t(key)));
    const parts = [make("p", { class: "why" }, why.text)];
    if (why.next) parts.push(make("p", { class: "next" }, why.next));
    if (links.length) parts.push(make("p", { class: "actions" }, ...links));
    const said = parts.map((part) => part.textContent).join("\n");
    if (said === this.said) return;
    this.said = said;
    this.veil.replaceChildren(make("div", { class: "veil-box" }, ...parts));
  }

  /** @returns {boolean} whether it is 1:1 now */
  toggleActual() {
    return this.root.classList.toggle("actual");
  }

  #measure() {
    this.video.style.setProperty("--screen-width", `${this.video.videoWidth / devicePixelRatio}px`);
  }
}
