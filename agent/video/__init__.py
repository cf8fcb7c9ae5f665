"""From pictures to an encoded stream: what every encoder offers."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

from agent.screen import Picture

RATE_FRAMES_S: Final = 30
"""The frame rate that budgets refer to, and the highest that is sent."""

Rows = tuple[int, int]
"""A band of a picture: from this row up to, and without, that one."""


class EncodeFailed(Exception):
    """The encoder does not work; the text says why and what to do, for a person."""


class EncodedFrame(Struct, frozen=True):
    """One encoded picture."""

    data: bytes  # H.264: an access unit in Annex B form
    key: bool  # decoders can start here
    captured_at: float  # monotonic seconds, before the screen was read
    width: int
    height: int


class Encoder(Protocol):
    """One stream of pictures of one size. Used by one thread."""

    width: int
    height: int

    def encode(self, picture: Picture, rows: Rows, *, key: bool, budget_bps: int) -> bytes:
        """Encode a picture; only these rows differ from the one before.

        The first picture becomes a key frame, and each with `key`. `budget_bps` is
        the rate that this picture may use, as if RATE_FRAMES_S like it came in a second.
        Raises EncodeFailed.
        """
        ...
