"""What receiver reports say about the way to a receiver: its loss, and a queue that grows.

Pure: `now` is monotonic seconds.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from msgspec import Struct

from broker.rtc.rtp import ReportBlock

PACKETS_MIN: Final = 100
"""Fewer packets than this say little about loss; they wait for the next report ..."""

PACKETS_FEW: Final = 20
LOSS_PLAIN: Final = 0.3
"""... unless these few say it plainly."""

QUEUE_S: Final = 0.15
"""A round trip this much above the shortest one means that packets wait in a queue."""

QUEUE_REPORTS: Final = 2
RTT_WINDOW_S: Final = 30.0


class Signs(Struct, frozen=True):
    """What the reports until now say."""

    loss: float | None  # share of packets lost lately; None while too few were sent to tell
    queue: bool  # packets wait longer and longer on their way


class Reports:
    """The receiver reports on one stream."""

    def __init__(self) -> None:
        self.rtt_s: float | None = None
        """Smoothed round trip; None until one was measured."""
        self._reported: int | None = None  # highest sequence number of the last report
        self._expected = 0
        self._lost = 0.0
        self._rtts: deque[tuple[float, float]] = deque()  # ascending in both: a sliding minimum
        self._queue_reports = 0

    def read(self, block: ReportBlock, rtt_s: float | None, now: float) -> Signs:
        """Take a report's block on the stream, with the round trip if it tells one."""
        queue = rtt_s is not None and self._queue_grows(rtt_s, now)
        return Signs(self._loss(block), queue)

    def _loss(self, block: ReportBlock) -> float | None:
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
