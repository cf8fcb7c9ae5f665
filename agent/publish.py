"""Encoded frames onto the network: RTP, pacing, repair and reports of the one video stream.

The shell of the pure parts in `broker.rtc`. It owns two timers: one for packets
that the pacer holds back, one for sender reports.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from agent.video import EncodedFrame
from broker.rtc.bandwidth import Bandwidth
from broker.rtc.pacing import Pacer
from broker.rtc.payload.h264 import packetise
from broker.rtc.peer import Peer
from broker.rtc.repair import History, ResendBudget
from broker.rtc.rtp import (
    VIDEO_CLOCK_HZ,
    FullIntraRequest,
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    RtpError,
    SenderReport,
    abs_send_time,
    build_packet,
    build_rtx,
    ntp_middle,
    ntp_time,
    parse_compound,
    sdes,
    sender_report,
)

MAX_PAYLOAD_BYTES: Final = 1140
"""With RTP header, extensions, RTX number and SRTP tag this stays within 1,200
bytes of UDP, on the viewer's side of the relay too."""

SENDER_REPORT_S: Final = 1.0
REPORTS_KEPT: Final = 16
"""Sender reports whose time of leaving is known, to measure the round trip."""

WAITING_MAX_BYTES: Final = 4 * 1024 * 1024
"""If more than this waits, all of it is dropped, and what comes until the next key frame."""

CNAME: Final = "ayuda"


class _Waiting(Struct, frozen=True):
    """A packet that has its place in the stream and waits for its time."""

    sequence_number: int
    timestamp: int
    marker: bool
    payload: bytes


