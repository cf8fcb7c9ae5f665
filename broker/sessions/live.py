"""One live session: runs the machine and carries its effects out, in order.

Everything that happens to a session goes through one queue and one task, so
that the order of the incident log is the order in which things happened and in
which people are told. The machine decides; this file waits, writes and sends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from broker import protocol
from broker.protocol import (
    CHAT_MAX_BYTES,
    PERSON,
    Decoder,
    EndReason,
    MediaFailure,
    Message,
    ProtocolError,
    Refusal,
    Status,
)
from broker.sessions import chat, machine, values
from broker.sessions.ports import Link, Log, LogFailed, MediaEvents, MediaFactory, OfferRefused

logger = logging.getLogger(__name__)

QUEUE_MAX = 256
"""Happenings from peers that may wait; a peer that floods past it loses its link."""

RETRY_LOG_S = 5.0
"""An end that could not be recorded is tried again so often."""


class Offered(Struct, frozen=True):
    """A client has sent an offer."""

    who: str
    sdp: str


class Told(Struct, frozen=True):
    """A client has sent a message on the chat channel."""

    who: str
    message: protocol.Say | protocol.ChatSince


class Watched(Struct, frozen=True):
    """A client's picture started or stopped flowing."""

    who: str
    watching: bool


class CodeNews(Struct, frozen=True):
    """Something about a code: into the log first, then to its owner."""

    kind: str
    actor: str
    data: dict[str, Any]
    owner: str = ""
    message: Message | None = None


Happening = values.Event | Offered | Told | Watched | CodeNews


