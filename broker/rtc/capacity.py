"""What the way to one viewer can take, from what the viewer reports.

Pure: `now` is monotonic seconds. A way counts as wide until something speaks
against it: loss that is more than chance, a round trip that grows, or the viewer's
own estimate (REMB) falling below what it is sent. From then on the estimate is
followed, and grows again as long as nothing speaks against it.
"""

from __future__ import annotations

from typing import Final

from broker.rtc.reports import Reports, Signs
from broker.rtc.rtp import ReportBlock

LEAST_BPS: Final = 30_000.0
WIDE_BPS: Final = 16_000_000.0
"""An estimate that has grown to this is no limit: no publisher sends half as much."""

LOSS_HIGH: Final = 0.10
GOT_THROUGH: Final = 0.9
"""Of the share that was not lost, so much is used at first: the queue has to empty."""

DELAY_FACTOR: Final = 0.85
QUIET_BPS: Final = 50_000.0
"""Who is sent less than this has no trouble because of it."""

LIMIT_FALL: Final = 0.95
LIMIT_TRUST: Final = 0.5
"""An estimate is believed down to this share of what was sent, or held so far."""

GROWTH_PER_S: Final = 1.08
HOLD_S: Final = 2.0


class Capacity:
    """The estimate of one viewer's way."""

    def __init__(self) -> None:
        self.bps: float | None = None
        """Bits a second; None while nothing speaks against any rate."""
        self._reports = Reports()
        self._limit_bps: int | None = None
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

    def on_limit(self, limit_bps: int, sent_bps: float, now: float) -> None:
        """The viewer's own estimate.

        Browsers derive it from what arrives, so that on a quiet screen it is far
        below what the way could take: a low one counts only while more is sent.
        """
        before, self._limit_bps = self._limit_bps, limit_bps
        falls = before is not None and limit_bps < LIMIT_FALL * before
        if self.bps is not None and limit_bps > self.bps:
            self._set(float(limit_bps))
        elif sent_bps > max(limit_bps, QUIET_BPS) and (falls or self.bps is not None):
            self._lower(max(float(limit_bps), LIMIT_TRUST * (self.bps or sent_bps)), now)

    def _through(self, signs: Signs, sent_bps: float) -> float | None:
        """What got through, if that was less than what was sent."""
        if self.bps is None and sent_bps < QUIET_BPS:
            return None
        if signs.loss is not None and signs.loss > LOSS_HIGH:
            return sent_bps * (1.0 - signs.loss) * GOT_THROUGH
        if signs.queue:
            return (sent_bps if self.bps is None else self.bps) * DELAY_FACTOR
        return None

    def _lower(self, bps: float, now: float) -> None:
        self._bad_at = self._grown_at = now
        self._set(bps if self.bps is None else min(bps, self.bps))

    def _grow(self, now: float) -> None:
        elapsed = min(1.0, now - self._grown_at)
        self._grown_at = now
        if self.bps is not None and now - self._bad_at >= HOLD_S:
            self._set(self.bps * GROWTH_PER_S**elapsed)

    def _set(self, bps: float) -> None:
        self.bps = None if bps >= WIDE_BPS else max(LEAST_BPS, bps)
