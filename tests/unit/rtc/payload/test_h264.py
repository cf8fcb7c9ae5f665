"""H.264 access units survive the way through RTP payloads, and hostile ones end there."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.payload.h264 import (
    MAX_UNIT_BYTES,
    START_CODE,
    PayloadError,
    depacketise,
    is_key_frame,
    packetise,
    split_units,
)

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))

SPS, PPS, SEI = b"\x67" + b"s" * 20, b"\x68" + b"p" * 4, b"\x06" + b"i" * 30
IDR, SLICE = b"\x65" + bytes(range(1, 256)) * 20, b"\x41" + b"x" * 100

STAP_A, FU_A = 24, 28


def annex_b(*units: bytes) -> bytes:
    return b"".join(START_CODE + unit for unit in units)


def kinds(payloads: list[bytes]) -> list[int]:
    return [payload[0] & 0x1F for payload in payloads]


nal_units = st.builds(
    # A real unit contains no start code and does not end in zeros.
    lambda kind, body: bytes((0x60 | kind,)) + body.replace(b"\x00", b"\x01") + b"\x80",
    st.integers(1, 23),
    st.binary(max_size=5000),
)


@pytest.mark.parametrize(
    ("data", "units"),
    [
        (annex_b(SPS, PPS, IDR), [SPS, PPS, IDR]),
        (b"\x00\x00\x01" + SPS + b"\x00\x00\x01" + PPS, [SPS, PPS]),
        (b"\x00" * 5 + b"\x01" + SPS + b"\x00\x00", [SPS]),
        (b"junk" + annex_b(SLICE), [SLICE]),
        (annex_b(b"", SLICE), [SLICE]),
        (b"", []),
        (SLICE, []),
    ],
)
def test_units_are_found_between_start_codes(data: bytes, units: list[bytes]) -> None:
    assert list(split_units(data)) == units


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ((SLICE,), [1]),
        ((SPS, PPS, SEI), [STAP_A]),
        ((SPS, PPS, IDR), [STAP_A] + [FU_A] * 5),
        ((IDR, SPS, PPS), [FU_A] * 5 + [STAP_A]),
        ((SPS, b"\x65" + b"y" * 1080, PPS), [7, STAP_A]),
        ((SLICE, b"\x41" + b"y" * 1099), [1, 1]),  # together they would be too large
        ((b"\x41" + b"y" * 1099,), [1]),  # exactly as large as allowed
        ((b"\x41" + b"y" * 1100,), [FU_A, FU_A]),
    ],
)
def test_units_share_travel_alone_or_are_cut(units: tuple[bytes, ...], expected: list[int]) -> None:
    assert kinds(packetise(annex_b(*units), 1100)) == expected


def test_fragments_are_of_equal_size_but_the_last() -> None:
    sizes = [len(payload) for payload in packetise(annex_b(IDR), 1100)]
    assert len(set(sizes[:-1])) == 1
    assert sizes[0] - len(sizes) < sizes[-1] <= sizes[0]


def test_a_fragment_carries_the_importance_and_type_of_its_unit() -> None:
    payloads = packetise(annex_b(IDR), 1100)
    assert [payload[0] for payload in payloads] == [0x7C] * 5
    assert [payload[1] for payload in payloads] == [0x85, 0x05, 0x05, 0x05, 0x45]


def test_a_limit_without_room_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="three bytes"):
        packetise(annex_b(SLICE), 2)


@pytest.mark.parametrize(
    ("units", "key"),
    [
        ((SPS, PPS, IDR), True),
        ((IDR,), False),
        ((SPS, PPS), False),
        ((SPS, PPS, SLICE), False),
        ((SLICE,), False),
    ],
)
def test_a_decoder_starts_at_an_idr_picture_with_its_parameters(
    units: tuple[bytes, ...], key: bool
) -> None:
    assert is_key_frame(annex_b(*units)) is key


@settings(max_examples=150 * SOAK, deadline=None)
@given(units=st.lists(nal_units, min_size=1, max_size=8), limit=st.integers(3, 1500))
def test_what_is_packetised_comes_back_whole(units: list[bytes], limit: int) -> None:
    payloads = packetise(annex_b(*units), limit)
    assert max(map(len, payloads)) <= limit
    assert depacketise(payloads) == annex_b(*units)


@settings(max_examples=50 * SOAK, deadline=None)
@given(unit=nal_units, limit=st.integers(3, 500))
def test_a_row_of_fragments_is_segmented_by_one_size(unit: bytes, limit: int) -> None:
    sizes = [len(payload) for payload in packetise(annex_b(unit), limit)]
    assert all(one == other for one, other in pairwise(sizes[:-1]))
    assert sizes[-1] <= sizes[0]


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [b""],
        [b"\x60"],  # type 0
        [b"\x79\x00\x00"],  # STAP-B: packetization-mode 2
        [b"\x7d\x80ab"],  # FU-B
        [b"\x7fabc"],
        [b"\x78"],
        [b"\x78\x00\x00"],
        [b"\x78\x00\x00\x00\x00"],
        [b"\x78\x00\x09\x41abc"],
        [b"\x78\x00\x03\x41ab\x00"],
        [b"\x78\x00\x03\x78ab"],  # an aggregate in an aggregate
        [b"\x7c\x85"],
        [b"\x7c\x05abc"],  # its start is missing
        [b"\x7c\x85abc"],  # its end is missing
        [b"\x7c\x85abc", b"\x41abc"],
        [b"\x7c\x85abc", b"\x7c\x85abc"],
        [b"\x7c\x85abc", b"\x7c\x41abc"],  # the end of another unit
        [b"\x7c\xc5abc"],  # start and end at once
        [b"\x7c\x9cabc", b"\x7c\x5cabc"],  # a fragment in fragments
    ],
)
def test_payloads_that_make_no_access_unit_are_refused(payloads: list[bytes]) -> None:
    with pytest.raises(PayloadError):
        depacketise(payloads)


def test_an_endless_access_unit_is_refused() -> None:
    middle = b"\x7c\x05" + bytes(1 << 20)
    payloads = [b"\x7c\x85a", *[middle] * (MAX_UNIT_BYTES // (1 << 20) + 1), b"\x7c\x45a"]
    with pytest.raises(PayloadError, match="too large"):
        depacketise(payloads)
