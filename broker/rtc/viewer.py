"""One viewer of a relay: its stream, its share of the picture, and what it reports."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from broker.rtc.capacity import Capacity
from broker.rtc.downstream import Downstream
from broker.rtc.flow import Flow
from broker.rtc.peer import Peer
from broker.rtc.repair import History, ResendBudget
from broker.rtc.rtp import (
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    Rtcp,
    SenderReport,
    ntp_middle,
    sdes,
    sender_report,
)

SENT_WINDOW_S: Final = 1.0
SAMPLE_S: Final = 0.1
REPORTS_KEPT: Final = 16
"""Sender reports whose time of leaving is known, to measure the round trip."""


class Viewer:
    """A peer that receives the picture. Raises ValueError for one that does not.

    `on_waits` is called when packets wait: `pump` is to be called soon, and again.
    """

    def __init__(self, peer: Peer, *, on_waits: Callable[[], None], now: float) -> None:
        if peer.video is None:
            raise ValueError("this peer takes no video")
        self.peer = peer
        self.watching = False
        self.capacity = Capacity()
        self._stream = Downstream(peer.video, secrets.randbelow(0x7FFF), secrets.randbelow(0x7FFF))
        self._flow = Flow(now)
        self._on_waits = on_waits
        self._budget = ResendBudget(now)
        self._sent: deque[tuple[float, int]] = deque([(now, 0)])  # time, bytes until then
        self._reports_sent: dict[int, float] = {}  # middle of the NTP time -> monotonic time

    # ── packets ──────────────────────────────────────────────────────────────

    @property
    def started(self) -> bool:
        """Whether the picture has begun, at a key frame, and was not stopped since."""
        return self._stream.start is not None

    @property
    def waits(self) -> bool:
        """Whether packets wait until the way to this viewer can take them."""
        return self._flow.waits

    @property
    def takes_key_frame(self) -> bool:
        """Whether the next key frame begins its picture, for the first time or again."""
        return not self.started or (self._flow.skipping and not self._flow.waits)

    def start(self, number: int) -> None:
        """Begin, or begin again, with this relay number: a key frame's first packet."""
        self._stream.start_at(number)
        self._flow.begin()

    def stop(self) -> None:
        """Send nothing until the next `start`."""
        self._stream.wait()
        self._flow.begin()

    def forward(self, number: int, packet: bytes, now: float) -> None:
        """One packet of the stream, in its turn. Hot."""
        stream = self._stream
        start = stream.start
        if start is None or number < start:
            return
        if self._flow.take(number, packet, now):
            self.peer.send_rtp(stream.rewrite(number, packet))
        elif self._flow.waits:
            self._on_waits()

    def pump(self, now: float) -> None:
        """Send what has waited long enough."""
        if self._stream.start is None:
            return
        with self.peer.burst():
            for number, packet in self._flow.due(now):
                self.peer.send_rtp(self._stream.rewrite(number, packet))

    def resend(self, sequence_numbers: tuple[int, ...], history: History, now: float) -> None:
        """Send again what the viewer has lost, as far as it is kept and there is room."""
        for sequence_number in sequence_numbers:
            number = self._stream.number_of(sequence_number)
            packet = None if number is None else history.get(number & 0xFFFF)
            if number is None or packet is None:
                continue  # lost on its way to us too, or too old
            if not self._budget.take(len(packet), now):
                return
            if not self._flow.may_resend(len(packet), now):
                return
            self.peer.send_rtp(self._stream.resend(number, packet))

    # ── reports ──────────────────────────────────────────────────────────────

    def hear(self, report: Rtcp, now: float) -> bool:
        """Take one report; True if the viewer needs a key frame now."""
        if isinstance(report, ReceiverReport | SenderReport):
            self._hear_blocks(report, now)
        elif isinstance(report, Remb):
            self.capacity.on_limit(report.bitrate_bps, now)
            self._flow.rate_bps = self.capacity.bps
        elif isinstance(report, PictureLoss):
            return report.media_ssrc == self._stream.ssrc and self._needs_key_frame()
        elif isinstance(report, FullIntraRequest):
            return self._stream.ssrc in report.media_ssrcs and self._needs_key_frame()
        return False

    def concerns(self, report: Nack) -> bool:
        """Whether a request for retransmission is about this viewer's stream."""
        return report.media_ssrc == self._stream.ssrc

    def report(self, timestamp: int, now: float) -> None:
        """Send a sender report; `timestamp` is the relay's stream's at this moment."""
        said = self._stream.report(timestamp, time.time())
        if said is None or not self.started:
            return
        self._reports_sent[ntp_middle(said.ntp)] = now
        while len(self._reports_sent) > REPORTS_KEPT:
            del self._reports_sent[next(iter(self._reports_sent))]
        self.peer.send_rtcp(sender_report(said) + sdes(said.ssrc, "relay"))

    def sample(self, now: float) -> None:
        """Note how much has been sent; called about ten times a second."""
        if now - self._sent[-1][0] >= SAMPLE_S:
            self._sent.append((now, self.peer.stats.bytes_out))
            while len(self._sent) > 2 and self._sent[1][0] <= now - SENT_WINDOW_S:
                self._sent.popleft()

    def _hear_blocks(self, report: ReceiverReport | SenderReport, now: float) -> None:
        for block in report.reports:
            if block.ssrc != self._stream.ssrc:
                continue
            rtt_s = None
            sent_at = self._reports_sent.get(block.last_sr)
            if sent_at is not None:
                rtt_s = max(0.0, now - sent_at - block.delay_since_last_sr / 65_536)
            self.capacity.on_report(block, rtt_s, self._sent_bps(now), now)
            self._flow.rate_bps = self.capacity.bps

    def _needs_key_frame(self) -> bool:
        """A narrow way gets its key frame when what waits has gone, not at every request."""
        if self.capacity.bps is None:
            return True
        self._flow.skipping = True
        return False

    def _sent_bps(self, now: float) -> float:
        since, before = self._sent[0]
        return (self.peer.stats.bytes_out - before) * 8 / max(SAMPLE_S, now - since)
