"""How much one network address may ask for."""

from __future__ import annotations

from collections import Counter, deque

from broker.http.guard import Denied
from broker.protocol import Refusal

RATE_WINDOW_S = 60.0

ADDRESSES_MAX = 10_000
"""Addresses that are remembered; beyond it the oldest windows are forgotten."""


class LinkLimit:
    """How many WebSockets one address may hold open."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def __call__(self, address: str) -> Slot:
        """A slot to hold while the link is open. Raises Denied."""
        if self._open[address] >= self._most:
            raise Denied(Refusal.BUSY, "Too many connections from this address. Close some.")
        return Slot(self._open, address)


class Slot:
    """One counted connection of an address, while the `with` block runs."""

    def __init__(self, counter: Counter[str], address: str) -> None:
        self._counter = counter
        self._address = address

    def __enter__(self) -> None:
        self._counter[self._address] += 1

    def __exit__(self, *_: object) -> None:
        self._counter[self._address] -= 1
        if not self._counter[self._address]:
            del self._counter[self._address]


class RequestRate:
    """How many requests for help one address may make within `RATE_WINDOW_S`.

    Each one becomes an incident on the disk. `now` is monotonic seconds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: dict[str, deque[float]] = {}

    def allows(self, address: str, now: float) -> bool:
        """Whether one more is allowed now; it is counted if so."""
        made = self._made.pop(address, None) or deque(maxlen=self._most)
        while made and made[0] <= now - RATE_WINDOW_S:
            made.popleft()
        allowed = len(made) < self._most
        if allowed:
            made.append(now)
        self._made[address] = made  # at the end: the order is that of use
        if len(self._made) > ADDRESSES_MAX:
            del self._made[next(iter(self._made))]
        return allowed
