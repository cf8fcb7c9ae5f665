"""Who came, went and left, from one snapshot to the next."""

from __future__ import annotations

import pytest

from agent.presence import allowed, changes
from broker.protocol import DeviceFacts, Participant, Session, State, Status, Technician

ANA = Technician("t1", "Ana Ruiz", "Example Org")
BEN = Technician("t2", "Ben Okoro", "Example Org")


def seen(*participants: Participant) -> Session:
    return Session("s1", State.LIVE, DeviceFacts("h", "u", "s", "d", "a"), True, participants)


HERE = Participant(ANA, Status.ALLOWED, True, False)
AWAY = Participant(ANA, Status.ALLOWED, False, False)
GONE = Participant(ANA, Status.LEFT, False, False)
ASKED = Participant(ANA, Status.ASKED, True, False)
BEN_HERE = Participant(BEN, Status.ALLOWED, True, True)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, seen(ASKED), []),
        (seen(ASKED), seen(HERE), [("joined", ANA)]),
        (seen(ASKED), seen(AWAY), []),
        (seen(AWAY), seen(HERE), [("joined", ANA)]),
        (seen(HERE), seen(HERE), []),
        (seen(HERE), seen(AWAY), [("away", ANA)]),
        (seen(HERE), seen(GONE), [("left", ANA)]),
        (seen(AWAY), seen(), [("left", ANA)]),
        (seen(HERE), seen(AWAY, BEN_HERE), [("away", ANA), ("joined", BEN)]),
    ],
)
def test_changes_are_told_once(
    before: Session | None, after: Session, told: list[tuple[str, Technician]]
) -> None:
    assert changes(before, after) == told


def test_who_is_asked_about_is_not_in_the_session_yet() -> None:
    assert allowed(seen(ASKED, BEN_HERE)) == (BEN,)
    assert allowed(None) == ()
