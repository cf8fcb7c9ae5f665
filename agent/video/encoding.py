"""From a row of pictures to a stream of frames: which are encoded, and how.

Does no waiting and reads no clock: `now` is monotonic seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from agent.screen import Picture
from agent.video import EncodedFrame, EncodeFailed, Encoder, Rows
from agent.video.changes import changed_rows
from agent.video.h264 import H264Encoder
from agent.video.quality import Rhythm, budget_bps, buffer_bits

THREADS: Final = min(2, os.cpu_count() or 1)
"""Two slices at once halve the delay; more slices make the picture larger."""

SIDE_MIN: Final = 16
"""Encoders take no picture whose side is shorter than one block, in pixels."""

MakeEncoder = Callable[[int, int, int], Encoder]
"""Width, height, largest burst in bits. Raises EncodeFailed."""


def make_h264(width: int, height: int, buffer: int) -> Encoder:
    """The encoder that everybody can decode."""
    return H264Encoder(width, height, buffer_bits=buffer, threads=THREADS)


class Encoding:
    """One stream. A picture of another size, or far fewer bits, begin it anew."""

    def __init__(self, make_encoder: MakeEncoder = make_h264) -> None:
        self._make_encoder = make_encoder
        self._encoder: Encoder | None = None
        self._buffer_bits: int | None = None
        self._rhythm = Rhythm()
        self._shown: Picture | None = None  # what decoders have
        self._key_wanted = False

    def want_key_frame(self) -> None:
        """The next frame that may be is a key frame, whether anything changes or not."""
        self._key_wanted = True

    def next_look(self, target_bps: int, now: float, *, changed: bool | None) -> float:
        """When to bring the next picture; `changed` as `Screen.changed`."""
        at = self._rhythm.next_look(target_bps, now, changed=changed)
        return min(at, self._rhythm.next_key()) if self._key_wanted else at

    def look(self, picture: Picture, target_bps: int, now: float) -> EncodedFrame | None:
        """The frame for a picture that was read at `now`, if it needs one.

        Raises EncodeFailed.
        """
        before, rhythm = self._shown, self._rhythm.looked(now)
        self._rhythm = rhythm
        rows = changed_rows(before, picture)
        begins = self._encoder is None or before is None or _size(before) != _size(picture)
        key = begins or (self._key_wanted and now >= rhythm.next_key())
        if rows is None and not key and not rhythm.refines(now):
            return None
        if self._follow_rate(picture, target_bps, begins=begins):
            key, rows = True, (0, picture.height)
        frame = self._encode(picture, rows or (0, 0), key, target_bps, now)
        self._rhythm = rhythm.encoded(now, changed=rows is not None, key=key)
        self._shown = picture
        if key:
            self._key_wanted = False
        return frame

    def _follow_rate(self, picture: Picture, target_bps: int, *, begins: bool) -> bool:
        """Have an encoder for this size and rate; True if it is a new one."""
        width, height = _size(picture)
        if width < SIDE_MIN or height < SIDE_MIN:
            raise EncodeFailed(f"a screen of {width} x {height} pixels is too small to be shown")
        buffer = buffer_bits(width * height, target_bps, None if begins else self._buffer_bits)
        if not begins and buffer == self._buffer_bits:
            return False
        self._encoder = self._make_encoder(width, height, buffer)
        self._buffer_bits = buffer
        return True

    def _encode(
        self, picture: Picture, rows: Rows, key: bool, target_bps: int, now: float
    ) -> EncodedFrame:
        encoder = self._encoder
        assert encoder is not None  # _follow_rate made it
        budget = budget_bps(target_bps, now - self._rhythm.encoded_at)
        data = encoder.encode(picture, rows, key=key, budget_bps=budget)
        return EncodedFrame(data, key, now, encoder.width, encoder.height)


def _size(picture: Picture) -> tuple[int, int]:
    return picture.width, picture.height
