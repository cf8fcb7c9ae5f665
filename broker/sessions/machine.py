"""The session state machine: a session, an event, the time give session and effects.

The state is not stored but follows from the facts (`state_of`):

    ended    there is an end reason
    waiting  nobody was allowed, nobody is being decided on
    asked    nobody is allowed yet, the person is deciding on somebody
    live     the person and at least one allowed technician are connected
    paused   somebody is allowed, but one side's link is down

Timers are named after what they wait for: `wait` (a technician), `ask:ID` (the
person's decision on ID), `resume:ID` (the link of ID, or of the person, to
come back), `media:ID` (a while before broken media is tried again). A timer
that fires for something that has happened since changes nothing.

Pure: effects are values for the desk to carry out, in order. Records come
first, so that nobody is told what the incident log does not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from broker.protocol import PERSON, EndReason, State, Status, Technician
from broker.sessions.values import (
    Ask,
    CloseMedia,
    CodeAccepted,
    Decided,
    Dismissed,
    Effect,
    EndAsked,
    Event,
    Finish,
    Left,
    LinkBack,
    LinkLost,
    Member,
    OpenMedia,
    Record,
    Refuse,
    Requested,
    SendAway,
    Session,
    StartTimer,
    Stopped,
    StopTimer,
    TimerFired,
    WithdrawAsk,
)

RETRY_MEDIA_S = 2.0
"""A client whose media failed is asked for a new offer after so long."""

Step = tuple[Session, list[Effect]]


def advance(session: Session, event: Event, now: float) -> Step:
    """Move a session one step. `now` is monotonic seconds.

    An event that the state does not expect returns the session unchanged and
    one `Refuse` effect that says why.
    """
    if session.reason is not None:
        return session, [Refuse("the session is over")]
    return _HANDLERS[type(event)](session, event, now)


# ── coming together ──────────────────────────────────────────────────────────


def _requested(session: Session, event: Requested, now: float) -> Step:
    return session, [StartTimer("wait", session.limits.wait_s)]


def _code_accepted(session: Session, event: CodeAccepted, now: float) -> Step:
    technician, limits = event.technician, session.limits
    known = session.member(technician.id)
    if known and known in session.present:
        return session, [Refuse("this technician is here already")]
    member = Member(
        technician,
        Status.ASKED,
        ask_until=now + limits.ask_s,
        resume_until=now + limits.resume_s,
    )
    others = tuple(m for m in session.members if m.technician.id != technician.id)
    effects: list[Effect] = [
        Record("code-accepted", technician.id, _named(technician)),
        Record("consent-asked", "broker", {**_named(technician), "step": "see"}),
        StopTimer("wait"),
        StartTimer(f"ask:{technician.id}", limits.ask_s),
        StartTimer(f"resume:{technician.id}", limits.resume_s),
    ]
    if session.person_connected:
        effects.append(Ask(technician, limits.ask_s))
    return replace(session, members=(*others, member)), effects


def _decided(session: Session, event: Decided, now: float) -> Step:
    member = session.member(event.participant)
    if member is None or member.status is not Status.ASKED:
        return session, [Refuse("no such question stands")]
    effects: list[Effect] = [
        Record(
            "consent-answered",
            PERSON,
            {"technician": event.participant, "allowed": event.allowed},
        ),
        StopTimer(f"ask:{event.participant}"),
    ]
    if not event.allowed:
        return _part(
            session, member, Status.DECLINED, effects, otherwise=EndReason.DECLINED, by=PERSON
        )
    first = not any(m.status is Status.ALLOWED for m in session.members)
    effects.append(
        Record("joined", event.participant, {"technician": event.participant, **_who(member)})
    )
    if first and session.person_connected:
        effects.append(OpenMedia(PERSON))
    if member.connected:
        effects.append(OpenMedia(event.participant))
    return _with(session, replace(member, status=Status.ALLOWED)), effects


# ── links ────────────────────────────────────────────────────────────────────


def _link_lost(session: Session, event: LinkLost, now: float) -> Step:
    who, trouble = event.who, event.trouble
    retry: list[Effect] = [StartTimer(f"media:{who}", RETRY_MEDIA_S)] if trouble else []
    if not _is_connected(session, who):
        still_down: list[Effect] = [CloseMedia(who), *retry]
        return session, still_down if retry else [Refuse("that link is down already")]
    cause = trouble.value if trouble else "link"
    effects: list[Effect] = [
        Record("connection", who, {"who": who, "state": "lost", "cause": cause}),
        CloseMedia(who),
        StartTimer(f"resume:{who}", session.limits.resume_s),
        *retry,
    ]
    until = now + session.limits.resume_s
    member = session.member(who)
    if member:
        away = replace(member, connected=False, trouble=trouble, resume_until=until)
        return _with(session, away), effects
    away_person = replace(
        session, person_connected=False, person_trouble=trouble, person_resume_until=until
    )
    return away_person, effects


def _link_back(session: Session, event: LinkBack, now: float) -> Step:
    if event.who == PERSON:
        return _person_back(session, event, now)
    member = session.member(event.who)
    if member is None or member not in session.present:
        return session, [Refuse("this technician is not in the session")]
    if member.connected:
        return session, [Refuse("that link is up already")]
    if event.media and member.trouble is None:
        return session, [Refuse("the media of a link that is down")]
    effects: list[Effect] = [_back(event.who)] if member.arrived else []
    effects.append(StopTimer(f"resume:{event.who}"))
    if member.status is Status.ALLOWED and not event.media:
        effects.append(OpenMedia(event.who))
    here = replace(member, connected=True, arrived=True, trouble=None, resume_until=None)
    return _with(session, here), effects


def _person_back(session: Session, event: LinkBack, now: float) -> Step:
    if session.person_connected:
        return session, [Refuse("that link is up already")]
    if event.media and session.person_trouble is None:
        return session, [Refuse("the media of a link that is down")]
    effects: list[Effect] = [_back(PERSON), StopTimer(f"resume:{PERSON}")]
    if not event.media:
        effects += [
            Ask(m.technician, m.ask_until - now)
            for m in session.members
            if m.status is Status.ASKED
        ]
        if any(m.status is Status.ALLOWED for m in session.members):
            effects.append(OpenMedia(PERSON))
    here = replace(session, person_connected=True, person_trouble=None, person_resume_until=None)
    return here, effects


# ── parting ──────────────────────────────────────────────────────────────────


def _dismissed(session: Session, event: Dismissed, now: float) -> Step:
    member = session.member(event.participant)
    if member is None or member not in session.present:
        return session, [Refuse("this technician is not in the session")]
    effects: list[Effect] = [_left(member, "dismissed")]
    return _part(session, member, Status.LEFT, effects, otherwise=EndReason.PERSON_ENDED, by=PERSON)


def _technician_left(session: Session, event: Left, now: float) -> Step:
    member = session.member(event.participant)
    if member is None or member not in session.present:
        return session, [Refuse("this technician is not in the session")]
    return _part(
        session,
        member,
        Status.LEFT,
        [_left(member, "left")],
        otherwise=EndReason.TECHNICIANS_LEFT,
        by=event.participant,
    )


def _end_asked(session: Session, event: EndAsked, now: float) -> Step:
    if event.by == PERSON:
        return _end(session, [], EndReason.PERSON_ENDED, PERSON)
    member = session.member(event.by)
    if member is None or member.status is not Status.ALLOWED:
        return session, [Refuse("only who was allowed in may end the session")]
    return _end(session, [], EndReason.TECHNICIAN_ENDED, event.by)


def _timer_fired(session: Session, event: TimerFired, now: float) -> Step:
    name, _, who = event.name.partition(":")
    if name == "wait" and session.state is State.WAITING:
        return _end(session, [], EndReason.NOBODY_CAME)
    if name == "resume" and who == PERSON and not session.person_connected:
        return _end(session, [], EndReason.PERSON_LOST)
    member = session.member(who)
    if member and name == "ask" and member.status is Status.ASKED:
        record = Record("consent-withdrawn", "broker", {"technician": who, "reason": "no-answer"})
        return _part(session, member, Status.LEFT, [record], otherwise=EndReason.NOT_ANSWERED)
    if name == "media" and not _is_connected(session, who):
        return session, [OpenMedia(who)]
    if member and name == "resume" and member in session.present and not member.connected:
        lost = _left(member, "lost")
        return _part(session, member, Status.LEFT, [lost], otherwise=EndReason.TECHNICIAN_LOST)
    return session, [Refuse("that timer has nothing left to wait for")]


def _stopped(session: Session, event: Stopped, now: float) -> Step:
    return _end(session, [], event.reason)


def _part(
    session: Session,
    member: Member,
    status: Status,
    effects: list[Effect],
    *,
    otherwise: EndReason,
    by: str = "",
) -> Step:
    """Let one technician go; without another the session ends with `otherwise`."""
    gone = member.technician.id
    after = _with(
        session, replace(member, status=status, connected=False, trouble=None, resume_until=None)
    )
    if not after.present:
        return _end(after, effects, otherwise, by)
    if member.status is Status.ASKED:
        effects = [*effects, WithdrawAsk(gone)]
    parting: list[Effect] = [
        StopTimer(f"ask:{gone}"),
        StopTimer(f"resume:{gone}"),
        StopTimer(f"media:{gone}"),
        CloseMedia(gone),
        SendAway(gone, otherwise, by),
    ]
    return after, effects + parting


def _end(session: Session, effects: list[Effect], reason: EndReason, by: str = "") -> Step:
    data = {"reason": reason.value} | ({"by": by} if by else {})
    over = replace(session, reason=reason, ended_by=by)
    return over, [*effects, Record("ended", by or "broker", data), Finish(reason, by)]


# ── small parts ──────────────────────────────────────────────────────────────


def _is_connected(session: Session, who: str) -> bool:
    if who == PERSON:
        return session.person_connected
    member = session.member(who)
    return member is not None and member in session.present and member.connected


def _with(session: Session, changed: Member) -> Session:
    members = tuple(
        changed if m.technician.id == changed.technician.id else m for m in session.members
    )
    return replace(session, members=members)


def _named(technician: Technician) -> dict[str, Any]:
    return {
        "technician": technician.id,
        "name": technician.name,
        "organisation": technician.organisation,
    }


def _who(member: Member) -> dict[str, Any]:
    return {"name": member.technician.name}


def _left(member: Member, reason: str) -> Record:
    who = member.technician.id
    actor = {"dismissed": PERSON, "left": who}.get(reason, "broker")
    return Record("left", actor, {"technician": who, **_who(member), "reason": reason})


def _back(who: str) -> Record:
    return Record("connection", who, {"who": who, "state": "back", "cause": ""})


_HANDLERS: dict[type, Callable[[Session, Any, float], Step]] = {
    Requested: _requested,
    CodeAccepted: _code_accepted,
    Decided: _decided,
    Dismissed: _dismissed,
    Left: _technician_left,
    EndAsked: _end_asked,
    LinkLost: _link_lost,
    LinkBack: _link_back,
    TimerFired: _timer_fired,
    Stopped: _stopped,
}
