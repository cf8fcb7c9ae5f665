"""All live sessions of one broker: requests come in, codes pair, consoles watch."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from broker import protocol
from broker.protocol import PERSON, DeviceFacts, EndReason, Refusal, SessionRow, Technician
from broker.sessions import values
from broker.sessions.codes import CodeBook, CodeRefused
from broker.sessions.live import CodeNews, LiveSession
from broker.sessions.ports import Link, Log, LogFailed, MediaFactory

logger = logging.getLogger(__name__)


class RequestRefused(Exception):
    """The broker cannot take a request for help now."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Desk:
    """Everything that is going on, by session id.

    `clock` gives monotonic seconds, `draw(n)` a uniform random integer below n,
    `new_id` an unguessable session id.
    """

    def __init__(
        self,
        *,
        log: Log,
        media: MediaFactory,
        limits: values.Limits,
        code_lifetime_s: float,
        max_sessions: int,
        clock: Callable[[], float],
        draw: Callable[[int], int],
        new_id: Callable[[], str],
    ) -> None:
        self._log = log
        self._media = media
        self._limits = limits
        self._code_lifetime_s = code_lifetime_s
        self._max_sessions = max_sessions
        self._clock = clock
        self._new_id = new_id
        self._codes = CodeBook(draw, code_lifetime_s)
        self._sessions: dict[str, LiveSession] = {}
        self._watchers: defaultdict[str, set[Callable[[], None]]] = defaultdict(set)
        self._opening = 0
        self._stopping = False

    # ── the person's side ────────────────────────────────────────────────────

    async def request(
        self, device: str, facts: DeviceFacts, language: str, link: Link
    ) -> LiveSession:
        """A new request for help by the agent with device key `device`.

        An earlier request of the same device ends. Raises RequestRefused.
        """
        if self._stopping:
            raise RequestRefused(Refusal.STOPPING)
        if len(self._sessions) + self._opening >= self._max_sessions:
            raise RequestRefused(Refusal.BUSY)
        self._opening += 1
        try:
            await self._end_earlier(device)
            session_id = self._new_id()
            data = msgspec.to_builtins(facts) | {"device": device, "language": language}
            opened = await self._log.open(session_id, data)
        except LogFailed:
            raise RequestRefused(Refusal.LOG_FAILED) from None
        finally:
            self._opening -= 1
        live = LiveSession(
            values.Session(session_id, facts, self._limits),
            device=device,
            opened_at=opened.at,
            log=self._log,
            media=self._media,
            clock=self._clock,
            changed=self._on_change,
            over=self._on_over,
        )
        self._sessions[session_id] = live
        link.send(protocol.AgentWelcome(session_id, resumed=False))
        live.attach(PERSON, link)
        self.issue_code(live, PERSON)
        return live

    def resume(self, session_id: str, device: str, link: Link) -> LiveSession | None:
        """The session before, if it has not ended and is this device's."""
        live = self._sessions.get(session_id)
        if live is None or live.device != device or live.value.reason is not None:
            return None
        link.send(protocol.AgentWelcome(session_id, resumed=True))
        live.attach(PERSON, link)
        return live

    async def _end_earlier(self, device: str) -> None:
        for live in list(self._sessions.values()):
            if live.device == device:
                await live.perform(values.Stopped(EndReason.PERSON_LOST))

    # ── codes ────────────────────────────────────────────────────────────────

    def issue_code(self, live: LiveSession, owner: str) -> bool:
        """Give a participant a fresh code to pass on; the one before is withdrawn.

        False if too much waits to be done for this session already.
        """
        try:
            code = self._codes.issue(live.id, owner, self._clock())
        except CodeRefused:
            text = "You have asked for many codes. Wait a few minutes before the next one."
            live.send(owner, protocol.Refused(Refusal.BUSY, text))
            return True
        expires_at = datetime.now(UTC) + timedelta(seconds=self._code_lifetime_s)
        data = {"lookup": code.lookup, "for": owner, "expires_at": _rfc3339(expires_at)}
        message = protocol.Code(code.digits, self._code_lifetime_s)
        if not live.post_from_peer(CodeNews("code-issued", "broker", data, owner, message)):
            return False
        asyncio.get_running_loop().call_later(
            self._code_lifetime_s, self._code_expired, live, code.lookup, owner
        )
        return True

    async def submit(self, technician: Technician, digits: str) -> str:
        """Pair a technician with the session whose code this is; returns its id.

        The pairing is in the incident log on return. Raises CodeRefused.
        """
        try:
            code = self._codes.submit(digits, technician.id, self._clock())
        except CodeRefused as refused:
            self._note_refusal(technician, refused)
            raise
        live = self._sessions.get(code.session)
        if live is None:
            raise CodeRefused(Refusal.SESSION_OVER)
        live.send(code.owner, protocol.CodeGone("used"))
        await live.perform(values.CodeAccepted(technician))
        if live.value.reason is not None:
            raise CodeRefused(Refusal.SESSION_OVER)
        return live.id

    def _note_refusal(self, technician: Technician, refused: CodeRefused) -> None:
        code = refused.code
        live = self._sessions.get(code.session) if code else None
        if code is None or live is None:
            return
        data = {
            "technician": technician.id,
            "name": technician.name,
            "reason": refused.reason.value,
        }
        gone = protocol.CodeGone("burned") if refused.burned else None
        live.post(CodeNews("code-refused", technician.id, data, code.owner, gone))

    def _code_expired(self, live: LiveSession, lookup: str, owner: str) -> None:
        if self._codes.has_expired(lookup, self._clock()) and live.value.reason is None:
            data = {"lookup": lookup, "reason": "expired"}
            gone = protocol.CodeGone("expired")
            live.post(CodeNews("code-gone", "broker", data, owner, gone))

    # ── the technicians' side ────────────────────────────────────────────────

    def session(self, session_id: str) -> LiveSession | None:
        """A session that has not ended."""
        live = self._sessions.get(session_id)
        return live if live is not None and live.value.reason is None else None

    async def how_it_ended(self, session_id: str, technician: str) -> protocol.Ended | None:
        """How a session ended that this technician had the code of.

        None for anybody else, and for what is no session.
        """
        try:
            entry = await self._log.find_end(session_id, technician)
        except LogFailed:
            return None
        return protocol.Ended(EndReason(entry.data["reason"])) if entry else None

    def rows(self, technician: str) -> tuple[SessionRow, ...]:
        """A technician's own sessions, newest first."""
        rows = [
            SessionRow(
                session=live.id,
                state=live.value.state,
                host=live.value.facts.host,
                user=live.value.facts.user,
                opened_at=live.opened_at,
                status=member.status,
            )
            for live in self._sessions.values()
            for member in live.value.present
            if member.technician.id == technician and live.value.reason is None
        ]
        return tuple(sorted(rows, key=lambda row: row.opened_at, reverse=True))

    def watch(self, technician: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever this technician's rows may have; returns the undo."""
        watchers = self._watchers[technician]
        watchers.add(changed)

        def undo() -> None:
            watchers.discard(changed)
            if not watchers and self._watchers.get(technician) is watchers:
                del self._watchers[technician]

        return undo

    def counts(self) -> dict[str, int]:
        """How many sessions are in each state."""
        counts = dict.fromkeys((state.value for state in protocol.State), 0)
        for live in self._sessions.values():
            counts[live.value.state.value] += 1
        return counts

    def _on_change(self, live: LiveSession) -> None:
        for member in live.value.members:
            for changed in tuple(self._watchers.get(member.technician.id, ())):
                changed()

    def _on_over(self, live: LiveSession) -> None:
        self._codes.withdraw(live.id)
        self._sessions.pop(live.id, None)
        self._on_change(live)

    # ── the end ──────────────────────────────────────────────────────────────

    async def stop(self, timeout_s: float) -> None:
        """End every session with its true reason, and wait until all is recorded."""
        self._stopping = True
        sessions = list(self._sessions.values())
        for live in sessions:
            live.post(values.Stopped(EndReason.BROKER_STOPPED))
        if not sessions:
            return
        waits = [asyncio.create_task(live.wait_over()) for live in sessions]
        _, late = await asyncio.wait(waits, timeout=timeout_s)
        for live in sessions:
            live.abandon()
        await asyncio.gather(*waits)
        if late:
            logger.error("%d sessions could not be recorded as ended", len(late))


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
