"""The publisher's stream: from its numbers to the relay's, its gaps and its reports.

Pure: `now` is monotonic seconds. A relay number is unwrapped and goes on from
one publisher to the next, so that viewers see one stream.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from broker.rtc.keyframes import STARTS_KEY_FRAME
from broker.rtc.negotiate import NegotiatedVideo
from broker.rtc.reception import Reception
from broker.rtc.repair import KeyFrameRequests, NackGenerator
from broker.rtc.rtp import (
    VIDEO_CLOCK_HZ,
    ReceiverReport,
    SenderReport,
    extend_sequence,
    nack,
    parse_header,
    pli,
    receiver_report,
    remb,
    sdes,
    unwrap_rtx,
)

OUR_SSRC: Final = 1
"""SSRC in what we say as a receiver, which sends no media of its own."""

REPORT_S: Final = 0.5


class Position(Struct, frozen=True):
    """Where the relay's stream stands: its last number and timestamp, and when that was."""

    number: int
    timestamp: int
    at: float


class Arrival(Struct, frozen=True):
    """One packet in the relay's numbers."""

    number: int  # unwrapped
    timestamp: int
    marker: bool
    key: bool  # starts a key frame
    payload: bytes


class Upstream:
    """One publisher. `on_rtp` takes its packets; the rest says what to send to it."""

    def __init__(self, video: NegotiatedVideo, continues: Position, now: float) -> None:
        self.position = continues
        self.last_key: tuple[int, float] | None = None  # number and time of the last
        self._continues = continues
        self._video = video
        self._ssrc = video.ssrc  # None until the first packet, if the SDP did not say
        self._starts_key_frame = STARTS_KEY_FRAME[video.codec]
        self._nacks = NackGenerator()
        self._key_frames = KeyFrameRequests()
        self._reception = None if self._ssrc is None else Reception(self._ssrc)
        self._highest: int | None = None
        self._number_offset = 0
        self._timestamp_offset = 0
        self._report_at = now + REPORT_S

    def on_rtp(self, packet: bytes, now: float) -> Arrival | None:
        """Take a plain RTP packet. None for what is not of the stream, or came before.

        Raises RtpError.
        """
        header = parse_header(packet)
        video = self._video
        if header.payload_type == video.rtx_payload_type:
            if self._ssrc is None or video.rtx_ssrc not in (None, header.ssrc):
                return None
            original = unwrap_rtx(packet, payload_type=video.payload_type, ssrc=self._ssrc)
            if original is None:
                return None
            packet, header = original, parse_header(original)
        else:
            if self._ssrc is None and header.payload_type == video.payload_type:
                self._ssrc = header.ssrc
                self._reception = Reception(header.ssrc)
            if header.ssrc != self._ssrc or header.payload_type != video.payload_type:
                return None
            assert self._reception is not None  # made with the SSRC
            self._reception.on_packet(header.sequence_number, header.timestamp, now)
        if not self._nacks.on_packet(header.sequence_number, now):
            return None
        return self._place(
            header.sequence_number,
            header.timestamp,
            header.marker,
            packet[header.payload_start : header.payload_end],
            now,
        )

    def on_sender_report(self, report: SenderReport, now: float) -> None:
        """Note the publisher's sender report."""
        if self._reception is not None and report.ssrc == self._ssrc:
            self._reception.on_sender_report(report, now)

    def want_key_frame(self) -> None:
        """A viewer needs a key frame."""
        self._key_frames.want()

    @property
    def restless(self) -> bool:
        """Whether something is asked for that has not come yet."""
        return self._nacks.missing > 0 or self._key_frames.wanted

    @property
    def has_gaps(self) -> bool:
        """Whether packets are missing now."""
        return self._nacks.missing > 0

    def requests(self, now: float) -> bytes:
        """NACKs and key-frame requests that are due, as RTCP; b"" if none."""
        if self._ssrc is None:
            return b""
        wanted = self._nacks.due(now)
        if self._nacks.take_given_up():
            self._key_frames.want()
        output = nack(OUR_SSRC, self._ssrc, wanted) if wanted else b""
        if self._key_frames.due(now):
            output += pli(OUR_SSRC, self._ssrc)
        return output

    def report(self, limit_bps: int | None, now: float) -> bytes:
        """The receiver report with the viewers' limit, if it is due; else b""."""
        if now < self._report_at or self._reception is None or self._ssrc is None:
            return b""
        self._report_at = now + REPORT_S
        block = self._reception.report(now)
        blocks = () if block is None else (block,)
        output = receiver_report(ReceiverReport(OUR_SSRC, blocks)) + sdes(OUR_SSRC, "relay")
        if limit_bps is not None:
            output += remb(OUR_SSRC, limit_bps, (self._ssrc,))
        return output

    def _place(
        self, sequence_number: int, timestamp: int, marker: bool, payload: bytes, now: float
    ) -> Arrival | None:
        if self._highest is None:
            before = self._continues
            elapsed = int(max(0.0, now - before.at) * VIDEO_CLOCK_HZ)
            self._highest = sequence_number
            self._number_offset = before.number + 1 - sequence_number
            self._timestamp_offset = before.timestamp + elapsed - timestamp
        number = extend_sequence(sequence_number, self._highest)
        placed = number + self._number_offset
        if placed <= self._continues.number:
            return None  # from before its own first packet
        new_timestamp = (timestamp + self._timestamp_offset) & 0xFFFFFFFF
        if number >= self._highest:
            self._highest = number
            self.position = Position(placed, new_timestamp, now)
        key = self._starts_key_frame(payload)
        if key:
            self._key_frames.arrived()
            self._nacks.on_key_frame(sequence_number)
            if self.last_key is None or placed > self.last_key[0]:
                self.last_key = placed, now
        return Arrival(placed, new_timestamp, marker, key, payload)
