"""Loss that is repaired changes nothing; a full network does. In virtual time."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.bandwidth import (
    LIMIT_MIN_BPS,
    LIMIT_VALID_S,
    MAX_BPS,
    MIN_BPS,
    START_BPS,
    Bandwidth,
)
from broker.rtc.rtp import ReportBlock

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
REPORT_S = 0.5


def block(highest: int, lost: float) -> ReportBlock:
    return ReportBlock(1, min(255, int(lost * 256)), 0, highest, 0, 0, 0)


class Line:
    """A network as a value: reports every REPORT_S, seeded loss, a given round trip."""

    def __init__(self, bandwidth: Bandwidth, packets_s: int = 400) -> None:
        self.bandwidth = bandwidth
        self.now = 0.0
        self.packets_s = packets_s
        self._highest = 0
        self._chance = random.Random(7)
        bandwidth.on_report(block(0, 0.0), None, 0.0)

    def run(
        self,
        seconds: float,
        *,
        loss: float | Callable[[int], float] = 0.0,
        rtt_s: float | None = 0.04,
    ) -> int:
        end = self.now + seconds
        while self.now < end:
            self.now += REPORT_S
            count = int(self.packets_s * REPORT_S)
            share = loss(self.bandwidth.target_bps(self.now)) if callable(loss) else loss
            lost = sum(self._chance.random() < share for _ in range(count))
            self._highest += count
            self.bandwidth.on_report(block(self._highest, lost / count), rtt_s, self.now)
        return self.bandwidth.target_bps(self.now)


def test_it_starts_high_and_grows_to_the_most() -> None:
    line = Line(Bandwidth(0.0))
    assert line.bandwidth.target_bps(0.0) == START_BPS
    assert line.run(30) == MAX_BPS


@pytest.mark.parametrize("loss", [0.01, 0.03, 0.05])
def test_random_loss_of_a_few_per_cent_costs_no_rate(loss: float) -> None:
    line = Line(Bandwidth(0.0))
    line.run(30)
    assert line.run(120, loss=loss) >= 0.9 * MAX_BPS


@pytest.mark.parametrize("loss", [0.15, 0.3, 0.6])
def test_heavy_loss_lowers_the_rate_within_two_seconds(loss: float) -> None:
    line = Line(Bandwidth(0.0))
    line.run(30)
    assert line.run(2, loss=loss) < 0.93 * MAX_BPS


def test_heavy_loss_that_stays_leads_to_the_least_and_no_lower() -> None:
    assert Line(Bandwidth(0.0)).run(60, loss=0.4) == MIN_BPS


def test_it_comes_to_rest_near_what_a_narrow_line_carries() -> None:
    line = Line(Bandwidth(0.0))
    room = 2_000_000
    line.run(60, loss=lambda target: max(0.0, 1 - room / target))
    assert 0.6 * room < line.run(10, loss=lambda target: max(0.0, 1 - room / target)) < 1.4 * room


def test_it_recovers_when_the_loss_ends() -> None:
    line = Line(Bandwidth(0.0))
    low = line.run(20, loss=0.4)
    assert line.run(60) > 10 * low


def test_a_round_trip_that_grows_lowers_the_rate() -> None:
    line = Line(Bandwidth(0.0))
    before = line.run(30)
    assert line.run(4, rtt_s=0.3) < before


def test_a_long_but_steady_round_trip_is_no_queue() -> None:
    assert Line(Bandwidth(0.0)).run(30, rtt_s=0.6) == MAX_BPS


def test_one_late_report_is_no_queue() -> None:
    line = Line(Bandwidth(0.0))
    line.run(30)
    line.run(REPORT_S, rtt_s=2.0)
    assert line.run(REPORT_S) == MAX_BPS


def test_a_few_lost_packets_of_a_quiet_screen_mean_nothing() -> None:
    line = Line(Bandwidth(0.0), packets_s=10)
    before = line.bandwidth.target_bps(0.0)
    assert line.run(1, loss=0.25) >= before


def test_a_stated_limit_counts_at_once_and_for_as_long_as_it_is_repeated() -> None:
    line = Line(Bandwidth(0.0))
    before = line.run(5)
    line.bandwidth.on_limit(700_000, line.now)
    assert line.bandwidth.target_bps(line.now) == 700_000
    assert line.bandwidth.target_bps(line.now + 0.99 * LIMIT_VALID_S) == 700_000
    assert line.bandwidth.target_bps(line.now + LIMIT_VALID_S) == before


def test_a_limit_under_which_nothing_can_be_read_is_raised() -> None:
    bandwidth = Bandwidth(0.0)
    bandwidth.on_limit(5_000, 1.0)
    assert bandwidth.target_bps(1.0) == LIMIT_MIN_BPS


def test_reports_out_of_order_are_no_loss() -> None:
    bandwidth = Bandwidth(0.0)
    for highest in (1000, 900, 1100):
        bandwidth.on_report(block(highest, 1.0 if highest == 900 else 0.0), None, 1.0)
    assert bandwidth.target_bps(1.0) >= START_BPS


@settings(max_examples=200 * SOAK, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 255),
            st.none() | st.floats(0, 1e6),
            st.integers(0, 1 << 62),
            st.floats(0, 10),
        ),
        max_size=50,
    )
)
def test_whatever_is_reported_the_rate_stays_in_bounds(
    reports: list[tuple[int, int, float | None, int, float]],
) -> None:
    bandwidth = Bandwidth(0.0)
    now = 0.0
    for highest, fraction, rtt_s, limit, pause in reports:
        now += pause
        bandwidth.on_report(ReportBlock(1, fraction, 0, highest, 0, 0, 0), rtt_s, now)
        bandwidth.on_limit(limit, now)
        assert LIMIT_MIN_BPS <= bandwidth.target_bps(now) <= MAX_BPS
