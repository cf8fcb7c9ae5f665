"""Where a key frame starts."""

from __future__ import annotations

import pytest

from broker.rtc.keyframes import STARTS_KEY_FRAME

SPS, PPS, IDR, SLICE = b"\x67abc", b"\x68ab", b"\x65abc", b"\x41abc"


def stap_a(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


@pytest.mark.parametrize(
    ("payload", "starts"),
    [
        (SPS, True),
        (PPS, False),
        (IDR, False),  # without parameter sets no decoder can begin
        (SLICE, False),
        (stap_a(SPS, PPS), True),
        (stap_a(PPS, SPS), True),
        (stap_a(PPS, IDR), False),
        (b"\x7c\x87abc", True),  # FU-A that begins a parameter set
        (b"\x7c\x07abc", False),  # its middle
        (b"\x7c\x85abc", False),  # FU-A that begins an IDR slice
        (b"", False),
        (b"\x78", False),
        (b"\x78\xff\xff", False),
        (b"\x78\x00\x00\x00", False),
        (b"\x7c", False),
    ],
)
def test_an_h264_key_frame_starts_at_its_parameter_set(payload: bytes, starts: bool) -> None:
    assert STARTS_KEY_FRAME["H264"](payload) is starts
