// One session's page: joins link, peer, screen, chat and the words about them.

import { refusal } from "./api.js";
import { Chat } from "./chat.js";
import { find, isTyping } from "./dom.js";
import { t } from "./i18n.js";
import { Link } from "./link.js";
import { setUp } from "./page.js";
import { showParticipants } from "./participants.js";
import { Peer, isSupported } from "./peer.js";
import { Screen } from "./screen.js";
import { showStats } from "./stats.js";
import { explain } from "./why.js";

const NOTICE_MS = 10_000;

/** @typedef {import("./protocol.js").ToViewer} ToViewer */
/** @typedef {import("./protocol.js").FromViewer} FromViewer */

setUp({
  title: "session.title",
  signedIn: true,
  shortcuts: [
    ["c", "keys.chat"],
    ["Esc", "keys.leaveChat"],
    ["f", "keys.fit"],
    ["e", "keys.end"],
  ],
});

const id = location.pathname.split("/")[2] ?? "";
const screen = new Screen(find("#stage", HTMLElement), find("[data-testid=said]", HTMLElement));
const status = find("[data-testid=status]", HTMLElement);
const notice = find("#notice", HTMLElement);
const endDialog = find("#end-dialog", HTMLDialogElement);
const inviteDialog = find("#invite-dialog", HTMLDialogElement);

/** All that this page knows. @type {import("./why.js").Known} */
const known = { id, linkUp: false, supported: isSupported() };
/** @type {Peer | undefined} */
let peer;

const chat = new Chat(find("#chat", HTMLElement), () => known.me?.id ?? "");
screen.onFrame = () => show();

/** @type {Link<ToViewer, FromViewer>} */
const link = new Link(`/ws/session/${id}`, {
  change: (up) => {
    known.linkUp = up;
    if (!up) dropPeer();
    show();
  },
  message: receive,
});

/** @param {ToViewer} message */
function receive(message) {
  if (message.type === "viewer-welcome") known.me = message.technician;
  else if (message.type === "session") {
    known.session = message;
    known.sessionAt = performance.now();
  } else if (message.type === "offer-wanted") connect();
  else if (message.type === "answer") peer?.accept(message.sdp);
  else if (message.type === "code") showInvitation(message.code);
  else if (message.type === "ended") finish(() => (known.ended = message));
  else if (message.type === "refused") refuse(message);
  show();
}

/** @param {import("./protocol.js").Refused} refused */
function refuse({ reason, fatal }) {
  if (fatal) finish(() => (known.refused = reason));
  else if (reason === "no-common-codec") known.media = "no-codec";
  else {
    notice.textContent = refusal(reason);
    setTimeout(() => (notice.textContent = ""), NOTICE_MS);
  }
}

async function connect() {
  dropPeer();
  if (!known.supported) {
    link.send({ type: "media-failed", reason: "no-codec" });
    return;
  }
  const fresh = new Peer({
    stream: (stream) => screen.show(stream),
    chat: (channel) => chat.attach(channel),
    connected: () => {
      known.media = "connected";
      show();
    },
    failed: (reason) => {
      dropPeer();
      known.media = reason;
      link.send({ type: "media-failed", reason });
      show();
    },
  });
  peer = fresh;
  const sdp = await fresh.offer();
  if (peer === fresh) link.send({ type: "offer", sdp });
}

function dropPeer() {
  peer?.close();
  peer = undefined;
  if (known.media === "connected") known.media = undefined;
  chat.detach();
  screen.clear();
}

/** @param {() => void} note what is known of the end */
function finish(note) {
  note();
  link.close();
  dropPeer();
  chat.end();
  endDialog.close();
  inviteDialog.close();
  document.body.classList.add("over");
  if (!document.activeElement?.checkVisibility()) screen.root.focus();
}

function show() {
  const session = known.session;
  const over = known.ended !== undefined || known.refused !== undefined;
  if (over) setStatus("ended", t("state.ended"));
  else if (!known.linkUp) setStatus("paused", t("common.reconnecting"));
  else if (session) setStatus(session.state, t(`state.${session.state}`));
  else setStatus("waiting", t("why.opening"));
  if (session) {
    const { facts } = session;
    find("#who", HTMLElement).textContent = `${facts.user}@${facts.host}`;
    find("#facts", HTMLElement).textContent = `${facts.system} · ${facts.display}`;
    chat.input.placeholder = t("chat.placeholder", { name: facts.user });
    const people = find("[data-testid=participants]", HTMLElement);
    showParticipants(people, session, known.me?.id ?? "", over);
  }
  explainScreen();
}

function explainScreen() {
  screen.explain(explain(known, screen.hasFrame, performance.now()));
}

/**
 * @param {string} state gives the colour
 * @param {string} words
 */
function setStatus(state, words) {
  if (status.textContent !== words) status.textContent = words;
  status.className = `state ${state}`;
}

/** @param {string} digits */
function showInvitation(digits) {
  find("#invite-code", HTMLElement).textContent = digits.replace(/(\d{3})(?=\d)/g, "$1 ");
  inviteDialog.showModal();
}

const actual = find("#actual", HTMLButtonElement);

function toggleActual() {
  actual.setAttribute("aria-pressed", String(screen.toggleActual()));
}

actual.addEventListener("click", toggleActual);
find("#full", HTMLButtonElement).addEventListener("click", () => screen.root.requestFullscreen());
find("#invite", HTMLButtonElement).addEventListener("click", () => link.send({ type: "invite" }));
find("#leave", HTMLButtonElement).addEventListener("click", () => link.send({ type: "leave" }));
find("[data-testid=end-session]", HTMLButtonElement).addEventListener("click", () => endDialog.showModal());
endDialog.addEventListener("close", () => {
  if (endDialog.returnValue === "end") link.send({ type: "end" });
  endDialog.returnValue = "";
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isTyping(event.target)) screen.root.focus();
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "c") {
    event.preventDefault();
    chat.input.focus();
  }
  if (event.key === "f") toggleActual();
  if (event.key === "e" && !known.ended) endDialog.showModal();
});

showStats(() => peer?.connection, find("#stats", HTMLElement));
setInterval(explainScreen, 1000); // its seconds count down
show();
