"""The gate opens by the person's own yes, and by nothing else."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from agent.gate import QUESTIONS_MAX, Gate
from broker.protocol import (
    AgentWelcome,
    Answer,
    Ask,
    AskWithdrawn,
    Challenge,
    Code,
    CodeGone,
    DeviceFacts,
    Ended,
    EndReason,
    OfferWanted,
    Participant,
    Refusal,
    Refused,
    Session,
    State,
    Status,
    Technician,
    ToAgent,
)

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))

FACTS = DeviceFacts("desk-7", "Eva", "Debian", "1920x1080", "ayuda-agent 0")
ANA = Technician("t1", "Ana Ruiz", "Example Org")
BEN = Technician("t2", "Ben Okoro", "Example Org")
FALSE_ANA = replace(ANA, organisation="Elsewhere")


def seen(*participants: Participant, state: State = State.LIVE, session: str = "s1") -> Session:
    return Session(session, state, FACTS, True, participants)


def here(
    technician: Technician,
    status: Status = Status.ALLOWED,
    connected: bool = True,
    watching: bool = False,
) -> Participant:
    return Participant(technician, status, connected, watching)


def asked(*technicians: Technician) -> Gate:
    gate = Gate().told(AgentWelcome("s1", False))
    for technician in technicians:
        gate = gate.told(Ask(technician, "see", 120.0))
    return gate


def opened(*technicians: Technician) -> Gate:
    gate = asked(*technicians)
    for technician in technicians:
        gate = gate.answered(technician, True)
    return gate.told(seen(*(here(t) for t in technicians)))


def test_the_persons_yes_opens_it() -> None:
    gate = opened(ANA)
    assert gate.may_publish
    assert gate.watchers == (ANA,)


def test_a_yes_opens_nothing_before_the_broker_has_recorded_it() -> None:
    gate = asked(ANA).answered(ANA, True)
    assert not gate.may_publish
    assert not gate.told(seen(here(ANA, Status.ASKED), state=State.ASKED)).may_publish


@pytest.mark.parametrize(
    ("what", "closed"),
    [
        ("a no", asked(ANA).answered(ANA, False).told(seen(here(ANA)))),
        ("an answer to no question", asked().answered(ANA, True).told(seen(here(ANA)))),
        (
            "a question withdrawn before the answer",
            asked(ANA).told(AskWithdrawn("t1")).answered(ANA, True).told(seen(here(ANA))),
        ),
        (
            "a question that changed its name before the answer",
            asked(ANA)
            .told(Ask(FALSE_ANA, "see", 120.0))
            .answered(ANA, True)
            .told(seen(here(FALSE_ANA))),
        ),
        ("an allowed technician under another name", opened(ANA).told(seen(here(FALSE_ANA)))),
        ("dismissed", opened(ANA).dismissed("t1")),
        ("dismissed, whatever the broker says next", opened(ANA).dismissed("t1").told(
            seen(here(ANA)))),
        ("ended", opened(ANA).told(Ended(EndReason.PERSON_ENDED))),
        ("ended, then told of as live", opened(ANA).told(Ended(EndReason.PERSON_ENDED)).told(
            seen(here(ANA)))),
        ("the link is down", opened(ANA).unlinked()),
        ("the allowed one is away", opened(ANA).told(seen(here(ANA, connected=False)))),
        ("paused", opened(ANA).told(seen(here(ANA), state=State.PAUSED))),
        ("a stranger is in it too", opened(ANA).told(seen(here(ANA), here(BEN)))),
        (
            "a stranger watches without being allowed",
            opened(ANA).told(seen(here(ANA), here(BEN, Status.LEFT, watching=True))),
        ),
        ("another session", opened(ANA).told(seen(here(ANA), session="s2"))),
        (
            "a new session on the same link",
            opened(ANA).told(AgentWelcome("s2", False)).told(seen(here(ANA), session="s2")),
        ),
        (
            "the same session, but not resumed",
            opened(ANA).told(AgentWelcome("s1", False)).told(seen(here(ANA))),
        ),
        (
            "another session, called resumed",
            opened(ANA).told(AgentWelcome("s2", True)).told(seen(here(ANA), session="s2")),
        ),
        ("asked about anew", opened(ANA).told(Ask(ANA, "see", 120.0))),
        (
            "left and came back without being asked about",
            opened(ANA).told(seen(here(ANA, Status.LEFT, connected=False))).told(seen(here(ANA))),
        ),
        ("gone from the list and back", opened(ANA).told(seen()).told(seen(here(ANA)))),
    ],
)  # fmt: skip
def test_it_is_closed_when(what: str, closed: Gate) -> None:
    assert not closed.may_publish, what
    assert closed.watchers == ()


def test_a_dropped_link_of_the_same_session_needs_no_new_consent() -> None:
    gate = opened(ANA).unlinked().told(AgentWelcome("s1", True))
    assert not gate.may_publish  # not before the broker says who is there now
    assert gate.told(seen(here(ANA))).may_publish


def test_one_who_is_dismissed_leaves_the_other_allowed() -> None:
    gate = opened(ANA, BEN).dismissed("t1")
    assert not gate.may_publish
    assert gate.told(seen(here(ANA, Status.LEFT, connected=False), here(BEN))).watchers == (BEN,)


def test_a_question_put_again_after_a_dropped_link_stands_once() -> None:
    gate = asked(ANA).told(Ask(ANA, "see", 60.0))
    assert gate.questions == (ANA,)


def test_a_broker_that_asks_without_end_is_not_heard() -> None:
    gate = asked(*(Technician(str(n), "x", "y") for n in range(QUESTIONS_MAX + 5)))
    assert len(gate.questions) == QUESTIONS_MAX


# ── by property ──────────────────────────────────────────────────────────────

technicians = st.sampled_from([ANA, BEN, FALSE_ANA])
sessions = st.sampled_from(["s1", "s2"])
participants = st.builds(
    Participant, technicians, st.sampled_from(Status), st.booleans(), st.booleans()
)
messages: st.SearchStrategy[ToAgent] = st.one_of(
    st.builds(AgentWelcome, sessions, st.booleans()),
    st.builds(Ask, technicians, st.just("see"), st.floats(0, 120)),
    st.builds(AskWithdrawn, st.sampled_from(["t1", "t2"])),
    st.builds(
        Session,
        sessions,
        st.sampled_from(State),
        st.just(FACTS),
        st.booleans(),
        st.lists(participants, max_size=3).map(tuple),
    ),
    st.builds(Ended, st.sampled_from(EndReason)),
    st.builds(Refused, st.sampled_from(Refusal), st.text(max_size=5), st.booleans()),
    st.sampled_from(
        [
            Challenge(1, ""),
            Code("123456789012", 300.0),
            CodeGone("used"),
            Answer("v=0"),
            OfferWanted(),
        ]
    ),
)


@given(st.lists(messages, max_size=40))
@settings(max_examples=200 * SOAK)
def test_no_sequence_of_broker_messages_alone_opens_it(sequence: list[ToAgent]) -> None:
    gate = Gate()
    for message in sequence:
        gate = gate.told(message)
        assert not gate.may_publish
        assert gate.allowed == ()


class AnyOrder(RuleBasedStateMachine):
    """Broker and person act in any order; whoever sees the screen was allowed
    by the person, by name, in this session, after the last question."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Gate()
        self.yes: set[tuple[str, Technician]] = set()

    @rule(message=messages)
    def broker_says(self, message: ToAgent) -> None:
        before = self.gate.session
        self.gate = self.gate.told(message)
        if isinstance(message, Ask) and message.technician in self.gate.questions:
            self.yes -= {(before, t) for _, t in self.yes if t.id == message.technician.id}
        resumed = isinstance(message, AgentWelcome) and message == AgentWelcome(before, True)
        if isinstance(message, AgentWelcome | Ended) and not resumed:
            self.yes.clear()

    @rule(technician=technicians, allowed=st.booleans())
    def person_answers(self, technician: Technician, allowed: bool) -> None:
        if allowed and technician in self.gate.questions:
            self.yes.add((self.gate.session, technician))
        self.gate = self.gate.answered(technician, allowed)

    @rule(participant=st.sampled_from(["t1", "t2"]))
    def person_dismisses(self, participant: str) -> None:
        self.yes = {(s, t) for s, t in self.yes if t.id != participant}
        self.gate = self.gate.dismissed(participant)

    @rule()
    def link_drops(self) -> None:
        self.gate = self.gate.unlinked()
        assert not self.gate.may_publish

    @invariant()
    def whoever_watches_was_allowed(self) -> None:
        for technician in self.gate.watchers:
            assert (self.gate.session, technician) in self.yes
        assert self.gate.may_publish == bool(self.gate.watchers)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50 * SOAK, stateful_step_count=40)
