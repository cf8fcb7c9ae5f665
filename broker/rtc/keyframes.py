"""Where a key frame starts in an encoded stream, by codec, seen from one RTP payload.

Pure. A table of one function a codec: a relay decodes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_SPS: Final = 7
_STAP_A: Final = 24
_FU: Final = (28, 29)


def _h264(payload: bytes) -> bool:
    """Whether an H.264 payload brings a sequence parameter set (RFC 6184 §5.2).

    Decoders start there and nowhere else: parameter sets, then the IDR picture.
    """
    if not payload:
        return False
    kind = payload[0] & 0x1F
    if kind == _STAP_A:
        position = 1
        while position + 3 <= len(payload):
            if payload[position + 2] & 0x1F == _SPS:
                return True
            position += 2 + int.from_bytes(payload[position : position + 2], "big")
        return False
    if kind in _FU:
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & 0x1F == _SPS
    return kind == _SPS


STARTS_KEY_FRAME: Final[dict[str, Callable[[bytes], bool]]] = {"H264": _h264}
"""By codec name: does this payload start a key frame?"""
