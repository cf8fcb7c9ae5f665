"""The relay's packets in one viewer's numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broker.rtc.downstream import Downstream, unaddressed
from broker.rtc.negotiate import NegotiatedVideo
from broker.rtc.rtp import (
    ABS_SEND_TIME,
    PLAYOUT_DELAY,
    build_rtx,
    parse_header,
    read_extension,
    unwrap_rtx,
)

VIDEO = NegotiatedVideo(
    sending=True,
    mid="0",
    codec="H264",
    fmtp={},
    payload_type=108,
    rtx_payload_type=109,
    ssrc=21,
    rtx_ssrc=22,
    extensions={ABS_SEND_TIME: 3, PLAYOUT_DELAY: 7},
    feedback=(),
)
TIME = b"\x01\x02\x03"


def kept(number: int, payload: bytes = b"payload", marker: bool = False) -> bytes:
    return unaddressed(number, 90_000 + number, marker, TIME, payload)


def started(video: NegotiatedVideo = VIDEO, first: int = 500, at: int = 70_000) -> Downstream:
    stream = Downstream(video, first, 9)
    stream.start_at(at)
    return stream


@given(
    timed=st.none() | st.integers(1, 14),
    delayed=st.none() | st.integers(1, 14),
    payload=st.binary(max_size=1200),
    marker=st.booleans(),
    number=st.integers(70_000, 200_000),
)
def test_a_viewer_gets_its_own_ids_and_the_same_payload(
    timed: int | None, delayed: int | None, payload: bytes, marker: bool, number: int
) -> None:
    if timed is not None and timed == delayed:
        delayed = None
    ids = {ABS_SEND_TIME: timed, PLAYOUT_DELAY: delayed}
    video = replace(VIDEO, extensions={uri: one for uri, one in ids.items() if one is not None})
    packet = started(video).rewrite(number, kept(number, payload, marker))
    header = parse_header(packet)
    assert (header.ssrc, header.payload_type, header.marker) == (21, 108, marker)
    assert header.sequence_number == (500 + number - 70_000) & 0xFFFF
    assert header.timestamp == 90_000 + number
    assert packet[header.payload_start : header.payload_end] == payload
    if timed is not None:
        assert read_extension(packet, header, timed) == TIME
    if delayed is not None:
        assert read_extension(packet, header, delayed) == bytes(3)


def test_a_retransmission_wraps_the_packet_as_it_was_sent() -> None:
    stream = started()
    sent = stream.rewrite(70_003, kept(70_003, marker=True))
    again = stream.resend(70_003, kept(70_003, marker=True))
    header = parse_header(again)
    assert (header.ssrc, header.payload_type) == (22, 109)
    assert unwrap_rtx(again, payload_type=108, ssrc=21) == sent
    assert again == build_rtx(sent, payload_type=109, sequence_number=10, ssrc=22)


def test_without_rtx_the_very_same_bytes_go_out_again() -> None:
    stream = started(replace(VIDEO, rtx_payload_type=None, rtx_ssrc=None))
    sent = stream.rewrite(70_003, kept(70_003))
    stream.rewrite(70_004, kept(70_004))
    assert stream.resend(70_003, kept(70_003)) == sent


def test_a_viewer_that_waited_sees_no_gap() -> None:
    stream = started(first=65_534)
    numbers = [
        parse_header(stream.rewrite(one, kept(one))).sequence_number for one in (70_000, 70_001)
    ]
    stream.wait()
    assert stream.start is None
    stream.start_at(80_000)
    numbers.append(parse_header(stream.rewrite(80_000, kept(80_000))).sequence_number)
    assert numbers == [65_534, 65_535, 0]


@pytest.mark.parametrize(
    ("sequence_number", "number"),
    [
        (500, 70_000),
        (509, 70_009),
        (499, None),  # before it started
        (510, None),  # not sent yet
        (40_000, None),
    ],
)
def test_a_viewers_number_leads_back_to_the_relays(
    sequence_number: int, number: int | None
) -> None:
    stream = started()
    assert stream.number_of(500) is None  # nothing sent yet
    for one in range(70_000, 70_010):
        stream.rewrite(one, kept(one))
    assert stream.number_of(sequence_number) == number
    stream.wait()
    assert stream.number_of(sequence_number) is None


def test_a_sender_report_counts_what_was_sent() -> None:
    stream = started()
    assert stream.report(1, 0.0) is None
    stream.rewrite(70_000, kept(70_000))
    stream.rewrite(70_001, kept(70_001))
    report = stream.report(4242, 0.0)
    assert report is not None
    assert (report.ssrc, report.rtp_timestamp) == (21, 4242)
    assert (report.packet_count, report.octet_count) == (2, 14)


def test_a_stream_of_somebody_else_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="SSRC"):
        Downstream(replace(VIDEO, ssrc=None), 0, 0)
