"""How many bits a second a publisher should send, from what its receiver reports.

Pure: `now` is monotonic seconds. Random loss of a few per cent is repaired by
retransmission and answered by nothing; loss above LOSS_HIGH or a round trip that
grows are signs of a full link, and are. The receiver may also state the most that
is of use (REMB): the relay does when all of its viewers can take no more.
"""

from __future__ import annotations

from typing import Final

from broker.rtc.reports import Reports
from broker.rtc.rtp import ReportBlock

MIN_BPS: Final = 300_000
MAX_BPS: Final = 8_000_000
START_BPS: Final = 4_000_000
"""Screens are quiet most of the time: starting high costs little and looks sharp."""

LOSS_LOW: Final = 0.06
"""Up to this share of lost packets the rate may grow."""

LOSS_HIGH: Final = 0.10
"""Above this share the rate falls."""

GROWTH_PER_S: Final = 1.15
SHRINK_PAUSE_S: Final = 0.6
"""One answer to one cause: the next report or two are still about the old rate."""

HOLD_AFTER_SHRINK_S: Final = 3.0
DELAY_FACTOR: Final = 0.85

LIMIT_VALID_S: Final = 2.0
"""A stated limit counts for this long; while it stands it is stated with each report."""

LIMIT_MIN_BPS: Final = 100_000
"""Less than this makes no picture that anybody could read."""


class Bandwidth:
    """The target rate of one publisher: `target_bps`, changed by what is reported."""

    def __init__(self, now: float, *, start_bps: int = START_BPS, max_bps: int = MAX_BPS) -> None:
        self._target = float(min(start_bps, max_bps))
        self._max_bps = max_bps
        self._grown_at = now
        self._shrunk_at = -1.0e9
        self._reports = Reports()
        self._limit_bps = max_bps
        self._limited_at = -1.0e9

    @property
    def rtt_s(self) -> float | None:
        """Smoothed round trip; None until one was measured."""
        return self._reports.rtt_s

    def target_bps(self, now: float) -> int:
        """What to send at most, on average."""
        limited = now - self._limited_at < LIMIT_VALID_S
        return int(min(self._target, self._limit_bps) if limited else self._target)

    def on_report(self, block: ReportBlock, rtt_s: float | None, now: float) -> None:
        """A receiver report's block on our stream, with the round trip if it tells one."""
        signs = self._reports.read(block, rtt_s, now)
        if signs.loss is not None and signs.loss > LOSS_HIGH:
            self._shrink(1.0 - signs.loss / 2, now)
        elif signs.queue:
            self._shrink(DELAY_FACTOR, now)
        elif signs.loss is None or signs.loss <= LOSS_LOW:
            self._grow(now)
        else:
            self._grown_at = now

    def on_limit(self, limit_bps: int, now: float) -> None:
        """The receiver states the most that is of use to it."""
        self._limit_bps, self._limited_at = max(LIMIT_MIN_BPS, limit_bps), now

    def _shrink(self, factor: float, now: float) -> None:
        if now - self._shrunk_at < SHRINK_PAUSE_S + (self.rtt_s or 0.0):
            return
        self._shrunk_at = self._grown_at = now
        self._target = max(float(MIN_BPS), self._target * factor)

    def _grow(self, now: float) -> None:
        elapsed = min(1.0, now - self._grown_at)
        self._grown_at = now
        if elapsed > 0 and now - self._shrunk_at >= HOLD_AFTER_SHRINK_S:
            self._target = min(float(self._max_bps), self._target * GROWTH_PER_S**elapsed)
