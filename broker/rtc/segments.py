"""Runs of datagrams that the kernel takes or gives as one; pure.

Linux sends a buffer as many datagrams of equal size (UDP_SEGMENT) and hands
several received ones of one flow over as one buffer (UDP_GRO); in both the last
may be shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

SEGMENTS_MAX: Final = 64
"""UDP_MAX_SEGMENTS of the oldest kernels that have it."""

RUN_MAX_BYTES: Final = 65_000
"""Below 65,507, the most that one send takes over IPv4."""


def runs(datagrams: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The datagrams in order, in runs that one segmented send can take.

    All of a run are as long as its first; its last may be shorter.
    """
    start, total = 0, len(datagrams)
    while start < total:
        size = len(datagrams[start])
        most = max(1, min(SEGMENTS_MAX, RUN_MAX_BYTES // size)) if size else 1
        end = start + 1
        while end < total and end - start < most and len(datagrams[end]) == size:
            end += 1
        if end < total and end - start < most and 0 < len(datagrams[end]) < size:
            end += 1
        yield datagrams[start:end]
        start = end


def split(data: bytes, size: int) -> list[bytes]:
    """The datagrams of one coalesced receive; `size`, above 0, is that of all but the last."""
    return [data[start : start + size] for start in range(0, len(data), size)]
