"""When a packet may leave, so that a large frame does not arrive as one burst.

Pure: `now` is monotonic seconds; the caller keeps the packets and sends them.
Small frames leave at once. What is larger leaves at PACING times the target
rate, or faster if it would otherwise take longer than DRAIN_S: a picture that
comes late helps nobody.
"""

from __future__ import annotations

from typing import Final

PACING: Final = 2.5
"""Sending rate while packets wait, in multiples of the target rate."""

DRAIN_S: Final = 0.1
"""Whatever waits should be gone after this long."""

DRAIN_MAX: Final = 10.0
"""But never faster than this, in multiples of the target rate: what does not fit
through the network is lost, and comes later still."""

BURST_BYTES: Final = 24_000
"""What may leave at once after a pause: a usual frame of typing or pointing."""

STEP_S: Final = 0.002
"""Shortest pause worth a timer; what falls due in it leaves together."""


class Pacer:
    """A bucket that fills at the sending rate and is emptied by packets.

    `queued` for each packet that begins to wait and `left` for each that leaves;
    a packet may leave while `delay_s` is 0.
    """

    def __init__(self, target_bps: int, now: float) -> None:
        self.target_bps = target_bps
        """The rate in force; change it with `set_target`."""
        self._waiting_bytes = 0
        self._rate_bps = PACING * target_bps
        self._credit_bytes = float(BURST_BYTES)
        self._at = now

    def set_target(self, target_bps: int, now: float) -> None:
        """The target rate has changed."""
        self._fill(now)
        self.target_bps = target_bps
        self._choose_rate()

    def queued(self, size_bytes: int, now: float) -> None:
        """So many bytes wait now, in addition."""
        self._fill(now)
        self._waiting_bytes += size_bytes
        self._choose_rate()

    def left(self, size_bytes: int, now: float) -> None:
        """A waiting packet has been sent."""
        self._fill(now)
        self._credit_bytes -= size_bytes
        self._waiting_bytes = max(0, self._waiting_bytes - size_bytes)
        if self._waiting_bytes == 0:
            self._choose_rate()

    def dropped(self) -> None:
        """All that waited will not be sent."""
        self._waiting_bytes = 0
        self._choose_rate()

    def overtaken(self, size_bytes: int, now: float) -> None:
        """A packet that never waited (a retransmission) has been sent."""
        self._fill(now)
        self._credit_bytes = max(-float(BURST_BYTES), self._credit_bytes - size_bytes)

    def delay_s(self, now: float) -> float:
        """Seconds until the next packet may leave; 0 = now."""
        self._fill(now)
        if self._credit_bytes > 0:
            return 0.0
        return max(STEP_S, -self._credit_bytes * 8 / self._rate_bps)

    def behind_s(self, now: float) -> float:
        """Seconds until all that waits will have left."""
        if self._waiting_bytes == 0:
            return 0.0
        self._fill(now)
        return max(0.0, self._waiting_bytes - self._credit_bytes) * 8 / self._rate_bps

    @property
    def waiting_bytes(self) -> int:
        """What waits now."""
        return self._waiting_bytes

    def _fill(self, now: float) -> None:
        elapsed = now - self._at
        if elapsed > 0:
            self._at = now
            self._credit_bytes = min(
                float(BURST_BYTES), self._credit_bytes + elapsed * self._rate_bps / 8
            )

    def _choose_rate(self) -> None:
        """The rate stays for as long as something waits, or a frame would never drain."""
        usual = PACING * self.target_bps
        if self._waiting_bytes == 0:
            self._rate_bps = usual
            return
        drain = self._waiting_bytes * 8 / DRAIN_S
        self._rate_bps = max(usual, min(max(drain, self._rate_bps), DRAIN_MAX * self.target_bps))
