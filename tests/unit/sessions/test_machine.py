"""The session state machine as a table, and its promises by property."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol import (
    PERSON,
    DeviceFacts,
    EndReason,
    MediaFailure,
    State,
    Status,
    Technician,
)
from broker.sessions import values as m
from broker.sessions.machine import RETRY_MEDIA_S, advance

ANA = Technician("ana", "Ana Ruiz", "Example")
BEN = Technician("ben", "Ben Okoye", "Example")
LIMITS = m.Limits(wait_s=1800, ask_s=120, resume_s=60)
FACTS = DeviceFacts("desk", "eva", "Debian 12", "1920x1080", "ayuda 0.1")
NEW = m.Session("s", FACTS, LIMITS)


def after(*events: m.Event, start: m.Session = NEW) -> m.Session:
    session = start
    for event in events:
        session, _ = advance(session, event, 0.0)
    return session


def arrived(technician: Technician) -> tuple[m.Event, m.Event]:
    return m.CodeAccepted(technician), m.LinkBack(technician.id)


ASKED = after(*arrived(ANA))
LIVE = after(m.Decided("ana", True), start=ASKED)
PERSON_AWAY = after(m.LinkLost(PERSON), start=LIVE)
ANA_AWAY = after(m.LinkLost("ana"), start=LIVE)
TWO = after(*arrived(BEN), m.Decided("ben", True), start=LIVE)
ENDED = after(m.EndAsked(PERSON), start=LIVE)


@pytest.mark.parametrize(
    ("before", "event", "state", "reason"),
    [
        (NEW, m.Requested(), State.WAITING, None),
        (NEW, m.CodeAccepted(ANA), State.ASKED, None),
        (NEW, m.TimerFired("wait"), State.ENDED, EndReason.NOBODY_CAME),
        (NEW, m.EndAsked(PERSON), State.ENDED, EndReason.PERSON_ENDED),
        (NEW, m.Stopped(EndReason.BROKER_STOPPED), State.ENDED, EndReason.BROKER_STOPPED),
        (ASKED, m.Decided("ana", True), State.LIVE, None),
        (ASKED, m.Decided("ana", False), State.ENDED, EndReason.DECLINED),
        (ASKED, m.Decided("ben", True), State.ASKED, None),
        (ASKED, m.TimerFired("ask:ana"), State.ENDED, EndReason.NOT_ANSWERED),
        (ASKED, m.TimerFired("wait"), State.ASKED, None),
        (ASKED, m.Left("ana"), State.ENDED, EndReason.TECHNICIANS_LEFT),
        (ASKED, m.EndAsked("ana"), State.ASKED, None),
        (ASKED, m.LinkLost("ana"), State.ASKED, None),
        (LIVE, m.LinkLost(PERSON), State.PAUSED, None),
        (LIVE, m.LinkLost("ana"), State.PAUSED, None),
        (LIVE, m.LinkLost("ana", MediaFailure.NO_UDP), State.PAUSED, None),
        (LIVE, m.EndAsked("ana"), State.ENDED, EndReason.TECHNICIAN_ENDED),
        (LIVE, m.EndAsked("ben"), State.LIVE, None),
        (LIVE, m.Dismissed("ana"), State.ENDED, EndReason.PERSON_ENDED),
        (LIVE, m.Left("ana"), State.ENDED, EndReason.TECHNICIANS_LEFT),
        (LIVE, m.CodeAccepted(BEN), State.LIVE, None),
        (LIVE, m.CodeAccepted(ANA), State.LIVE, None),
        (LIVE, m.TimerFired("resume:ana"), State.LIVE, None),
        (PERSON_AWAY, m.LinkBack(PERSON), State.LIVE, None),
        (PERSON_AWAY, m.TimerFired(f"resume:{PERSON}"), State.ENDED, EndReason.PERSON_LOST),
        (PERSON_AWAY, m.EndAsked("ana"), State.ENDED, EndReason.TECHNICIAN_ENDED),
        (ANA_AWAY, m.LinkBack("ana"), State.LIVE, None),
        (ANA_AWAY, m.TimerFired("resume:ana"), State.ENDED, EndReason.TECHNICIAN_LOST),
        (TWO, m.LinkLost("ana"), State.LIVE, None),
        (TWO, m.Left("ana"), State.LIVE, None),
        (TWO, m.Dismissed("ben"), State.LIVE, None),
        (ENDED, m.LinkBack("ana"), State.ENDED, EndReason.PERSON_ENDED),
        (ENDED, m.Decided("ana", True), State.ENDED, EndReason.PERSON_ENDED),
    ],
)
def test_each_event_leads_where_the_table_says(
    before: m.Session, event: m.Event, state: State, reason: EndReason | None
) -> None:
    session, effects = advance(before, event, 10.0)
    assert (session.state, session.reason) == (state, reason)
    finished = [e for e in effects if isinstance(e, m.Finish)]
    assert len(finished) == (before.reason is None and reason is not None)


def test_an_unexpected_event_changes_nothing_and_says_why() -> None:
    session, effects = advance(LIVE, m.Decided("ben", True), 0.0)
    assert session is LIVE
    assert effects == [m.Refuse("no such question stands")]


def test_a_yes_is_recorded_before_any_media_opens() -> None:
    _, effects = advance(ASKED, m.Decided("ana", True), 0.0)
    assert effects == [
        m.Record("consent-answered", PERSON, {"technician": "ana", "allowed": True}),
        m.StopTimer("ask:ana"),
        m.Record("joined", "ana", {"technician": "ana", "name": "Ana Ruiz"}),
        m.OpenMedia(PERSON),
        m.OpenMedia("ana"),
    ]


def test_a_dropped_link_comes_back_without_a_new_question() -> None:
    back, effects = advance(PERSON_AWAY, m.LinkBack(PERSON), 30.0)
    assert back.state is State.LIVE
    assert not [e for e in effects if isinstance(e, m.Ask)]
    assert m.OpenMedia(PERSON) in effects
    assert m.StopTimer(f"resume:{PERSON}") in effects


def test_a_question_that_stands_is_put_again_to_a_person_who_comes_back() -> None:
    away = after(m.LinkLost(PERSON), start=ASKED)
    _, effects = advance(away, m.LinkBack(PERSON), 50.0)
    assert m.Ask(ANA, 70.0) in effects


def test_every_technician_is_asked_for() -> None:
    session, effects = advance(LIVE, m.CodeAccepted(BEN), 0.0)
    assert m.Ask(BEN, 120) in effects
    assert [member.status for member in session.members] == [Status.ALLOWED, Status.ASKED]


def test_who_was_sent_away_is_asked_for_again_with_a_new_code() -> None:
    gone = after(m.Dismissed("ben"), start=TWO)
    session, effects = advance(gone, m.CodeAccepted(BEN), 0.0)
    assert m.Ask(BEN, 120) in effects
    member = session.member("ben")
    assert member is not None
    assert member.status is Status.ASKED


def test_broken_media_is_tried_again_for_as_long_as_it_is_down() -> None:
    failed, first = advance(LIVE, m.LinkLost(PERSON, MediaFailure.NO_UDP), 0.0)
    retry = m.StartTimer(f"media:{PERSON}", RETRY_MEDIA_S)
    assert retry in first
    _, fired = advance(failed, m.TimerFired(f"media:{PERSON}"), 2.0)
    assert fired == [m.OpenMedia(PERSON)]
    _, again = advance(failed, m.LinkLost(PERSON, MediaFailure.NO_UDP), 10.0)
    assert retry in again
    back = after(m.LinkBack(PERSON, media=True), start=failed)
    _, late = advance(back, m.TimerFired(f"media:{PERSON}"), 12.0)
    assert [type(effect) for effect in late] == [m.Refuse]


TECHNICIANS = st.sampled_from([ANA, BEN])
IDS = st.sampled_from([PERSON, "ana", "ben", "nobody"])
EVENTS = st.one_of(
    st.builds(m.CodeAccepted, TECHNICIANS),
    st.builds(m.Decided, IDS, st.booleans()),
    st.builds(m.Dismissed, IDS),
    st.builds(m.Left, IDS),
    st.builds(m.EndAsked, IDS),
    st.builds(m.LinkLost, IDS, st.sampled_from([None, *MediaFailure])),
    st.builds(m.LinkBack, IDS, st.booleans()),
    st.builds(
        m.TimerFired,
        st.sampled_from(["wait", "ask:ana", "resume:ana", "resume:ben", "media:ben"])
        | st.text(max_size=8),
    ),
    st.builds(m.Stopped, st.sampled_from(EndReason)),
)


@given(st.lists(EVENTS, max_size=25))
def test_nobody_is_allowed_unless_the_person_said_yes(events: list[m.Event]) -> None:
    session, said_yes = NEW, set()
    for event in events:
        asked = {x.technician.id for x in session.members if x.status is Status.ASKED}
        session, effects = advance(session, event, 0.0)
        if isinstance(event, m.Decided) and event.allowed and event.participant in asked:
            said_yes.add(event.participant)
        if isinstance(event, m.CodeAccepted) and not isinstance(effects[0], m.Refuse):
            said_yes.discard(event.technician.id)
        allowed = {x.technician.id for x in session.members if x.status is Status.ALLOWED}
        assert allowed <= said_yes


@given(st.lists(EVENTS, max_size=25))
def test_an_end_is_recorded_once_and_finishes_last(events: list[m.Event]) -> None:
    session, ends = NEW, 0
    for event in events:
        session, effects = advance(session, event, 0.0)
        for effect in effects:
            if isinstance(effect, m.Record) and effect.kind == "ended":
                ends += 1
                assert isinstance(effects[-1], m.Finish)
    assert ends == (session.reason is not None)


@given(st.lists(EVENTS, max_size=25))
def test_live_means_both_sides_are_there(events: list[m.Event]) -> None:
    session = after(*events)
    if session.state is State.LIVE:
        assert session.person_connected
        assert any(x.connected and x.status is Status.ALLOWED for x in session.members)
