"""RTCP packets on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.rtp import (
    Bye,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtpError,
    SenderReport,
    nack,
    parse_compound,
    pli,
    receiver_report,
    remb,
    sdes,
    sender_report,
)

BYE = b"\x81\xcb\x00\x01" + (3).to_bytes(4, "big")
u32 = st.integers(0, 0xFFFFFFFF)
blocks = st.lists(
    st.builds(
        ReportBlock,
        ssrc=u32,
        fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-0x800000, 0x7FFFFF),
        highest_sequence=u32,
        jitter=u32,
        last_sr=u32,
        delay_since_last_sr=u32,
    ),
    max_size=4,
).map(tuple)


@given(
    report=st.builds(
        SenderReport,
        ssrc=u32,
        ntp=st.integers(0, 2**64 - 1),
        rtp_timestamp=u32,
        packet_count=u32,
        octet_count=u32,
        reports=blocks,
    )
)
def test_a_sender_report_is_read_as_written(report: SenderReport) -> None:
    assert parse_compound(sender_report(report) + sdes(report.ssrc, "name")) == [report]


@given(report=st.builds(ReceiverReport, ssrc=u32, reports=blocks))
def test_a_receiver_report_is_read_as_written(report: ReceiverReport) -> None:
    assert parse_compound(receiver_report(report)) == [report]


@given(start=st.integers(0, 0xFFFF), steps=st.lists(st.integers(1, 40), max_size=50))
def test_a_nack_is_read_as_written(start: int, steps: list[int]) -> None:
    numbers = [start]
    for step in steps:
        numbers.append((numbers[-1] + step) & 0xFFFF)
    assert parse_compound(nack(1, 2, numbers)) == [Nack(1, 2, tuple(numbers))]


@given(rate=st.integers(0, 2**40), ssrcs=st.lists(u32, max_size=3))
def test_a_remb_is_read_as_written_to_18_bits(rate: int, ssrcs: list[int]) -> None:
    [parsed] = parse_compound(remb(1, rate, ssrcs))
    assert isinstance(parsed, Remb)
    assert parsed.ssrcs == tuple(ssrcs)
    assert parsed.bitrate_bps <= rate <= parsed.bitrate_bps * (1 + 2**-16)


def test_a_compound_is_read_in_order_without_what_is_unknown() -> None:
    application = b"\x80\xcc\x00\x02" + bytes(8)
    packet = receiver_report(ReceiverReport(1)) + application + pli(1, 2) + BYE
    assert parse_compound(packet) == [ReceiverReport(1), PictureLoss(1, 2), Bye((3,))]


def test_a_full_intra_request_names_its_sources() -> None:
    packet = b"\x84\xce\x00\x06" + b"\0\0\0\1" + bytes(4)
    packet += b"\0\0\0\7" + b"\1\0\0\0" + b"\0\0\0\x08" + b"\1\0\0\0"
    assert parse_compound(packet) == [FullIntraRequest(1, (7, 8))]


@pytest.mark.parametrize(
    "packet",
    [
        b"\x80",
        b"\x80\xc9\x00\x05",  # longer than its datagram
        b"\x00\xc9\x00\x00",  # version 0
        b"\x80\xc8\x00\x00",  # a sender report without a body
        b"\x81\xc9\x00\x01\0\0\0\1",  # one block announced, none there
        b"\xa0\xc9\x00\x01\0\0\0\0",  # padding of no length
        b"\xa0\xc9\x00\x01\0\0\0\xff",  # padding longer than the packet
        b"\x8f\xce\x00\x04" + bytes(8) + b"REMB" + b"\xff\0\0\0",  # 255 sources, none there
    ],
)
def test_a_broken_compound_is_refused(packet: bytes) -> None:
    with pytest.raises(RtpError):
        parse_compound(packet)


def test_a_nack_for_more_than_anybody_keeps_is_refused() -> None:
    body = bytes(8) + b"\x00\x00\xff\xff" * 300
    with pytest.raises(RtpError):
        parse_compound(b"\x81\xcd" + (len(body) // 4).to_bytes(2, "big") + body)
