"""Repair of lost packets: what to keep, what to ask for again, when to ask for a key frame.

Pure: `now` is monotonic seconds, and the caller sends what these objects say is due.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from broker.rtc.rtp import extend_sequence

HISTORY_S: Final = 2.0
"""How long a packet can be asked for again."""

HISTORY_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of packets kept: 2 s at 32 Mbit/s."""

MISSING_MAX: Final = 1000
"""More packets missing than this are not worth asking for: a key frame is."""

NACK_TRIES: Final = 10
NACK_RETRY_S: Final = 0.02
"""Shortest time between two requests for the same packet."""

NACK_GIVE_UP_S: Final = 1.0
"""After this long, the stream is decodable only from the next key frame on."""

KEY_FRAME_INTERVAL_S: Final = 0.5
"""Shortest time between two requests for a key frame."""

RESEND_RATE_BYTES_S: Final = 1_000_000
RESEND_BURST_BYTES: Final = 512 * 1024
"""What one receiver may have sent again: half a megabyte, then 8 Mbit/s."""


class History:
    """The packets sent (or received) lately, by sequence number.

    Bounded in time and in bytes; the oldest go first.
    """

    def __init__(self, *, keep_s: float = HISTORY_S, max_bytes: int = HISTORY_BYTES) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._packets: dict[int, bytes] = {}
        self._order: deque[tuple[float, int, bytes]] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def size_bytes(self) -> int:
        """Bytes held now."""
        return self._bytes

    def add(self, sequence_number: int, packet: bytes, now: float) -> None:
        """Keep a packet; one under the same number is replaced."""
        order, packets = self._order, self._packets
        packets[sequence_number] = packet
        order.append((now, sequence_number, packet))
        self._bytes += len(packet)
        oldest = now - self._keep_s
        while order and (order[0][0] < oldest or self._bytes > self._max_bytes):
            _, number, old = order.popleft()
            self._bytes -= len(old)
            # The number may have wrapped and belong to a newer packet by now.
            if packets.get(number) is old:
                del packets[number]

    def get(self, sequence_number: int) -> bytes | None:
        """The packet sent under this number, if it is still kept."""
        return self._packets.get(sequence_number)

    def clear(self) -> None:
        """Forget everything."""
        self._packets.clear()
        self._order.clear()
        self._bytes = 0


class _Missing:
    """One packet that has not come."""

    __slots__ = ("asked_at", "since", "tries")

    def __init__(self, since: float) -> None:
        self.since = since
        self.asked_at = -1.0e9
        self.tries = 0


class NackGenerator:
    """Finds gaps in one stream's sequence numbers and says what to ask for, and when.

    After `on_packet` and at each tick, send a NACK for `due(now)`. When packets
    are given up, `take_given_up()` tells once: only a key frame helps then.
    """

    def __init__(self) -> None:
        self.rtt_s = 0.1  # smoothed time from asking to getting
        self._highest: int | None = None
        self._missing: dict[int, _Missing] = {}  # by unwrapped number, ascending
        self._gave_up = False

    @property
    def missing(self) -> int:
        """How many packets are being waited for."""
        return len(self._missing)

    def on_packet(self, sequence_number: int, now: float) -> bool:
        """Note an arrival. False if the packet is a duplicate or no longer wanted."""
        if self._highest is None:
            self._highest = sequence_number
            return True
        number = extend_sequence(sequence_number, self._highest)
        if number <= self._highest:
            missing = self._missing.pop(number, None)
            if missing is not None and missing.tries == 1:
                self.rtt_s += 0.125 * (now - missing.asked_at - self.rtt_s)
            return missing is not None
        gap = number - self._highest - 1
        if gap > MISSING_MAX:
            self._give_up()
        elif gap:
            for lost in range(self._highest + 1, number):
                self._missing[lost] = _Missing(now)
            if len(self._missing) > MISSING_MAX:
                self._give_up()
        self._highest = number
        return True

    def due(self, now: float) -> list[int]:
        """The sequence numbers to ask for now, ascending; counts as asking."""
        wanted: list[int] = []
        if not self._missing:
            return wanted
        retry_s = max(NACK_RETRY_S, self.rtt_s * 1.25)
        expired: list[int] = []
        for number, missing in self._missing.items():
            if now - missing.since > NACK_GIVE_UP_S or missing.tries >= NACK_TRIES:
                if now - missing.asked_at >= retry_s:  # the last answer had its chance
                    expired.append(number)
            elif now - missing.asked_at >= retry_s:
                missing.asked_at = now
                missing.tries += 1
                wanted.append(number & 0xFFFF)
        if expired:
            for number in expired:
                del self._missing[number]
            self._gave_up = True
        return wanted

    def on_key_frame(self, sequence_number: int) -> None:
        """A key frame starts here: what is missing before it is not needed any more."""
        if self._highest is None:
            return
        start = extend_sequence(sequence_number, self._highest)
        for number in [number for number in self._missing if number < start]:
            del self._missing[number]

    def take_given_up(self) -> bool:
        """Whether packets were given up since the last call."""
        gave_up, self._gave_up = self._gave_up, False
        return gave_up

    def _give_up(self) -> None:
        self._missing.clear()
        self._gave_up = True


class ResendBudget:
    """How much one receiver may have sent again: a token bucket.

    Its NACKs cost us far more bytes than they cost it.
    """

    def __init__(self, now: float) -> None:
        self._left = float(RESEND_BURST_BYTES)
        self._at = now

    def take(self, size_bytes: int, now: float) -> bool:
        """Whether a packet of this size may be sent again now; counts as sending it."""
        self._left = min(RESEND_BURST_BYTES, self._left + (now - self._at) * RESEND_RATE_BYTES_S)
        self._at = now
        if self._left < size_bytes:
            return False
        self._left -= size_bytes
        return True


class KeyFrameRequests:
    """Turns many wishes for a key frame into few requests.

    At most one in KEY_FRAME_INTERVAL_S, repeated until a key frame comes.
    """

    def __init__(self, interval_s: float = KEY_FRAME_INTERVAL_S) -> None:
        self._interval_s = interval_s
        self._wanted = False
        self._asked_at = -1.0e9

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a key frame."""
        return self._wanted

    def want(self) -> None:
        """Somebody needs a key frame."""
        self._wanted = True

    def arrived(self) -> None:
        """A key frame came: everybody who waited is served."""
        self._wanted = False

    def due(self, now: float) -> bool:
        """Whether to send a request now; counts as sending it."""
        if not self._wanted or now - self._asked_at < self._interval_s:
            return False
        self._asked_at = now
        return True
