"""What a viewer's reports say about its way, in virtual time."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.capacity import HOLD_S, LEAST_BPS, LIMIT_TRUST, QUIET_BPS, WIDE_BPS, Capacity
from broker.rtc.rtp import ReportBlock

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
SENT_BPS = 2_000_000.0
REPORT_S = 1.0


class Way:
    """Reports on a way each second: what is sent through it, with this loss and round trip."""

    def __init__(self) -> None:
        self.capacity = Capacity()
        self.now = 0.0
        self._highest = 0
        self.report()

    def report(
        self, loss: float = 0.0, *, sent_bps: float = SENT_BPS, rtt_s: float | None = 0.04
    ) -> float | None:
        self.now += REPORT_S
        self._highest += int(sent_bps / 8_000)
        block = ReportBlock(1, min(255, int(loss * 256)), 0, self._highest, 0, 0, 0)
        self.capacity.on_report(block, rtt_s, sent_bps, self.now)
        return self.capacity.bps


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.1])
def test_loss_by_chance_says_nothing(loss: float) -> None:
    way = Way()
    assert [way.report(loss) for _ in range(20)] == [None] * 20


def test_heavy_loss_leaves_what_got_through() -> None:
    way = Way()
    way.report()
    found = way.report(0.95)
    assert found is not None
    assert 0.04 * SENT_BPS < found < 0.06 * SENT_BPS


def test_a_round_trip_that_grows_means_less() -> None:
    way = Way()
    assert way.report(rtt_s=0.3) is None  # once is no queue
    found = way.report(rtt_s=0.5)
    assert found is not None
    assert found < SENT_BPS


def test_who_is_sent_little_has_no_narrow_way() -> None:
    way = Way()
    little = 0.5 * QUIET_BPS
    assert way.report(0.5, sent_bps=little) is None
    assert way.report(rtt_s=2.0, sent_bps=little) is None
    assert way.report(rtt_s=2.0, sent_bps=little) is None


def test_the_viewers_own_estimate_makes_no_way_narrow() -> None:
    way = Way()
    for limit_bps in (2_500_000, 400_000, 30_000):
        way.capacity.on_limit(limit_bps, way.now)
    assert way.capacity.bps is None


def test_the_viewers_own_estimate_is_followed_down_beside_a_sign_and_up_without() -> None:
    way = Way()
    before = way.report(0.5)
    assert before is not None
    way.capacity.on_limit(int(2 * before), way.now)
    assert way.capacity.bps == before
    way.capacity.on_limit(int(0.8 * before), way.now)
    assert way.capacity.bps == int(0.8 * before)
    way.capacity.on_limit(1_000, way.now)
    assert way.capacity.bps == int(0.8 * before) * LIMIT_TRUST
    way.now += HOLD_S
    way.capacity.on_limit(30_000, way.now)
    assert way.capacity.bps == int(0.8 * before) * LIMIT_TRUST
    way.capacity.on_limit(1_500_000, way.now)
    assert way.capacity.bps == 1_500_000


def test_signs_of_one_cause_lower_the_estimate_once() -> None:
    way = Way()
    before = way.report(0.5)
    way.now -= 0.5 * REPORT_S
    assert way.report(0.5) == before


def test_it_is_wide_again_when_nothing_speaks_against_it_any_more() -> None:
    way = Way()
    way.report()
    assert way.report(0.9) is not None
    for _ in range(120):
        way.report(sent_bps=QUIET_BPS)
    assert way.capacity.bps is None


@settings(max_examples=200 * SOAK, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFFFFFF),
            st.integers(0, 255),
            st.none() | st.floats(0, 1e6),
            st.integers(0, 1 << 62),
            st.floats(0, 1e9),
            st.floats(0, 10),
        ),
        max_size=50,
    )
)
def test_whatever_is_reported_the_estimate_stays_in_bounds(
    reports: list[tuple[int, int, float | None, int, float, float]],
) -> None:
    capacity, now = Capacity(), 0.0
    for highest, fraction, rtt_s, limit, sent_bps, pause in reports:
        now += pause
        capacity.on_report(ReportBlock(1, fraction, 0, highest, 0, 0, 0), rtt_s, sent_bps, now)
        capacity.on_limit(limit, now)
        assert capacity.bps is None or LEAST_BPS <= capacity.bps < WIDE_BPS
