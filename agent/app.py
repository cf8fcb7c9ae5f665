"""The agent: what the broker says, what the person wants, and what follows.

One rule stands above the rest: whatever ends, the capture of the screen ends
first, here, before anything is told to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from agent import chat, presence
from agent.chat import Conversation, TextRefused
from agent.device import DeviceKey
from agent.gate import Gate
from agent.link import Link, LinkOver
from agent.media import Media
from agent.ui import Answered, SendAway, Stop, Ui, WantCode, Wish, Write
from broker.protocol import (
    CHAT_MAX_BYTES,
    AgentWelcome,
    Answer,
    ChatToPeer,
    Code,
    CodeGone,
    Decide,
    Decoder,
    DeviceFacts,
    Dismiss,
    End,
    Ended,
    EndReason,
    Language,
    MediaFailed,
    MediaFailure,
    NewCode,
    Offer,
    OfferWanted,
    ProtocolError,
    Refusal,
    Refused,
    Session,
    ToAgent,
    encode,
)

FAREWELL_S: Final = 2.0
"""How long the agent waits for the broker to confirm that the session is over."""

BAD_ENDS: Final = frozenset(
    {
        EndReason.PERSON_LOST,
        EndReason.LOG_FAILED,
        EndReason.BROKER_STOPPED,
        EndReason.BROKER_KILLED,
    }
)
"""Ends that nobody in the session wanted: exit code 1."""

ABOUT_THE_OFFER: Final = frozenset(
    {Refusal.NOT_ALLOWED, Refusal.NO_COMMON_CODEC, Refusal.BAD_OFFER}
)


class Options(Struct, frozen=True, kw_only=True):
    """What the command line decided."""

    broker: str
    key: DeviceKey
    facts: DeviceFacts
    language: Language
    trust: ssl.SSLContext | None
    display: str


class Agent:
    """One run of the agent: one request for help, from code to end.

    `draw` gives numbers from 0 to 1, `new_id` fresh ids for chat texts.
    """

    def __init__(
        self, options: Options, ui: Ui, *, draw: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self._options = options
        self._ui = ui
        self._new_id = new_id
        self._gate = Gate()
        self._seen: Session | None = None
        self._conversation = Conversation()
        self._sent_away: set[str] = set()  # on this link
        self._trouble: MediaFailure | None = None
        self._stopping = False
        self._over = asyncio.Event()
        self._exit_code = 0
        self._chat_decoder: Decoder[ChatToPeer] = Decoder(ChatToPeer, CHAT_MAX_BYTES)
        self._link = Link(
            options.broker,
            options.key,
            options.facts,
            options.language,
            trust=options.trust,
            on_message=self._told,
            on_down=self._link_down,
            draw=draw,
        )
        self._media = Media(
            display=options.display,
            send_offer=lambda sdp: self._link.send(Offer(sdp)),
            on_up=self._media_up,
            on_failed=self._media_failed,
            on_capturing=self._show_watchers,
            on_channel=self._channel_open,
            on_message=self._chat_told,
        )

    async def run(self) -> int:
        """Ask for help and stay until it is over; the exit code."""
        self._ui.open(self.wish)
        self._show_facts()
        media = asyncio.create_task(self._media.run(), name="media")
        link = asyncio.create_task(self._link.run(), name="link")
        over = asyncio.create_task(self._over.wait(), name="over")
        try:
            await asyncio.wait({media, link, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._media.close_gate()
        await self._say_goodbye(link)
        await _end(over, media)
        if not media.cancelled() and (failed := media.exception()) is not None:
            raise failed  # our own mistake is loud
        await self._media.close()
        for failure in self._conversation.over():
            self._ui.tell("chat.failed", text=failure.text, why=failure.reason)
        await self._ui.close()
        return self._exit_code

    # ── what the person wants ────────────────────────────────────────────────

    def wish(self, wish: Wish) -> None:
        """The person wants something, or a signal wants it for them."""
        match wish:
            case Stop(why):
                self._stop(why)
            case Answered(technician, allowed):
                before = self._gate
                self._move(before.answered(technician, allowed))
                if technician in before.questions:
                    self._sent_away.discard(technician.id)
                    self._link.send(Decide(technician.id, allowed))
            case SendAway(participant):
                self._send_away(participant)
            case WantCode():
                if not self._link.send(NewCode()):
                    self._ui.tell("link.down")
            case Write(text):
                self._write(text)

    def _stop(self, why: str) -> None:
        self._media.close_gate()
        if self._stopping:
            return
        self._stopping = True
        self._move(Gate())
        self._ui.tell({"no-input": "end.no_input", "signal": "end.signal"}.get(why, "end.you"))
        if self._link.send(End()):
            asyncio.get_running_loop().call_later(FAREWELL_S, self._over.set)
        else:
            self._over.set()

    def _send_away(self, participant: str) -> None:
        self._move(self._gate.dismissed(participant))
        self._dismiss(participant)
        for technician in presence.allowed(self._seen):
            if technician.id == participant:
                self._ui.tell("dismissed", name=technician.name)

    def _write(self, text: str) -> None:
        try:
            self._conversation, message = self._conversation.write(text, self._new_id())
        except TextRefused as refused:
            self._ui.tell(refused.key, **refused.values)
            return
        if not self._media.say(encode(message).decode()):
            self._ui.tell("chat.waiting", text=text)

    # ── what the broker says ─────────────────────────────────────────────────

    def _told(self, message: ToAgent) -> None:
        before = self._gate
        self._move(before.told(message))
        if self._stopping and not isinstance(message, Ended):
            return
        self._put_questions(before)
        match message:
            case AgentWelcome():
                self._welcome(message, before.session)
            case Session():
                self._standing(message)
            case Code(code, expires_in_s):
                self._ui.show_code(code, expires_in_s)
            case CodeGone(reason):
                self._ui.tell(f"code.{reason}")
            case OfferWanted():
                self._media.want()
            case Answer(sdp):
                self._media.answer(sdp)
            case Refused(reason):
                self._refused(reason)
            case Ended():
                self._ended(message)

    def _put_questions(self, before: Gate) -> None:
        for technician in before.questions:
            if technician not in self._gate.questions:
                self._ui.withdraw(technician)
        for technician in self._gate.questions:
            if technician not in before.questions:
                self._ui.ask(technician)

    def _welcome(self, message: AgentWelcome, before: str) -> None:
        self._sent_away.clear()
        if message.resumed:
            self._ui.tell("link.resumed")
            return
        self._ui.tell("link.new_session" if before else "link.up")
        for failure in self._conversation.over():
            self._ui.tell("chat.failed", text=failure.text, why=failure.reason)
        self._conversation = Conversation()
        self._seen = None
        self._ui.present(())

    def _standing(self, session: Session) -> None:
        if session.session != self._gate.session:
            return
        for key, technician in presence.changes(self._seen, session):
            self._ui.tell(key, name=technician.name)
        self._seen = session
        self._ui.present(presence.allowed(session))
        for technician in presence.allowed(session):
            # Sent away while the link was down, or never allowed here at all.
            if technician not in self._gate.allowed and technician.id not in self._sent_away:
                self._dismiss(technician.id)

    def _dismiss(self, participant: str) -> None:
        if self._link.send(Dismiss(participant)):
            self._sent_away.add(participant)

    def _refused(self, reason: Refusal) -> None:
        if reason in ABOUT_THE_OFFER:
            self._media.refused()
        if reason is Refusal.NO_COMMON_CODEC:
            self._media_failed(MediaFailure.NO_CODEC)
        elif reason is not Refusal.NOT_ALLOWED:
            self._ui.tell("link.refused", why=reason)

    def _ended(self, message: Ended) -> None:
        if message.by and message.reason is not EndReason.PERSON_ENDED:
            self._ui.tell("end.said_by", why=message.reason, name=message.by)
        else:
            self._ui.tell("end.said", why=message.reason)
        self._exit_code = 1 if message.reason in BAD_ENDS else 0
        self._over.set()

    # ── the link ─────────────────────────────────────────────────────────────

    def _link_down(self) -> None:
        self._media.close_gate()
        before = self._gate
        self._move(before.unlinked())
        self._media.drop()
        if self._stopping:
            self._over.set()
        elif not self._over.is_set():
            self._put_questions(before)
            self._ui.tell("link.down")

    async def _say_goodbye(self, link: asyncio.Task[None]) -> None:
        self._over.set()
        wait_s = FAREWELL_S if self._link.up else 0.0
        self._link.close()
        await asyncio.wait({link}, timeout=wait_s)
        link.cancel()
        try:
            await link
        except LinkOver as over:
            self._exit_code = 1
            self._ui.tell(over.key, **over.values)
        except asyncio.CancelledError:
            pass

    # ── media ────────────────────────────────────────────────────────────────

    def _move(self, gate: Gate) -> None:
        """The gate is another one now; the picture follows it at once."""
        self._gate = gate
        if gate.may_publish and not self._stopping:
            self._media.open_gate()
        else:
            self._media.close_gate()
        self._show_watchers()

    def _show_watchers(self) -> None:
        self._ui.watched_by(self._gate.watchers if self._media.capturing else ())

    def _media_up(self) -> None:
        if self._trouble is not None:
            self._trouble = None
            self._ui.tell("picture.up")

    def _media_failed(self, failure: MediaFailure, why: str = "") -> None:
        if failure is not self._trouble:
            self._trouble = failure
            if why:
                self._ui.tell("media.said_why", what=failure, why=why)
            else:
                self._ui.tell("media.said", what=failure)
        self._link.send(MediaFailed(failure))

    def _channel_open(self) -> None:
        for message in self._conversation.opening():
            self._media.say(encode(message).decode())

    def _chat_told(self, data: str | bytes) -> None:
        try:
            message = self._chat_decoder.decode(data)
        except ProtocolError as error:
            self._ui.tell("link.bad_language", broker=self._options.broker, cause=str(error))
            return
        self._conversation, news = self._conversation.told(message)
        match news:
            case chat.Sent(text):
                self._ui.tell("chat.sent", text=text)
            case chat.Failed(text, reason):
                self._ui.tell("chat.failed", text=text, why=reason)
            case chat.Heard(name, text):
                self._ui.heard(name, text)

    def _show_facts(self) -> None:
        facts = self._options.facts
        self._ui.tell(
            "start.facts",
            host=facts.host,
            user=facts.user,
            system=facts.system,
            display=facts.display,
            agent=facts.agent,
        )
        self._ui.tell("start.nothing_shown")
        self._ui.tell("start.connecting", broker=self._options.broker)


async def _end(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait(tasks)
