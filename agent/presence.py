"""What a new snapshot of the session means to the person: who came, went, left. Pure."""

from __future__ import annotations

from broker.protocol import Participant, Session, Status, Technician


def allowed(session: Session | None) -> tuple[Technician, ...]:
    """The technicians that are in the session, whether their link is up or not."""
    return tuple(p.technician for p in _allowed(session).values())


def changes(before: Session | None, after: Session) -> list[tuple[str, Technician]]:
    """What has changed, as keys of `agent.locale`, in the order of the snapshot."""
    old, new = _allowed(before), _allowed(after)
    told: list[tuple[str, Technician]] = []
    for who, participant in new.items():
        was = old.get(who)
        was_here = was is not None and was.connected
        if participant.connected and not was_here:
            told.append(("joined", participant.technician))
        elif was_here and not participant.connected:
            told.append(("away", participant.technician))
    told += [("left", p.technician) for who, p in old.items() if who not in new]
    return told


def _allowed(session: Session | None) -> dict[str, Participant]:
    if session is None:
        return {}
    return {p.technician.id: p for p in session.participants if p.status is Status.ALLOWED}
