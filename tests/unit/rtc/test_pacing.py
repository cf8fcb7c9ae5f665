"""Small frames leave at once; large ones are spread, but not for long."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.pacing import BURST_BYTES, DRAIN_MAX, DRAIN_S, PACING, STEP_S, Pacer

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
PACKET = 1140


def drain(pacer: Pacer, sizes: list[int], now: float) -> list[tuple[float, int]]:
    """When each packet leaves, if the caller comes back exactly when told."""
    for size in sizes:
        pacer.queued(size, now)
    left = []
    for size in sizes:
        while (wait := pacer.delay_s(now)) > 0:
            now += wait
        pacer.left(size, now)
        left.append((now, size))
    return left


def test_a_small_frame_leaves_at_once() -> None:
    left = drain(Pacer(4_000_000, 0.0), [PACKET] * 15, 0.0)
    assert {at for at, _ in left} == {0.0}


def test_a_middling_frame_leaves_at_two_and_a_half_times_the_rate() -> None:
    size = 100 * PACKET
    left = drain(Pacer(6_000_000, 0.0), [PACKET] * 100, 0.0)
    expected = (size - BURST_BYTES) * 8 / (PACING * 6_000_000)
    assert left[-1][0] == pytest.approx(expected, rel=0.1)


def test_a_key_frame_is_gone_in_a_tenth_of_a_second() -> None:
    left = drain(Pacer(4_000_000, 0.0), [PACKET] * 400, 0.0)
    assert 0.5 * DRAIN_S < left[-1][0] <= DRAIN_S * 1.05


def test_a_slow_network_is_not_flooded_by_a_key_frame() -> None:
    left = drain(Pacer(300_000, 0.0), [PACKET] * 200, 0.0)
    sent_later = 200 * PACKET - BURST_BYTES
    assert left[-1][0] >= sent_later * 8 / (DRAIN_MAX * 300_000) * 0.9


def test_how_far_it_is_behind_is_told_and_ends() -> None:
    pacer = Pacer(4_000_000, 0.0)
    assert pacer.behind_s(0.0) == 0.0
    pacer.queued(10_000, 0.0)
    assert pacer.behind_s(0.0) == 0.0  # fits into the burst
    pacer.queued(200_000, 0.0)
    behind = pacer.behind_s(0.0)
    assert 0.05 < behind <= DRAIN_S
    pacer.left(210_000, behind)
    assert pacer.behind_s(behind) == 0.0
    assert pacer.waiting_bytes == 0


def test_what_is_dropped_is_not_paid_for() -> None:
    pacer = Pacer(4_000_000, 0.0)
    pacer.queued(1_000_000, 0.0)
    pacer.dropped()
    assert pacer.waiting_bytes == 0
    assert pacer.behind_s(0.0) == 0.0
    assert pacer.delay_s(0.0) == 0.0


def test_a_pause_saves_no_more_than_one_burst() -> None:
    pacer = Pacer(4_000_000, 0.0)
    left = drain(pacer, [PACKET] * 60, 1000.0)
    assert sum(size for at, size in left if at == 1000.0) <= BURST_BYTES + PACKET


def test_a_new_target_is_followed() -> None:
    slow, fast = Pacer(1_000_000, 0.0), Pacer(1_000_000, 0.0)
    fast.set_target(8_000_000, 0.0)
    sizes = [PACKET] * 30
    assert drain(fast, sizes, 0.0)[-1][0] < drain(slow, sizes, 0.0)[-1][0]


def test_retransmissions_hold_others_back_but_not_for_ever() -> None:
    pacer = Pacer(4_000_000, 0.0)
    pacer.overtaken(10_000_000, 0.0)
    assert 0 < pacer.delay_s(0.0) < 0.1


@settings(max_examples=100 * SOAK, deadline=None)
@given(
    target=st.integers(300_000, 8_000_000),
    sizes=st.lists(st.integers(1, 1200), min_size=1, max_size=300),
    start=st.floats(0, 1e6),
)
def test_it_never_sends_faster_than_it_may(target: int, sizes: list[int], start: float) -> None:
    left = drain(Pacer(target, start), sizes, start)
    drain_bps = min(DRAIN_MAX * target, max(PACING * target, sum(sizes) * 8 / DRAIN_S))
    sent = 0
    for at, size in left:
        # What was sent before this packet fits into the burst and the time that passed.
        allowed = BURST_BYTES + (at - start + STEP_S) * drain_bps / 8
        assert sent <= allowed + 1
        sent += size
    assert left[-1][0] - start < 60
