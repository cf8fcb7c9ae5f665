"""Loss and jitter as a receiver report tells them."""

from __future__ import annotations

from broker.rtc.reception import Reception
from broker.rtc.rtp import ReportBlock, SenderReport, ntp_middle


def block(reception: Reception, now: float) -> ReportBlock:
    report = reception.report(now)
    assert report is not None
    return report


def test_nothing_is_reported_before_anything_came() -> None:
    assert Reception(1).report(0.0) is None


def test_loss_is_counted_since_the_report_before_and_since_the_start() -> None:
    reception = Reception(1)
    for number in range(65_500, 65_600):
        if number % 4:
            reception.on_packet(number & 0xFFFF, 0, 0.0)
    first = block(reception, 0.0)
    assert first.packets_lost == 24  # the first that came is counted from
    assert first.fraction_lost == (24 << 8) // 99
    assert first.highest_sequence == 65_599
    for number in range(65_600, 65_610):
        reception.on_packet(number & 0xFFFF, 0, 0.0)
    second = block(reception, 0.0)
    assert second.packets_lost == 24
    assert second.fraction_lost == 0


def test_duplicates_make_the_loss_negative_and_the_fraction_zero() -> None:
    reception = Reception(1)
    for _ in range(3):
        reception.on_packet(9, 0, 0.0)
    report = block(reception, 0.0)
    assert (report.packets_lost, report.fraction_lost) == (-2, 0)


def test_an_even_stream_has_no_jitter_even_where_its_timestamp_wraps() -> None:
    reception = Reception(1, clock_hz=1000)
    for index in range(100):
        reception.on_packet(index, (2**32 - 50 + index * 10) & 0xFFFFFFFF, index * 0.01)
    assert block(reception, 1.0).jitter == 0


def test_jitter_grows_with_uneven_arrivals() -> None:
    reception = Reception(1, clock_hz=1000)
    for index in range(200):
        reception.on_packet(index, index * 10, index * 0.01 + (index % 2) * 0.005)
    assert 4 <= block(reception, 1.0).jitter <= 5


def test_the_sender_can_measure_the_round_trip() -> None:
    reception = Reception(1)
    reception.on_packet(1, 0, 0.0)
    assert block(reception, 0.5).last_sr == 0
    reception.on_sender_report(SenderReport(1, 0x1122334455667788, 0, 0, 0), 1.0)
    report = block(reception, 1.25)
    assert report.last_sr == ntp_middle(0x1122334455667788) == 0x33445566
    assert report.delay_since_last_sr == 65_536 // 4
