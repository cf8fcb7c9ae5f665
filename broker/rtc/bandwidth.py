"""How many bits a second a publisher should send, from what its receiver reports.

Pure: `now` is monotonic seconds. Random loss of a few per cent is repaired by
retransmission and answered by nothing; loss above LOSS_HIGH, a round trip that
grows, or a viewer's estimate that falls below what is being sent are signs of a
queue or a full link, and are.
"""

from __future__ import annotations

from collections import deque
from typing import Final

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
PACKETS_MIN: Final = 100
"""Fewer packets than this say little about loss; they wait for the next report ..."""

PACKETS_FEW: Final = 20
LOSS_PLAIN: Final = 0.3
"""... unless these few say it plainly."""

QUEUE_S: Final = 0.15
"""A round trip this much above the shortest one means that packets wait in a queue."""

QUEUE_REPORTS: Final = 2
RTT_WINDOW_S: Final = 30.0
DELAY_FACTOR: Final = 0.85
LIMIT_FALL: Final = 0.95
SENT_WINDOW_S: Final = 1.0


class Bandwidth:
    """The target rate of one publisher: `target_bps`, changed by what is reported."""

    def __init__(self, now: float, *, start_bps: int = START_BPS, max_bps: int = MAX_BPS) -> None:
        self._target = float(min(start_bps, max_bps))
        self._max_bps = max_bps
        self._grown_at = now
        self._shrunk_at = -1.0e9
        self._reported: int | None = None  # highest sequence number of the last report
        self._expected = 0
        self._lost = 0.0
        self._rtts: deque[tuple[float, float]] = deque()  # ascending in both: a sliding minimum
        self._queue_reports = 0
        self._limit_bps: int | None = None
        self._sent: deque[tuple[float, int]] = deque()
        self._sent_bytes = 0
        self.rtt_s: float | None = None
        """Smoothed round trip; None until one was measured."""

    @property
    def target_bps(self) -> int:
        """What to send at most, on average."""
        return int(self._target)

    def on_sent(self, size_bytes: int, now: float) -> None:
        """Bytes have left: the measure for a viewer's estimate."""
        self._sent.append((now, size_bytes))
        self._sent_bytes += size_bytes
        self._forget_sent(now)

    def on_report(self, block: ReportBlock, rtt_s: float | None, now: float) -> None:
        """A receiver report's block on our stream, with the round trip if it tells one."""
        queue = rtt_s is not None and self._queue_grows(rtt_s, now)
        loss = self._loss(block)
        if loss is not None and loss > LOSS_HIGH:
            self._shrink(1.0 - loss / 2, now)
        elif queue:
            self._shrink(DELAY_FACTOR, now)
        elif loss is None or loss <= LOSS_LOW:
            self._grow(now)
        else:
            self._grown_at = now

    def on_limit(self, limit_bps: int, now: float) -> None:
        """A viewer's estimate (REMB) of what it can take.

        Browsers derive it from what arrives, so that on a quiet screen it is far
        below what the network could carry. It counts only when it falls while we
        send more than it says: then the viewer has seen a queue grow.
        """
        before, self._limit_bps = self._limit_bps, limit_bps
        self._forget_sent(now)
        sent_bps = self._sent_bytes * 8 / SENT_WINDOW_S
        if before is not None and limit_bps < LIMIT_FALL * before and sent_bps > limit_bps:
            self._shrink(min(1.0, max(limit_bps, DELAY_FACTOR * sent_bps) / self._target), now)

    def _loss(self, block: ReportBlock) -> float | None:
        """The share of packets lost lately; None while too few were sent to tell."""
        before, self._reported = self._reported, block.highest_sequence
        expected = 0 if before is None else (block.highest_sequence - before) & 0xFFFFFFFF
        if expected > 0x7FFFFFFF:  # reordered reports
            return None
        self._expected += expected
        self._lost += expected * block.fraction_lost / 256
        if self._expected < PACKETS_FEW:
            return None
        loss = self._lost / self._expected
        if self._expected < PACKETS_MIN and loss < LOSS_PLAIN:
            return None
        self._expected, self._lost = 0, 0.0
        return loss

    def _queue_grows(self, rtt_s: float, now: float) -> bool:
        rtts = self._rtts
        while rtts and rtts[-1][1] >= rtt_s:
            rtts.pop()
        rtts.append((now, rtt_s))
        while rtts[0][0] < now - RTT_WINDOW_S:
            rtts.popleft()
        self.rtt_s = rtt_s if self.rtt_s is None else self.rtt_s + (rtt_s - self.rtt_s) / 4
        self._queue_reports = self._queue_reports + 1 if rtt_s > rtts[0][1] + QUEUE_S else 0
        return self._queue_reports >= QUEUE_REPORTS

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

    def _forget_sent(self, now: float) -> None:
        while self._sent and self._sent[0][0] <= now - SENT_WINDOW_S:
            self._sent_bytes -= self._sent.popleft()[1]