class Publisher:
    """Sends one stream to one peer, between `resume` and `pause`.

    `on_key_frame_wanted` is called when a viewer must be able to begin to decode,
    `on_rate` with the bits a second to encode with, at `resume` and when it
    changes. The peer must have agreed to receive video: else ValueError.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        on_key_frame_wanted: Callable[[], None],
        on_rate: Callable[[int], None],
    ) -> None:
        video = peer.video
        if video is None or video.ssrc is None:
            raise ValueError("the peer takes no video")
        now = time.monotonic()
        self._peer = peer
        self._video = video
        self._ssrc = video.ssrc
        self._on_key_frame_wanted = on_key_frame_wanted
        self._on_rate = on_rate
        self._bandwidth = Bandwidth(now)
        self._pacer = Pacer(self._bandwidth.target_bps(now), now)
        self._history = History()
        self._resends = ResendBudget(now)
        self._waiting: deque[_Waiting] = deque()
        self._sequence_number = secrets.randbelow(0x7FFF)
        self._rtx_sequence_number = secrets.randbelow(0x7FFF)
        self._timestamp_offset = secrets.randbits(32)
        self._packets = 0
        self._octets = 0
        self._reports_sent: dict[int, float] = {}  # middle of the NTP time -> monotonic time
        self._sending = False
        self._broken = False  # frames were dropped: only a key frame helps
        self._pump_timer: asyncio.TimerHandle | None = None
        self._report_timer: asyncio.TimerHandle | None = None

    @property
    def rtt_s(self) -> float | None:
        """The round trip to the peer, smoothed; None until it was measured."""
        return self._bandwidth.rtt_s

    # ── frames ───────────────────────────────────────────────────────────────

    def resume(self) -> None:
        """Send from now on."""
        if not self._sending:
            self._sending = True
            self._on_rate(self._bandwidth.target_bps(time.monotonic()))
            self._report()

    def pause(self) -> None:
        """Send nothing more; what waits is dropped."""
        self._sending = False
        self._drop_waiting()
        for timer in (self._pump_timer, self._report_timer):
            if timer is not None:
                timer.cancel()
        self._pump_timer = self._report_timer = None

    async def close(self) -> None:
        """End for good; safe to call again."""
        self.pause()
        self._history.clear()

    def send(self, frame: EncodedFrame) -> float:
        """Send a frame as soon as the pacer lets it; seconds until there is room for another."""
        if not self._sending:
            return 0.0
        now = time.monotonic()
        if self._pacer.waiting_bytes > WAITING_MAX_BYTES:
            self._drop_waiting()
            self._broken = True
        if self._broken and not frame.key:
            self._on_key_frame_wanted()
            return 0.0
        self._broken = False
        timestamp = self._timestamp(frame.captured_at)
        payloads = packetise(frame.data, MAX_PAYLOAD_BYTES)
        for index, payload in enumerate(payloads, 1):
            self._sequence_number = (self._sequence_number + 1) & 0xFFFF
            last = index == len(payloads)
            self._waiting.append(_Waiting(self._sequence_number, timestamp, last, payload))
        self._pacer.queued(sum(map(len, payloads)), now)
        if self._pump_timer is None:
            self._pump()
        return self._pacer.behind_s(now)

    def _pump(self) -> None:
        """Send what may leave now; come back for the rest. Hot: about 12 µs a packet."""
        self._pump_timer = None
        now = time.monotonic()
        with self._peer.burst():
            while self._waiting:
                delay_s = self._pacer.delay_s(now)
                if delay_s > 0:
                    loop = asyncio.get_running_loop()
                    self._pump_timer = loop.call_later(delay_s, self._pump)
                    return
                self._send_one(self._waiting.popleft(), now)

    def _send_one(self, waiting: _Waiting, now: float) -> None:
        timed = self._video.abs_send_time_id
        packet = build_packet(
            payload_type=self._video.payload_type,
            sequence_number=waiting.sequence_number,
            timestamp=waiting.timestamp,
            ssrc=self._ssrc,
            payload=waiting.payload,
            marker=waiting.marker,
            extensions=() if timed is None else ((timed, abs_send_time(now)),),
        )
        self._peer.send_rtp(packet)
        self._history.add(waiting.sequence_number, packet, now)
        self._pacer.left(len(waiting.payload), now)
        self._packets += 1
        self._octets += len(waiting.payload)

    def _drop_waiting(self) -> None:
        self._pacer.dropped()
        if self._waiting:
            # The receiver must not look for what never left.
            self._sequence_number = (self._waiting[0].sequence_number - 1) & 0xFFFF
        self._waiting.clear()

    # ── what the receiver says ───────────────────────────────────────────────

    def on_rtcp(self, peer: Peer, packet: bytes) -> None:
        """A plain compound RTCP packet from the peer."""
        if peer is not self._peer or not self._sending:
            return
        try:
            reports = parse_compound(packet)
        except RtpError:
            return
        now = time.monotonic()
        key_frame_wanted = False
        for report in reports:
            if isinstance(report, Nack):
                if report.media_ssrc == self._ssrc:
                    self._resend(report.sequence_numbers, now)
            elif isinstance(report, PictureLoss):
                key_frame_wanted |= report.media_ssrc == self._ssrc
            elif isinstance(report, FullIntraRequest):
                key_frame_wanted |= self._ssrc in report.media_ssrcs
            elif isinstance(report, ReceiverReport | SenderReport):
                self._hear(report, now)
            elif isinstance(report, Remb) and self._ssrc in report.ssrcs:
                self._bandwidth.on_limit(report.bitrate_bps, now)
        self._follow_rate(now)
        if key_frame_wanted:
            self._on_key_frame_wanted()

    def _hear(self, report: ReceiverReport | SenderReport, now: float) -> None:
        for block in report.reports:
            if block.ssrc != self._ssrc:
                continue
            rtt_s = None
            sent_at = self._reports_sent.get(block.last_sr)
            if sent_at is not None:
                rtt_s = max(0.0, now - sent_at - block.delay_since_last_sr / 65_536)
            self._bandwidth.on_report(block, rtt_s, now)

    def _follow_rate(self, now: float) -> None:
        target_bps = self._bandwidth.target_bps(now)
        if target_bps != self._pacer.target_bps:
            self._pacer.set_target(target_bps, now)
            self._on_rate(target_bps)

    def _resend(self, sequence_numbers: tuple[int, ...], now: float) -> None:
        video = self._video
        for sequence_number in sequence_numbers:
            packet = self._history.get(sequence_number)
            if packet is None:
                continue
            if not self._resends.take(len(packet), now):
                return
            if video.rtx_payload_type is not None and video.rtx_ssrc is not None:
                self._rtx_sequence_number = (self._rtx_sequence_number + 1) & 0xFFFF
                packet = build_rtx(
                    packet,
                    payload_type=video.rtx_payload_type,
                    sequence_number=self._rtx_sequence_number,
                    ssrc=video.rtx_ssrc,
                )
            self._peer.send_rtp(packet)
            self._pacer.overtaken(len(packet), now)

    # ── what we say ──────────────────────────────────────────────────────────

    def _report(self) -> None:
        """A sender report now, and each second from now on."""
        loop = asyncio.get_running_loop()
        self._report_timer = loop.call_later(SENDER_REPORT_S, self._report)
        now = time.monotonic()
        ntp = ntp_time(time.time())
        report = SenderReport(self._ssrc, ntp, self._timestamp(now), self._packets, self._octets)
        self._reports_sent[ntp_middle(ntp)] = now
        while len(self._reports_sent) > REPORTS_KEPT:
            del self._reports_sent[next(iter(self._reports_sent))]
        self._peer.send_rtcp(sender_report(report) + sdes(self._ssrc, CNAME))

    def _timestamp(self, at: float) -> int:
        """The RTP timestamp of a moment in monotonic seconds."""
        return int(at * VIDEO_CLOCK_HZ) + self._timestamp_offset & 0xFFFFFFFF
