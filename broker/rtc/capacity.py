"""What the way to one viewer can take, from what the viewer reports.

Pure: `now` is monotonic seconds. A way counts as wide until something speaks
against it: loss that is more than chance, or a round trip that grows. From then on
there is an estimate, which falls with each such sign and grows without. The viewer's
own estimate (REMB) lowers ours only beside such a sign: browsers derive theirs from
what arrives, so that it is low on a quiet screen, and falls with the jitter of a
repaired loss; followed then, less would be sent, less arrive, and it would fall again.
"""

from __future__ import annotations

from typing import Final

from broker.rtc.reports import Reports, Signs
from broker.rtc.rtp import ReportBlock

LEAST_BPS: Final = 30_000.0
WIDE_BPS: Final = 16_000_000.0
"""An estimate that has grown to this is no limit: no publisher sends half as much."""

LOSS_HIGH: Final = 0.15
"""More than this in a hundred packets is not the chance of a line that loses 5 %."""

GOT_THROUGH: Final = 0.9
"""Of the share that was not lost, so much is used at first: the queue has to empty."""

DELAY_FACTOR: Final = 0.85
QUIET_BPS: Final = 50_000.0
"""Who is sent less than this has no trouble because of it."""

GROWTH_PER_S: Final = 1.08
ONE_CAUSE_S: Final = 0.9
"""Signs within this time have the same cause."""

HOLD_S: Final = 2.0
LIMIT_TRUST: Final = 0.5
"""A viewer's estimate is believed down to this share of ours."""


class Capacity:
    """The estimate of one viewer's way."""

    def __init__(self) -> None:
        self.bps: float | None = None
        """Bits a second; None while nothing speaks against any rate."""
        self._reports = Reports()
        self._bad_at = -1.0e9
        self._grown_at = -1.0e9

    @property
    def rtt_s(self) -> float | None:
        """Smoothed round trip; None until one was measured."""
        return self._reports.rtt_s

    def on_report(
        self, block: ReportBlock, rtt_s: float | None, sent_bps: float, now: float
    ) -> None:
        """A receiver report's block on the viewer's stream; `sent_bps` is what it was sent."""
        signs = self._reports.read(block, rtt_s, now)
        through_bps = self._through(signs, sent_bps)
        if through_bps is not None:
            self._lower(through_bps, now)
        else:
            self._grow(now)

    def on_limit(self, limit_bps: int, now: float) -> None:
        """The viewer's own estimate."""
        if self.bps is None:
            return
        if now - self._bad_at < HOLD_S:
            self._set(min(self.bps, max(float(limit_bps), LIMIT_TRUST * self.bps)))
        elif limit_bps > self.bps:
            self._set(float(limit_bps))

    def _through(self, signs: Signs, sent_bps: float) -> float | None:
        """What got through, if that was less than what was sent."""
        tried_bps = sent_bps if self.bps is None else self.bps
        if self.bps is None and sent_bps < QUIET_BPS:
            return None
        if signs.loss is not None and signs.loss > LOSS_HIGH:
            return tried_bps * (1.0 - signs.loss) * GOT_THROUGH
        if signs.queue:
            return tried_bps * DELAY_FACTOR
        return None

    def _lower(self, bps: float, now: float) -> None:
        self._grown_at = now
        if now - self._bad_at >= ONE_CAUSE_S:
            self._set(bps)
        self._bad_at = now

    def _grow(self, now: float) -> None:
        elapsed = min(1.0, now - self._grown_at)
        self._grown_at = now
        if self.bps is not None and now - self._bad_at >= HOLD_S:
            self._set(self.bps * GROWTH_PER_S**elapsed)

    def _set(self, bps: float) -> None:
        self.bps = None if bps >= WIDE_BPS else max(LEAST_BPS, bps)
