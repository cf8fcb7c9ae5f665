"""Pictures for tests, and what a decoder makes of them."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from agent.screen import Picture

Pixels = NDArray[np.uint8]


def picture(pixels: Pixels) -> Picture:
    """A picture of an array of rows, columns and blue, green, red, unused."""
    return Picture(pixels.shape[1], pixels.shape[0], bytearray(pixels.tobytes()))


def plain(width: int, height: int, colour: tuple[int, int, int] = (200, 210, 220)) -> Pixels:
    """One colour: red, green, blue."""
    red, green, blue = colour
    return np.full((height, width, 4), (blue, green, red, 0), np.uint8)


def text_like(width: int, height: int, seed: int = 1) -> Pixels:
    """Dark marks on a light ground in lines, as hard to encode as text."""
    chance = np.random.default_rng(seed)
    pixels = plain(width, height)
    marks = chance.random((height // 3 + 1, width // 3 + 1)) < 0.3
    marks = marks.repeat(3, axis=0).repeat(3, axis=1)[:height, :width]
    marks[np.arange(height) % 18 < 6] = False
    pixels[marks, :3] = 30
    return pixels


class Decoder:
    """Decodes one stream as a browser does: each frame gives a picture at once."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("h264", "r")

    def frame(self, data: bytes) -> av.VideoFrame:
        """The decoded picture of one access unit."""
        (frame,) = self._context.decode(av.Packet(data))
        assert isinstance(frame, av.VideoFrame)
        return frame

    def rgb(self, data: bytes) -> Pixels:
        """Rows, columns, and red, green, blue."""
        shown = self.frame(data).reformat(
            format="rgb24", src_colorspace=Colorspace.ITU709, src_color_range=ColorRange.MPEG
        )
        return np.asarray(shown.to_ndarray(), np.uint8)


def difference(shown: Pixels, pixels: Pixels) -> float:
    """Mean difference of brightness, 0 to 255, over what both have."""
    height, width = shown.shape[:2]
    wanted = pixels[:height, :width, 2::-1].astype(np.int16)
    return float(np.abs(shown.astype(np.int16) - wanted).mean())
