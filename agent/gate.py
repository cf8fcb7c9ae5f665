"""The person's side of consent: what this person allowed, and only that.

The broker decides who may be in a session; this gate decides, on the person's
own machine, whether a picture may leave it. It opens by one thing alone: the
person's own yes to a question that stands, about exactly the technician whom
the question named. No message of the broker opens it. It closes

    for one technician    dismissed, left, declined, asked about anew, or told
                          by the broker under another name
    for everybody         the session ends or is another one
    for the time being    the link is down, nobody who was allowed is
                          connected, or somebody is who was not

Pure: a gate is a value; each thing that happens gives the next one.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from broker.protocol import (
    AgentWelcome,
    Ask,
    AskWithdrawn,
    Ended,
    Participant,
    Session,
    State,
    Status,
    Technician,
    ToAgent,
)

QUESTIONS_MAX = 16
"""Questions that may stand at once; a broker that asks more is not heard."""


class Gate(Struct, frozen=True):
    """What the person has allowed in which session, and how it stands now."""

    session: str = ""  # empty: none
    questions: tuple[Technician, ...] = ()  # that stand, oldest first
    allowed: tuple[Technician, ...] = ()
    snapshot: Session | None = None  # the latest, of this session, on this link

    @property
    def may_publish(self) -> bool:
        """Whether the screen may be sent now."""
        present = self._present()
        return bool(present) and all(p.technician in self.allowed for p in present)

    @property
    def watchers(self) -> tuple[Technician, ...]:
        """Who sees the screen while `may_publish`; empty while not."""
        return tuple(p.technician for p in self._present()) if self.may_publish else ()

    def told(self, message: ToAgent) -> Gate:
        """The broker has sent a message."""
        match message:
            case AgentWelcome(session, resumed):
                if resumed and session == self.session:
                    return self.unlinked()
                return Gate(session)
            case Session():
                return self._standing(message)
            case Ask(technician):
                return self._asked(technician)
            case AskWithdrawn(participant):
                return replace(self, questions=_without(self.questions, participant))
            case Ended():
                return Gate()
            case _:
                return self

    def answered(self, technician: Technician, allowed: bool) -> Gate:
        """The person has answered the question that named this technician.

        An answer to a question that does not stand (any more) changes nothing.
        """
        if technician not in self.questions:
            return self
        after = replace(self, questions=_without(self.questions, technician.id))
        return replace(after, allowed=(*after.allowed, technician)) if allowed else after

    def dismissed(self, participant: str) -> Gate:
        """The person sends this technician away."""
        return replace(
            self,
            questions=_without(self.questions, participant),
            allowed=_without(self.allowed, participant),
        )

    def unlinked(self) -> Gate:
        """The link is down: closed until the same session is told again.

        Questions are forgotten, because the broker puts them again.
        """
        return replace(self, questions=(), snapshot=None)

    def _asked(self, technician: Technician) -> Gate:
        if technician in self.questions or not self.session:
            return self
        after = self.dismissed(technician.id)  # a new question ends an old answer
        if len(after.questions) >= QUESTIONS_MAX:
            return after
        return replace(after, questions=(*after.questions, technician))

    def _standing(self, snapshot: Session) -> Gate:
        if snapshot.session != self.session:
            return replace(self, snapshot=None)
        here = {
            p.technician.id: p.technician
            for p in snapshot.participants
            if p.status in (Status.ASKED, Status.ALLOWED)
        }
        allowed = tuple(t for t in self.allowed if here.get(t.id) == t)
        return replace(self, allowed=allowed, snapshot=snapshot)

    def _present(self) -> tuple[Participant, ...]:
        """Whom a picture would reach now."""
        if self.snapshot is None or self.snapshot.state is not State.LIVE:
            return ()
        return tuple(
            p
            for p in self.snapshot.participants
            if p.watching or (p.status is Status.ALLOWED and p.connected)
        )


def _without(technicians: tuple[Technician, ...], participant: str) -> tuple[Technician, ...]:
    return tuple(t for t in technicians if t.id != participant)
