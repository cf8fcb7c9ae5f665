"""A publisher's stream in the relay's numbers."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.negotiate import NegotiatedVideo
from broker.rtc.rtp import (
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    SenderReport,
    build_packet,
    build_rtx,
    parse_compound,
)
from broker.rtc.upstream import REPORT_S, Arrival, Position, Upstream

SSRC, RTX_SSRC = 11, 12
VIDEO = NegotiatedVideo(
    sending=False,
    mid="0",
    codec="H264",
    fmtp={},
    payload_type=96,
    rtx_payload_type=97,
    ssrc=SSRC,
    rtx_ssrc=RTX_SSRC,
    extensions={},
    feedback=("nack", "nack pli", "goog-remb"),
)
UNSAID = NegotiatedVideo(
    sending=False,
    mid="0",
    codec="H264",
    fmtp={},
    payload_type=96,
    rtx_payload_type=None,
    ssrc=None,
    rtx_ssrc=None,
    extensions={},
    feedback=(),
)
KEY, SLICE = b"\x67key", b"\x41slice"


def upstream(video: NegotiatedVideo = VIDEO, continues: Position | None = None) -> Upstream:
    return Upstream(video, continues or Position(1000, 5_000_000, 0.0), 0.0)


def packet(
    number: int, timestamp: int = 0, payload: bytes = SLICE, ssrc: int = SSRC, kind: int = 96
) -> bytes:
    return build_packet(
        payload_type=kind,
        sequence_number=number,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=payload,
    )


def taken(arrival: Arrival | None) -> Arrival:
    assert arrival is not None
    return arrival


def test_a_publisher_continues_where_the_one_before_stopped() -> None:
    publisher = upstream(continues=Position(70_000, 0xFFFFFFFF, 10.0))
    first = taken(publisher.on_rtp(packet(65_535, 123, KEY), 10.5))
    assert (first.number, first.timestamp) == (70_001, 44_999)  # half a second at 90 kHz
    second = taken(publisher.on_rtp(packet(0, 123 + 3000), 10.6))
    assert (second.number, second.timestamp) == (70_002, 47_999)
    assert publisher.position == Position(70_002, 47_999, 10.6)


def test_a_key_frame_is_told_and_remembered() -> None:
    publisher = upstream()
    assert not taken(publisher.on_rtp(packet(5), 1.0)).key
    assert taken(publisher.on_rtp(packet(6, payload=KEY), 1.5)).key
    assert publisher.last_key == (1002, 1.5)


def test_a_retransmission_fills_the_gap_and_comes_only_once() -> None:
    publisher = upstream()
    publisher.on_rtp(packet(1), 0.0)
    publisher.on_rtp(packet(3), 0.0)
    assert publisher.has_gaps
    assert publisher.restless
    assert parse_compound(publisher.requests(0.0)) == [Nack(1, SSRC, (2,))]
    rtx = build_rtx(packet(2, 77), payload_type=97, sequence_number=9, ssrc=RTX_SSRC)
    arrival = taken(publisher.on_rtp(rtx, 0.05))
    assert (arrival.number, arrival.payload) == (1002, SLICE)
    assert publisher.on_rtp(packet(2, 77), 0.06) is None
    assert not publisher.has_gaps


def test_what_is_not_of_the_stream_is_left_out() -> None:
    publisher = upstream()
    publisher.on_rtp(packet(1), 0.0)
    probe = build_packet(
        payload_type=97, sequence_number=1, timestamp=0, ssrc=RTX_SSRC, payload=b""
    )
    stranger = build_rtx(packet(2), payload_type=97, sequence_number=1, ssrc=99)
    for other in (packet(2, ssrc=99), packet(2, kind=100), probe, stranger):
        assert publisher.on_rtp(other, 0.0) is None


def test_a_publisher_that_did_not_name_its_source_is_taken_by_payload_type() -> None:
    publisher = upstream(UNSAID)
    assert publisher.requests(0.0) == b""
    assert publisher.report(None, 10.0) == b""
    assert publisher.on_rtp(packet(1, ssrc=77), 0.0) is not None
    assert publisher.on_rtp(packet(2, ssrc=78), 0.0) is None


def test_key_frames_are_asked_for_until_one_comes() -> None:
    publisher = upstream()
    publisher.want_key_frame()
    assert parse_compound(publisher.requests(0.0)) == [PictureLoss(1, SSRC)]
    assert publisher.requests(0.1) == b""
    assert parse_compound(publisher.requests(0.6)) == [PictureLoss(1, SSRC)]
    publisher.on_rtp(packet(1, payload=KEY), 0.7)
    assert publisher.requests(2.0) == b""
    assert not publisher.restless


def test_what_is_given_up_needs_a_key_frame() -> None:
    publisher = upstream()
    publisher.on_rtp(packet(1), 0.0)
    publisher.on_rtp(packet(3), 0.0)
    asked = [parse_compound(publisher.requests(tick * 0.05)) for tick in range(60)]
    assert any(PictureLoss(1, SSRC) in one for one in asked)


def test_reports_come_at_their_time_with_the_limit_of_the_viewers() -> None:
    publisher = upstream()
    publisher.on_rtp(packet(1), 0.0)
    publisher.on_sender_report(SenderReport(SSRC, 1 << 32, 0, 0, 0), 0.1)
    assert publisher.report(1_000_000, REPORT_S / 2) == b""
    report, limit = parse_compound(publisher.report(1_000_000, REPORT_S))
    assert isinstance(report, ReceiverReport)
    assert report.reports[0].ssrc == SSRC
    assert report.reports[0].last_sr == 1 << 16
    assert isinstance(limit, Remb)
    assert limit.ssrcs == (SSRC,)
    assert publisher.report(None, REPORT_S) == b""
    assert len(parse_compound(publisher.report(None, 2 * REPORT_S))) == 1


@given(
    start=st.integers(0, 0xFFFF),
    stamp=st.integers(0, 0xFFFFFFFF),
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.5),
)
def test_order_and_distance_survive_loss_reorder_and_wrap(
    start: int, stamp: int, seed: int, loss: float
) -> None:
    network = random.Random(seed)
    publisher = upstream()
    order = [0, *sorted(range(1, 300), key=lambda index: index + network.uniform(0, 8))]
    for index in order:
        if index and network.random() < loss:
            continue
        arrival = publisher.on_rtp(
            packet((start + index) & 0xFFFF, (stamp + 3000 * index) & 0xFFFFFFFF), 0.0
        )
        if arrival is not None:
            assert arrival.number == 1001 + index
            assert arrival.timestamp == (5_000_000 + 3000 * index) & 0xFFFFFFFF
