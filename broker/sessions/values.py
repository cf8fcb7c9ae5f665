"""What the session machine works on: a session, what happens to it, what follows.

All are frozen values. Times are monotonic seconds.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from broker.protocol import DeviceFacts, EndReason, MediaFailure, State, Status, Technician

# ── the session ──────────────────────────────────────────────────────────────


class Limits(Struct, frozen=True):
    """How long each party may take, in seconds."""

    wait_s: float
    ask_s: float
    resume_s: float


class Member(Struct, frozen=True):
    """One technician: what the person decided, and whether the link is up."""

    technician: Technician
    status: Status
    connected: bool = False
    arrived: bool = False  # has been connected before
    trouble: MediaFailure | None = None
    ask_until: float = 0.0  # monotonic seconds
    resume_until: float | None = None


class Session(Struct, frozen=True):
    """One request for help, from hello to end."""

    id: str
    facts: DeviceFacts
    limits: Limits
    person_connected: bool = True
    person_trouble: MediaFailure | None = None
    person_resume_until: float | None = None
    members: tuple[Member, ...] = ()
    reason: EndReason | None = None
    ended_by: str = ""

    @property
    def state(self) -> State:
        """See the table above."""
        if self.reason is not None:
            return State.ENDED
        allowed = [m for m in self.members if m.status is Status.ALLOWED]
        if allowed:
            together = self.person_connected and any(m.connected for m in allowed)
            return State.LIVE if together else State.PAUSED
        asked = any(m.status is Status.ASKED for m in self.members)
        return State.ASKED if asked else State.WAITING

    def member(self, participant: str) -> Member | None:
        """The technician with this id, whatever their status."""
        return next((m for m in self.members if m.technician.id == participant), None)

    @property
    def present(self) -> tuple[Member, ...]:
        """The technicians who are allowed or being decided on."""
        return tuple(m for m in self.members if m.status in (Status.ALLOWED, Status.ASKED))


# ── events ───────────────────────────────────────────────────────────────────


class Requested(Struct, frozen=True):
    """The person has asked for help; the first event of every session."""


class CodeAccepted(Struct, frozen=True):
    """A signed-in technician has entered this session's code."""

    technician: Technician


class Decided(Struct, frozen=True):
    """The person has answered the question about a technician."""

    participant: str
    allowed: bool


class Dismissed(Struct, frozen=True):
    """The person sends a technician away."""

    participant: str


class Left(Struct, frozen=True):
    """A technician leaves."""

    participant: str


class EndAsked(Struct, frozen=True):
    """The person or an allowed technician ends the session."""

    by: str


class LinkLost(Struct, frozen=True):
    """Somebody's signalling (no trouble) or media (with trouble) broke."""

    who: str
    trouble: MediaFailure | None = None


class LinkBack(Struct, frozen=True):
    """Somebody's signalling (media false) or media is up again."""

    who: str
    media: bool = False


class TimerFired(Struct, frozen=True):
    """A timer that an effect started has run out."""

    name: str


class Stopped(Struct, frozen=True):
    """The broker cannot or must not go on with this session."""

    reason: EndReason


Event = (
    Requested
    | CodeAccepted
    | Decided
    | Dismissed
    | Left
    | EndAsked
    | LinkLost
    | LinkBack
    | TimerFired
    | Stopped
)

# ── effects ──────────────────────────────────────────────────────────────────


class Record(Struct, frozen=True):
    """Write to the incident log; nothing later happens before it is durable."""

    kind: str
    actor: str
    data: dict[str, Any]


class Ask(Struct, frozen=True):
    """Put the question about a technician to the person."""

    technician: Technician
    expires_in_s: float


class WithdrawAsk(Struct, frozen=True):
    """The question about a technician no longer stands."""

    participant: str


class OpenMedia(Struct, frozen=True):
    """Ask a client for a (new) media connection."""

    who: str


class CloseMedia(Struct, frozen=True):
    """Close a client's media connection."""

    who: str


class StartTimer(Struct, frozen=True):
    """Fire `TimerFired(name)` after `seconds`, instead of an earlier one."""

    name: str
    seconds: float


class StopTimer(Struct, frozen=True):
    """Do not fire it after all."""

    name: str


class Finish(Struct, frozen=True):
    """Tell everybody, close everything; the last effect of a session."""

    reason: EndReason
    by: str


class SendAway(Struct, frozen=True):
    """Tell one technician that for them the session is over, and why."""

    participant: str
    reason: EndReason
    by: str


class Refuse(Struct, frozen=True):
    """The state does not expect the event; `why` is for the log."""

    why: str


Effect = (
    Record
    | Ask
    | WithdrawAsk
    | OpenMedia
    | CloseMedia
    | StartTimer
    | StopTimer
    | Finish
    | SendAway
    | Refuse
)
