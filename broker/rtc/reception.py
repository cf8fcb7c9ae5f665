"""How well one stream is received: the numbers of a receiver report (RFC 3550 A.3, A.8).

Pure: `now` is monotonic seconds.
"""

from __future__ import annotations

from broker.rtc.rtp import VIDEO_CLOCK_HZ, ReportBlock, SenderReport, extend_sequence, ntp_middle


class Reception:
    """Loss and jitter of one SSRC. Retransmissions are not counted."""

    def __init__(self, ssrc: int, clock_hz: int = VIDEO_CLOCK_HZ) -> None:
        self._ssrc = ssrc
        self._clock_hz = clock_hz
        self._first: int | None = None
        self._highest = 0
        self._received = 0
        self._expected_before = 0
        self._received_before = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._last_sr = 0
        self._last_sr_at = 0.0

    def on_packet(self, sequence_number: int, timestamp: int, now: float) -> None:
        """Note an arrival."""
        self._received += 1
        if self._first is None:
            self._first = self._highest = sequence_number
        else:
            self._highest = max(self._highest, extend_sequence(sequence_number, self._highest))
        transit = now * self._clock_hz - timestamp
        if self._transit is not None:
            # Differences of transit survive the wrap of the timestamp modulo 2^32.
            difference = (transit - self._transit + 2**31) % 2**32 - 2**31
            self._jitter += (abs(difference) - self._jitter) / 16
        self._transit = transit

    def on_sender_report(self, report: SenderReport, now: float) -> None:
        """Note the sender's report, so that it can measure the round trip."""
        self._last_sr = ntp_middle(report.ntp)
        self._last_sr_at = now

    def report(self, now: float) -> ReportBlock | None:
        """The block for a receiver report; loss is counted anew. None before any packet."""
        if self._first is None:
            return None
        expected = self._highest - self._first + 1
        expected_now = expected - self._expected_before
        lost_now = expected_now - (self._received - self._received_before)
        self._expected_before, self._received_before = expected, self._received
        fraction = 0 if expected_now <= 0 or lost_now <= 0 else (lost_now << 8) // expected_now
        lost = max(-0x800000, min(0x7FFFFF, expected - self._received))
        delay_s = now - self._last_sr_at if self._last_sr else 0.0
        return ReportBlock(
            ssrc=self._ssrc,
            fraction_lost=min(fraction, 255),
            packets_lost=lost,
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=int(self._jitter),
            last_sr=self._last_sr,
            delay_since_last_sr=int(delay_s * 65_536),
        )
