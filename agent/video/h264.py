"""H.264 by x264 through PyAV: no delay, key frames only when asked for, any bit rate.

x264 works in its constant-rate mode, in which libavcodec passes every change of
`bit_rate` on to the open encoder: a new rate needs no key frame. The mode fixes
the buffer (VBV), by which a single picture is bounded, at opening; the rate given
there is the highest that can be set later. Cost at 1920 x 1080 on two cores: 6 ms a
picture for typing, 7 for scrolling, 12 for a whole new one.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, ColorTrc

from agent.screen import Picture
from agent.video import RATE_FRAMES_S, EncodeFailed, Rows
from agent.video.convert import Converter

QUANTISER_MIN: Final = 22
"""Text is sharp at this (46 dB); finer costs bits that nobody sees."""

BUDGET_MIN_BPS: Final = 100_000

_BT709: Final = 1  # matrix coefficients (ITU-T H.264 table E-5)
_LEVELS: Final = ((3_600, "3.1"), (8_192, "4.0"), (36_864, "5.1"))
# Largest picture in macroblocks (table A-1): 1280 x 720, 1920 x 1080, 4096 x 2304.


class H264Encoder:
    """One x264 encoder: constrained baseline, which every browser decodes.

    `buffer_bits` bounds a key frame, and any burst. Raises EncodeFailed.
    """

    def __init__(self, width: int, height: int, *, buffer_bits: int, threads: int) -> None:
        self.width = width & ~1
        self.height = height & ~1
        self._budget_max_bps = buffer_bits * RATE_FRAMES_S
        self._converter = Converter(self.width, self.height, threads=threads)
        self._count = 0
        try:
            self._context = self._open(buffer_bits, threads)
        except (FFmpegError, ValueError) as error:
            raise EncodeFailed(
                f"the H.264 encoder does not start for {self.width} x {self.height} pixels "
                f"({error}); `ayuda-broker doctor` tries it alone"
            ) from None

    def encode(self, picture: Picture, rows: Rows, *, key: bool, budget_bps: int) -> bytes:
        """See `Encoder.encode`; the result is an access unit in Annex B form."""
        frame = self._converter.update(picture, rows)
        frame.pts = self._count
        frame.pict_type = PictureType.I if key else PictureType.NONE
        self._count += 1
        self._context.bit_rate = max(BUDGET_MIN_BPS, min(budget_bps, self._budget_max_bps))
        try:
            packets = self._context.encode(frame)
        except FFmpegError as error:
            raise EncodeFailed(f"the H.264 encoder failed ({error}); start again") from None
        return b"".join(bytes(packet) for packet in packets)

    def _open(self, buffer_bits: int, threads: int) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height = self.width, self.height
        context.pix_fmt = "yuv420p"
        context.framerate = Fraction(RATE_FRAMES_S, 1)
        context.time_base = Fraction(1, RATE_FRAMES_S)
        context.max_b_frames = 0
        context.thread_count = threads
        context.thread_type = "SLICE"
        context.color_range = ColorRange.MPEG
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.colorspace = _BT709
        context.bit_rate = self._budget_max_bps
        blocks = -(-self.width // 16) * -(-self.height // 16)
        context.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "profile": "baseline",
            "level": next((name for most, name in _LEVELS if blocks <= most), "6.2"),
            "maxrate": str(self._budget_max_bps),
            "bufsize": str(buffer_bits),
            "forced-idr": "1",
            "x264-params": ":".join(
                (
                    "keyint=infinite",
                    "scenecut=0",
                    "repeat-headers=1",
                    f"qpmin={QUANTISER_MIN}",
                    "qpstep=40",  # as good as the budget allows, at once
                    "aq-mode=0",  # it would take bits from text, and give them to plain areas
                    "subme=0",  # what scrolls or is dragged moves by whole pixels
                )
            ),
        }
        context.open()
        return context
