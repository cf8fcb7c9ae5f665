"""Which packets of the stream a viewer gets, and when, so that no delay builds up.

Pure: `now` is monotonic seconds; the caller sends what is due. A viewer whose way
is wide gets everything at once. A narrow way is sent what it can take: packets
wait, and once a new frame would come late, frames are left out until what waits
has gone and the next key frame comes. So such a viewer sees fewer pictures, late
only by what its way takes to carry them, and nobody else notices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

LATE_S: Final = 0.4
"""A frame that would wait longer than this before it leaves is left out."""

WAITING_MAX_BYTES: Final = 4 * 1024 * 1024
"""More than this never waits: two of the largest key frames."""

OPEN_BPS: Final = 20_000_000.0
"""How fast what waits leaves on a way that counts as wide: the burst of a join."""

OPEN_BURST_BYTES: Final = 65_536
BURST_S: Final = 0.02
PACKET_BYTES: Final = 1_200

Numbered = tuple[int, bytes]
"""A packet with its relay number."""


class Flow:
    """One viewer's share of the stream."""

    def __init__(self, now: float) -> None:
        self.rate_bps: float | None = None  # None: the way is wide
        self.skipping = False  # until a key frame
        self._waiting: deque[Numbered] = deque()
        self._waiting_bytes = 0
        self._frame = b""  # the timestamp of the newest
        self._credit_bytes = float(OPEN_BURST_BYTES)
        self._at = now

    @property
    def waits(self) -> bool:
        """Whether packets wait to be sent."""
        return bool(self._waiting)

    def begin(self) -> None:
        """A key frame follows: what waits before it is not needed any more."""
        self.skipping = False
        self._drop()
        self._frame = b""

    def take(self, number: int, packet: bytes, now: float) -> bool:
        """Whether to send this packet at once; else it waits, or is left out. Hot."""
        if self.skipping:
            return False
        if not self._waiting:
            if self._credit_bytes <= 0 or self.rate_bps is not None:
                self._fill(now)
            if self._credit_bytes > 0:
                self._credit_bytes -= len(packet)
                return True
        if packet[4:8] != self._frame:
            self._frame = packet[4:8]
            if self._late(now):
                self.skipping = True
                return False
        self._waiting.append((number, packet))
        self._waiting_bytes += len(packet)
        if self._waiting_bytes > WAITING_MAX_BYTES:
            self._drop()
            self.skipping = True
        return False

    def due(self, now: float) -> Iterator[Numbered]:
        """The packets that leave now, in order."""
        self._fill(now)
        while self._waiting and self._credit_bytes > 0:
            number, packet = self._waiting.popleft()
            self._waiting_bytes -= len(packet)
            self._credit_bytes -= len(packet)
            yield number, packet

    def may_resend(self, size_bytes: int, now: float) -> bool:
        """Whether there is room for a packet out of turn; counts as sending it."""
        if self.rate_bps is None:
            return True
        self._fill(now)
        if self._credit_bytes < -self._burst_bytes():
            return False
        self._credit_bytes -= size_bytes
        return True

    def _late(self, now: float) -> bool:
        self._fill(now)
        behind_bytes = self._waiting_bytes - self._credit_bytes
        return behind_bytes * 8 > LATE_S * (self.rate_bps or OPEN_BPS)

    def _drop(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _burst_bytes(self) -> float:
        if self.rate_bps is None:
            return float(OPEN_BURST_BYTES)
        return max(float(PACKET_BYTES), BURST_S * self.rate_bps / 8)

    def _fill(self, now: float) -> None:
        elapsed_s, self._at = now - self._at, now
        earned = elapsed_s * (self.rate_bps or OPEN_BPS) / 8
        self._credit_bytes = min(self._burst_bytes(), self._credit_bytes + earned)