class LiveSession:
    """A session that has not ended, and the task that moves it.

    `changed` is called after each change; `over` once, at the very end.
    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        session: values.Session,
        *,
        device: str,
        opened_at: str,
        log: Log,
        media: MediaFactory,
        clock: Callable[[], float],
        changed: Callable[[LiveSession], None],
        over: Callable[[LiveSession], None],
    ) -> None:
        self.value = session
        self.device = device
        self.opened_at = opened_at
        self._log = log
        self._clock = clock
        self._changed = changed
        self._over = over
        self._links: dict[str, Link] = {}
        self._queue: asyncio.Queue[tuple[Happening, asyncio.Future[bool] | None]] = asyncio.Queue()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._late: list[values.Record] = []  # what a broken log did not take
        self._chat_decoder: Decoder[protocol.Say | protocol.ChatSince] = Decoder(
            protocol.ChatFromPeer, CHAT_MAX_BYTES
        )
        self._media = media(
            MediaEvents(
                connected=lambda who: self.post(values.LinkBack(who, media=True)),
                lost=self._media_lost,
                message=self._media_message,
                watching=lambda who, watching: self.post(Watched(who, watching)),
            )
        )
        self._task = asyncio.create_task(self._run(), name=f"session {session.id}")
        self.post(values.Requested())

    @property
    def id(self) -> str:
        """The session's id, which is its incident's id."""
        return self.value.id

    # ── what happens ─────────────────────────────────────────────────────────

    def attach(self, who: str, link: Link) -> None:
        """A client's link is open; an older one of the same client is replaced."""
        older = self._links.get(who)
        if older is not None:
            text = "This session was opened in another window. Go on there, or reload this one."
            older.send(protocol.Refused(Refusal.REPLACED, text, fatal=True))
            older.close()
            self.post(values.LinkLost(who))
        self._links[who] = link
        link.send(self._snapshot())
        self.post(values.LinkBack(who))

    def detach(self, who: str, link: Link) -> None:
        """A client's link is gone; of a replaced link this says nothing."""
        if self._links.get(who) is link:
            del self._links[who]
            self.post(values.LinkLost(who))

    def post(self, happening: Happening) -> None:
        """Let something happen, after all that happened before."""
        self._queue.put_nowait((happening, None))

    def post_from_peer(self, happening: Happening) -> bool:
        """The same for a peer's wish; False when too many wait already."""
        if self._queue.qsize() >= QUEUE_MAX:
            return False
        self.post(happening)
        return True

    async def perform(self, happening: Happening) -> bool:
        """Let something happen and wait until it is recorded and carried out.

        Returns False if the state did not expect it or the log failed.
        """
        if self.value.reason is not None:
            return False
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((happening, done))
        return await done

    async def wait_over(self) -> None:
        """Return when the session has ended and everything is closed."""
        await asyncio.wait({self._task})

    def send(self, who: str, message: Message) -> None:
        """Send on somebody's signalling link, if it is up."""
        link = self._links.get(who)
        if link is not None:
            link.send(message)

    def is_allowed(self, who: str) -> bool:
        """Whether `who` may have media: allowed in, or the person of a session with somebody."""
        if who == PERSON:
            return any(m.status is Status.ALLOWED for m in self.value.members)
        member = self.value.member(who)
        return member is not None and member.status is Status.ALLOWED

    def _media_lost(self, who: str, failure: MediaFailure) -> None:
        self.post(values.LinkLost(who, failure))

    def _media_message(self, who: str, label: str, data: str | bytes) -> None:
        try:
            message = self._chat_decoder.decode(data)
        except ProtocolError as error:
            logger.info("session %s: %s sent a bad chat message: %s", self.id, who, error)
            return
        if not self.post_from_peer(Told(who, message)) and isinstance(message, protocol.Say):
            self._deliver(who, protocol.NotSaid(message.id, Refusal.BUSY))

    # ── the task ─────────────────────────────────────────────────────────────

    async def _run(self) -> None:
        try:
            while self.value.reason is None:
                happening, done = await self._queue.get()
                accepted = await self._happen(happening)
                if done is not None and not done.done():
                    done.set_result(accepted)
            self._answer_the_waiting()
            await self._record_late()
        finally:
            self._stop_timers()
            self._answer_the_waiting()
            await self._media.close_all()
            self._over(self)

    def _answer_the_waiting(self) -> None:
        while not self._queue.empty():
            _, done = self._queue.get_nowait()
            if done is not None and not done.done():
                done.set_result(False)

    async def _happen(self, happening: Happening) -> bool:
        try:
            return await self._carry(happening)
        except LogFailed:
            logger.error("session %s: the incident log failed, so the session ends", self.id)
            await self._end_unrecorded()
            return False

    async def _carry(self, happening: Happening) -> bool:
        match happening:
            case Offered(who, sdp):
                return await self._answer(who, sdp)
            case Told(who, message):
                await self._converse(who, message)
            case Watched(who, watching):
                await self._record_watching(who, watching)
            case CodeNews(kind, actor, data, owner, message):
                await self._log.record(self.id, kind, actor, data)
                if message is not None:
                    self.send(owner, message)
            case event:
                return await self._advance(event)
        return True

    async def _advance(self, event: values.Event) -> bool:
        after, effects = machine.advance(self.value, event, self._clock())
        for effect in effects:
            if isinstance(effect, values.Refuse):
                logger.debug("session %s: %s: %s", self.id, event, effect.why)
                return False
            if isinstance(effect, values.Record):
                await self._record(effect)
        changed = after != self.value
        self.value = after
        for effect in effects:
            await self._do(effect)
        if changed:
            self._broadcast()
        return True

    async def _record(self, record: values.Record) -> None:
        if record.kind == "ended":
            await self._log.end(self.id, record.actor, record.data)
        else:
            await self._log.record(self.id, record.kind, record.actor, record.data)

    async def _do(self, effect: values.Effect) -> None:
        match effect:
            case values.Ask(technician, expires_in_s):
                self.send(PERSON, protocol.Ask(technician, "see", max(0.0, expires_in_s)))
            case values.WithdrawAsk(participant):
                self.send(PERSON, protocol.AskWithdrawn(participant))
            case values.OpenMedia(who):
                self.send(who, protocol.OfferWanted())
            case values.CloseMedia(who):
                await self._media.close(who)
            case values.StartTimer(name, seconds):
                self._start_timer(name, seconds)
            case values.StopTimer(name):
                self._stop_timer(name)
            case values.SendAway(participant, reason, by):
                self._dismiss_link(participant, protocol.Ended(reason, self._name(by)))
            case values.Finish(reason, by):
                self._finish(reason, by)

    # ── media and chat ───────────────────────────────────────────────────────

    async def _answer(self, who: str, sdp: str) -> bool:
        if not self.is_allowed(who):
            text = "The person has not allowed this. Wait for their decision."
            self.send(who, protocol.Refused(Refusal.NOT_ALLOWED, text))
            return False
        try:
            answer = await self._media.answer(who, sdp)
        except OfferRefused as refused:
            self.send(who, protocol.Refused(refused.reason, str(refused)))
            return False
        self.send(who, protocol.Answer(answer))
        return True

    async def _converse(self, who: str, message: protocol.Say | protocol.ChatSince) -> None:
        if not self.is_allowed(who):
            return
        if isinstance(message, protocol.ChatSince):
            await chat.replay(self._log, self.id, who, message, self._deliver)
            return
        everyone = [PERSON, *(m.technician.id for m in self.value.present)]
        others = [other for other in everyone if other != who and self.is_allowed(other)]
        await chat.say(self._log, self.id, who, self._name(who), message, others, self._deliver)

    def _deliver(self, who: str, message: Message) -> None:
        self._media.send(who, "chat", protocol.encode(message).decode())

    async def _record_watching(self, who: str, watching: bool) -> None:
        state = "started" if watching else "stopped"
        await self._log.record(self.id, "picture", who, {"who": who, "state": state})
        self._broadcast()

    # ── telling ──────────────────────────────────────────────────────────────

    def _broadcast(self) -> None:
        if self.value.reason is None:
            snapshot = self._snapshot()
            for who in list(self._links):
                if self._is_present(who):
                    self.send(who, snapshot)
        self._changed(self)

    def _snapshot(self) -> protocol.Session:
        value, now = self.value, self._clock()
        deadlines = [m.resume_until for m in value.present if m.status is Status.ALLOWED]
        if not value.person_connected:
            deadlines = [value.person_resume_until]
        paused = value.state is protocol.State.PAUSED
        ends = max((d for d in deadlines if d is not None), default=None) if paused else None
        asked = [m.ask_until for m in value.members if m.status is Status.ASKED]
        return protocol.Session(
            session=value.id,
            state=value.state,
            facts=value.facts,
            person_connected=value.person_connected,
            participants=tuple(
                protocol.Participant(
                    technician=m.technician,
                    status=m.status,
                    connected=m.connected,
                    watching=self._media.watching(m.technician.id),
                    trouble=m.trouble,
                )
                for m in value.members
            ),
            person_trouble=value.person_trouble,
            resume_in_s=None if ends is None else max(0.0, ends - now),
            ask_in_s=max(0.0, max(asked) - now) if asked else None,
        )

    def _is_present(self, who: str) -> bool:
        return who == PERSON or any(m.technician.id == who for m in self.value.present)

    def _name(self, who: str) -> str:
        if who == PERSON:
            return self.value.facts.user
        member = self.value.member(who)
        return member.technician.name if member else ""

    def _dismiss_link(self, who: str, last: Message) -> None:
        link = self._links.pop(who, None)
        if link is not None:
            link.send(last)
            link.close()

    # ── the end ──────────────────────────────────────────────────────────────

    def _finish(self, reason: EndReason, by: str) -> None:
        for who in list(self._links):
            self._dismiss_link(who, protocol.Ended(reason, self._name(by) if by else ""))

    async def _end_unrecorded(self) -> None:
        """End at once; that it ended is recorded when the log works again."""
        reason = EndReason.LOG_FAILED
        self.value, effects = machine.advance(self.value, values.Stopped(reason), self._clock())
        self._late = [effect for effect in effects if isinstance(effect, values.Record)]
        self._finish(reason, "")
        self._changed(self)
        await self._media.close_all()

    async def _record_late(self) -> None:
        while self._late:
            try:
                await self._record(self._late[0])
                del self._late[0]
            except LogFailed:
                await asyncio.sleep(RETRY_LOG_S)

    def abandon(self) -> None:
        """Stop the task, recorded or not: the broker must stop now."""
        self._task.cancel()

    # ── timers ───────────────────────────────────────────────────────────────

    def _start_timer(self, name: str, seconds: float) -> None:
        self._stop_timer(name)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self.post, values.TimerFired(name))

    def _stop_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _stop_timers(self) -> None:
        for name in list(self._timers):
            self._stop_timer(name)
