"""A viewer's share of the stream, in virtual time."""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.downstream import unaddressed
from broker.rtc.flow import LATE_S, OPEN_BURST_BYTES, WAITING_MAX_BYTES, Flow

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
PAYLOAD = bytes(988)  # a kept packet of 1,000 bytes
FRAME_S = 1 / 30
STEP_S = 0.01


class Player:
    """Frames into a flow, 30 a second, and key frames whenever the flow is ready for one."""

    def __init__(self, rate_bps: float | None) -> None:
        self.flow = Flow(0.0)
        self.flow.rate_bps = rate_bps
        self.now = 0.0
        self.frames = 0
        self.sent: list[tuple[float, int]] = []  # when, which
        self.keys: list[int] = []  # the first packet of each key frame that was begun
        self.frame_of: dict[int, int] = {}
        self._number = 0

    def play(self, seconds: float, packets: int) -> None:
        """A while of frames of so many packets."""
        end = self.now + seconds
        due = self.now
        while self.now < end:
            self.sent += [(self.now, number) for number, _ in self.flow.due(self.now)]
            if self.now >= due:
                due += FRAME_S
                self._frame(packets)
            self.now += STEP_S

    def _frame(self, packets: int) -> None:
        if self.flow.skipping and not self.flow.waits:
            self.flow.begin()
            self.keys.append(self._number + 1)
        self.frames += 1
        for index in range(packets):
            self._number += 1
            self.frame_of[self._number] = self.frames
            packet = unaddressed(
                self._number, self.frames * 3000, index == packets - 1, bytes(3), PAYLOAD
            )
            if self.flow.take(self._number, packet, self.now):
                self.sent.append((self.now, self._number))


def test_a_wide_way_gets_everything_at_once() -> None:
    player = Player(None)
    player.play(10.0, 10)
    assert [number for _, number in player.sent] == list(player.frame_of)
    assert player.keys == []


def test_a_large_burst_on_a_wide_way_is_spread_and_not_lost() -> None:
    flow = Flow(0.0)
    packet = unaddressed(1, 0, False, bytes(3), PAYLOAD)
    at_once = sum(flow.take(number, packet, 0.0) for number in range(400))
    assert at_once * len(packet) <= OPEN_BURST_BYTES + len(packet)
    later = [number for step in range(100) for number, _ in flow.due(step * STEP_S)]
    assert later == list(range(at_once, 400))


def test_a_narrow_way_gets_what_it_can_take_and_no_old_pictures() -> None:
    player = Player(400_000.0)
    player.play(20.0, 10)  # 2.4 Mbit/s
    assert len(player.keys) >= 5
    bits = len(player.sent) * 8_000
    assert 0.7 * 400_000 * 20 < bits < 1.05 * 400_000 * 20
    numbers = [number for _, number in player.sent]
    for before, after in pairwise(numbers):
        assert after == before + 1 or after in player.keys
    for at, number in player.sent:
        born = (player.frame_of[number] - 1) * FRAME_S
        assert at - born < LATE_S + 10 * 8_000 / 400_000 + 0.1


def test_what_a_way_can_take_waits_for_nothing() -> None:
    player = Player(5_000_000.0)
    player.play(10.0, 5)  # 1.2 Mbit/s
    assert [number for _, number in player.sent] == list(player.frame_of)
    assert player.keys == []


def test_a_frame_without_end_is_given_up() -> None:
    flow = Flow(0.0)
    flow.rate_bps = 100_000.0
    packet = unaddressed(1, 0, False, bytes(3), PAYLOAD)
    for number in range(WAITING_MAX_BYTES // 1000 + 100):
        flow.take(number, packet, 0.0)
    assert flow.skipping
    assert not flow.waits


def test_retransmissions_have_room_only_within_the_rate() -> None:
    flow = Flow(0.0)
    assert all(flow.may_resend(1000, 0.0) for _ in range(1000))
    flow.rate_bps = 80_000.0
    resent = sum(flow.may_resend(1000, step * STEP_S) for step in range(1000))  # 10 s
    assert 90 <= resent <= 110


@settings(max_examples=100 * SOAK, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.none() | st.floats(30_000, 16_000_000),
            st.floats(0.01, 2.0),
            st.integers(1, 60),
        ),
        max_size=8,
    )
)
def test_whatever_the_rate_does_the_order_stays_and_gaps_end_at_key_frames(
    phases: list[tuple[float | None, float, int]],
) -> None:
    player = Player(None)
    for rate_bps, seconds, packets in phases:
        player.flow.rate_bps = rate_bps
        player.play(seconds, packets)
    numbers = [number for _, number in player.sent]
    assert numbers == sorted(set(numbers))
    for before, after in pairwise(numbers):
        assert after == before + 1 or after in player.keys
