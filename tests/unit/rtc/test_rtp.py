"""RTP headers, extensions and retransmissions on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.rtp import (
    RtpError,
    abs_send_time,
    build_extensions,
    build_packet,
    build_rtx,
    extend_sequence,
    is_rtcp,
    ntp_middle,
    ntp_time,
    parse_header,
    read_extension,
    unwrap_rtx,
)

u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
payload_types = st.integers(0, 127)
elements = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=6)


@given(near=st.integers(0, 2**40), distance=st.integers(-0x7FFF, 0x7FFF))
def test_a_sequence_number_is_extended_to_the_nearest(near: int, distance: int) -> None:
    assert extend_sequence((near + distance) & 0xFFFF, near) == near + distance


@given(
    payload_type=payload_types,
    sequence_number=u16,
    timestamp=u32,
    ssrc=u32,
    payload=st.binary(max_size=1200),
    marker=st.booleans(),
    extensions=elements,
)
def test_what_is_built_is_what_is_parsed(
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool,
    extensions: dict[int, bytes],
) -> None:
    packet = build_packet(
        payload_type=payload_type,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=payload,
        marker=marker,
        extensions=extensions.items(),
    )
    header = parse_header(packet)
    assert (header.payload_type, header.sequence_number) == (payload_type, sequence_number)
    assert (header.timestamp, header.ssrc, header.marker) == (timestamp, ssrc, marker)
    assert packet[header.payload_start : header.payload_end] == payload
    for number, value in extensions.items():
        assert read_extension(packet, header, number) == value
    assert read_extension(packet, header, 15) is None


@given(
    payload=st.binary(min_size=1, max_size=1200),
    sequence_number=u16,
    marker=st.booleans(),
    extensions=elements,
)
def test_a_retransmission_brings_back_the_same_packet(
    payload: bytes, sequence_number: int, marker: bool, extensions: dict[int, bytes]
) -> None:
    packet = build_packet(
        payload_type=96,
        sequence_number=sequence_number,
        timestamp=77,
        ssrc=5,
        payload=payload,
        marker=marker,
        extensions=extensions.items(),
    )
    rtx = build_rtx(packet, payload_type=97, sequence_number=1, ssrc=6)
    header = parse_header(rtx)
    assert (header.payload_type, header.sequence_number, header.ssrc) == (97, 1, 6)
    assert unwrap_rtx(rtx, payload_type=96, ssrc=5) == packet


def test_a_retransmission_without_payload_only_probes() -> None:
    probe = build_packet(payload_type=97, sequence_number=1, timestamp=1, ssrc=6, payload=b"")
    assert unwrap_rtx(probe, payload_type=96, ssrc=5) is None


def test_padding_and_contributing_sources_are_not_payload() -> None:
    packet = bytes((0xA2, 0x60)) + bytes(10) + b"CSRC" * 2 + b"payload" + b"\0\0\3"
    header = parse_header(packet)
    assert packet[header.payload_start : header.payload_end] == b"payload"


def test_an_extension_block_of_another_kind_is_skipped() -> None:
    packet = bytes((0x90, 0x60)) + bytes(10) + b"\x10\x00\x00\x01abcd" + b"payload"
    header = parse_header(packet)
    assert read_extension(packet, header, 6) is None
    assert packet[header.payload_start :] == b"payload"


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(11),
        bytes(12),  # version 0
        b"\x8f" + bytes(11),  # 15 contributing sources, none there
        b"\x90" + bytes(11),  # extension without a header
        b"\x90" + bytes(11) + b"\xbe\xde\xff\xff",  # extension longer than the packet
        b"\xa0" + bytes(11) + b"\x00",  # padding of no length
        b"\xa0" + bytes(11) + b"\x09",  # padding longer than the payload
    ],
)
def test_a_broken_packet_is_refused(packet: bytes) -> None:
    with pytest.raises(RtpError):
        parse_header(packet)


def test_an_extension_element_that_ends_outside_its_block_is_no_value() -> None:
    packet = bytes((0x90, 0x60)) + bytes(10) + b"\xbe\xde\x00\x01" + b"\x1f123" + b"payload"
    assert read_extension(packet, parse_header(packet), 1) is None


def test_no_extensions_need_no_block() -> None:
    assert build_extensions(()) == b""


@pytest.mark.parametrize(
    ("second", "rtcp"), [(0x60, False), (0xE0, False), (200, True), (206, True), (191, False)]
)
def test_rtcp_is_told_from_rtp_by_its_second_byte(second: int, rtcp: bool) -> None:
    assert is_rtcp(bytes((0x80, second))) is rtcp


def test_send_times_are_fixed_point() -> None:
    assert abs_send_time(1.0) == b"\x04\x00\x00"
    assert abs_send_time(64.0) == b"\x00\x00\x00"
    assert ntp_time(0.5) >> 32 == 2_208_988_800
    assert ntp_middle(ntp_time(0.5)) & 0xFFFF == 0x8000
