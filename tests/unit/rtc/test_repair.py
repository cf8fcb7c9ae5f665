"""What is kept, what is asked for again, and when a key frame is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.repair import (
    KEY_FRAME_INTERVAL_S,
    MISSING_MAX,
    NACK_GIVE_UP_S,
    RESEND_BURST_BYTES,
    History,
    KeyFrameRequests,
    NackGenerator,
    ResendBudget,
)


def test_the_history_forgets_by_time() -> None:
    history = History(keep_s=1.0)
    history.add(1, b"one", 0.0)
    history.add(2, b"two", 0.9)
    history.add(3, b"three", 1.5)
    assert history.get(1) is None
    assert history.get(2) == b"two"
    assert len(history) == 2


@given(sizes=st.lists(st.integers(1, 400), max_size=80))
def test_the_history_never_holds_more_than_its_bytes(sizes: list[int]) -> None:
    history = History(max_bytes=1000)
    for number, size in enumerate(sizes):
        history.add(number, bytes(size), 0.0)
        assert history.size_bytes <= 1000
        assert history.get(number) == bytes(size)


def test_a_wrapped_number_belongs_to_the_newer_packet() -> None:
    history = History(keep_s=1.0)
    history.add(7, b"old", 0.0)
    history.add(7, b"new", 0.9)
    history.add(8, b"next", 1.5)
    assert history.get(7) == b"new"
    history.clear()
    assert history.get(7) is None
    assert history.size_bytes == 0


def test_a_gap_is_asked_for_at_once_and_again_after_a_round_trip() -> None:
    nacks = NackGenerator()
    nacks.rtt_s = 0.1
    nacks.on_packet(10, 0.0)
    assert nacks.due(0.0) == []
    nacks.on_packet(13, 0.01)
    assert nacks.due(0.01) == [11, 12]
    assert nacks.due(0.05) == []
    assert nacks.on_packet(11, 0.06)
    assert nacks.due(0.2) == [12]


@pytest.mark.parametrize(
    ("arrivals", "news"),
    [
        ([1, 2, 3], [True, True, True]),
        ([1, 1], [True, False]),
        ([5, 4], [True, False]),  # from before the stream began
        ([1, 3, 2, 2], [True, True, True, False]),
        ([65_535, 0, 2, 1], [True, True, True, True]),
    ],
)
def test_what_comes_again_is_told(arrivals: list[int], news: list[bool]) -> None:
    nacks = NackGenerator()
    assert [nacks.on_packet(number, 0.0) for number in arrivals] == news


def test_what_never_comes_is_given_up_once_and_needs_a_key_frame() -> None:
    nacks = NackGenerator()
    nacks.on_packet(1, 0.0)
    nacks.on_packet(3, 0.0)
    now = 0.0
    while nacks.missing:
        nacks.due(now)
        now += 0.02
    assert now < NACK_GIVE_UP_S + 0.5
    assert nacks.take_given_up()
    assert not nacks.take_given_up()


def test_a_huge_gap_is_not_asked_for() -> None:
    nacks = NackGenerator()
    nacks.on_packet(0, 0.0)
    nacks.on_packet(MISSING_MAX + 2, 0.0)
    assert nacks.due(0.0) == []
    assert nacks.take_given_up()


def test_a_key_frame_makes_what_is_missing_before_it_needless() -> None:
    nacks = NackGenerator()
    for number in (1, 3, 5, 7):
        nacks.on_packet(number, 0.0)
    nacks.on_key_frame(5)
    assert nacks.due(0.0) == [6]


def test_the_round_trip_is_learned_from_answers() -> None:
    nacks = NackGenerator()
    for number in range(0, 200, 2):
        nacks.on_packet(number, 0.0)
        nacks.due(0.0)
        if number:
            nacks.on_packet(number - 1, 0.01)
    assert nacks.rtt_s == pytest.approx(0.01, rel=0.05)


@given(seed=st.integers(0, 2**32), loss=st.floats(0.0, 0.4), start=st.integers(0, 65_535))
def test_every_lost_packet_is_asked_for_until_it_comes(seed: int, loss: float, start: int) -> None:
    network = random.Random(seed)
    nacks = NackGenerator()
    nacks.rtt_s = 0.02
    sent = [(start + index) & 0xFFFF for index in range(200)]
    got: set[int] = set()
    in_flight: list[tuple[float, int]] = []
    now = 0.0
    for tick in range(2000):
        now = tick * 0.005
        if tick < len(sent) and (tick in (0, len(sent) - 1) or network.random() >= loss):
            nacks.on_packet(sent[tick], now)
            got.add(sent[tick])
        for at, number in [one for one in in_flight if one[0] <= now]:
            in_flight.remove((at, number))
            assert nacks.on_packet(number, now) == (number not in got)
            got.add(number)
        for number in nacks.due(now):
            assert number not in got
            if network.random() >= loss:
                in_flight.append((now + 0.02, number))
        if tick > len(sent) and not nacks.missing:
            break
    assert nacks.missing == 0
    assert got == set(sent) or nacks.take_given_up()


def test_key_frames_are_asked_for_seldom_and_until_one_comes() -> None:
    requests = KeyFrameRequests()
    assert not requests.due(0.0)
    for _ in range(5):
        requests.want()
    asked = [tick for tick in range(200) if requests.due(tick * 0.01)]
    assert asked == [0, 50, 100, 150]
    requests.arrived()
    assert not requests.due(3.0)
    requests.want()
    assert requests.due(3.0)
    requests.arrived()
    requests.want()
    assert not requests.due(3.0 + KEY_FRAME_INTERVAL_S / 2)


def test_a_receiver_cannot_have_more_sent_again_than_its_budget() -> None:
    budget = ResendBudget(0.0)
    taken = 0
    while budget.take(1200, 0.0):
        taken += 1200
    assert RESEND_BURST_BYTES - 1200 < taken <= RESEND_BURST_BYTES
    assert not budget.take(1200, 0.00001)
    assert budget.take(1200, 0.01)
