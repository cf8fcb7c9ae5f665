"""RTP and RTCP on the wire: header views, builders and parsers (RFC 3550, 4585, 8285).

Pure. Whatever a peer sent is hostile: a parser returns values or raises RtpError,
and nothing else. Sequence numbers are 16 bits and timestamps 32 bits wide; both wrap.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY: Final = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
"""Header extensions by URI, as they stand in `a=extmap`."""

PLAYOUT_DELAY_NONE: Final = b"\x00\x00\x00"
"""playout-delay min = max = 0: show each frame as soon as it is decoded."""

VIDEO_CLOCK_HZ: Final = 90_000
"""RTP clock of every video payload format (RFC 3551 §4.1)."""

NTP_EPOCH_S: Final = 2_208_988_800
"""Seconds from 1900 to 1970."""

_HEADER: Final = struct.Struct("!BBHII")
_RTCP_HEADER: Final = struct.Struct("!BBH")
_REPORT_BLOCK: Final = struct.Struct("!IIIIII")
_NACK_MAX: Final = 4096  # sequence numbers taken from one compound packet


class RtpError(Exception):
    """A packet that is no valid RTP or RTCP."""


# ── sequence numbers and time ────────────────────────────────────────────────


def extend_sequence(sequence_number: int, near: int) -> int:
    """The unwrapped number that ends in these 16 bits and is nearest to `near`.

    `near` is an unwrapped number; the result may be below zero at the start.
    """
    return near + ((sequence_number - near + 0x8000) & 0xFFFF) - 0x8000


def abs_send_time(now: float) -> bytes:
    """`now` (seconds, any clock) as the 24-bit 6.18 fixed-point header extension."""
    return (int(now * 262_144) & 0xFFFFFF).to_bytes(3, "big")


def ntp_time(unix_s: float) -> int:
    """Seconds since 1970 as a 64-bit NTP timestamp (32.32 fixed point)."""
    return int((unix_s + NTP_EPOCH_S) * 4_294_967_296) & 0xFFFFFFFFFFFFFFFF


def ntp_middle(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp, as in LSR (16.16 fixed point)."""
    return (ntp >> 16) & 0xFFFFFFFF


# ── RTP ──────────────────────────────────────────────────────────────────────


class RtpHeader(Struct, frozen=True):
    """What a packet's header says; the payload is `packet[payload_start:payload_end]`."""

    marker: bool
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    extension_start: int  # of the extension's data; 0 = no one-byte extension
    extension_end: int
    payload_start: int
    payload_end: int


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet on a muxed port is RTCP (RFC 5761 §4: types 192 to 223)."""
    return len(packet) > 1 and 192 <= packet[1] <= 223


def parse_header(packet: bytes) -> RtpHeader:
    """The header of one RTP packet. Raises RtpError."""
    size = len(packet)
    if size < 12:
        raise RtpError("shorter than an RTP header")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(packet)
    if first & 0xC0 != 0x80:
        raise RtpError("not RTP version 2")
    position = 12 + 4 * (first & 0x0F)
    extension_start = extension_end = 0
    if first & 0x10:
        if size < position + 4:
            raise RtpError("truncated extension header")
        profile, words = struct.unpack_from("!HH", packet, position)
        position += 4
        if profile == 0xBEDE:
            extension_start, extension_end = position, position + 4 * words
        position += 4 * words
    end = size
    if first & 0x20:
        padding = packet[-1]
        if padding == 0:
            raise RtpError("padding of no length")
        end -= padding
    if position > end:
        raise RtpError("header or padding is longer than the packet")
    return RtpHeader(
        marker=second >= 0x80,
        payload_type=second & 0x7F,
        sequence_number=sequence_number,
        timestamp=timestamp,
        ssrc=ssrc,
        extension_start=extension_start,
        extension_end=extension_end,
        payload_start=position,
        payload_end=end,
    )


def read_extension(packet: bytes, header: RtpHeader, extension_id: int) -> bytes | None:
    """The value of a one-byte header extension (RFC 8285 §4.2), if the packet has it."""
    position, end = header.extension_start, header.extension_end
    while position < end:
        first = packet[position]
        position += 1
        if first == 0:  # padding
            continue
        found, size = first >> 4, (first & 0x0F) + 1
        if found == 15 or position + size > end:  # 15 ends the list
            return None
        if found == extension_id:
            return packet[position : position + size]
        position += size
    return None


def build_extensions(extensions: Iterable[tuple[int, bytes]]) -> bytes:
    """A one-byte header extension block with these (id 1-14, 1-16 bytes) elements.

    Returns b"" when there are none; the packet then needs no extension bit.
    """
    body = b"".join(
        bytes(((number << 4) | (len(value) - 1),)) + value for number, value in extensions
    )
    if not body:
        return b""
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", 0xBEDE, len(body) // 4) + body


def build_packet(
    *,
    payload_type: int,
    sequence_number: int,
    timestamp: int,
    ssrc: int,
    payload: bytes,
    marker: bool = False,
    extensions: Iterable[tuple[int, bytes]] = (),
) -> bytes:
    """One RTP packet. Sequence number and timestamp are taken modulo their width."""
    block = build_extensions(extensions)
    return (
        _HEADER.pack(
            0x90 if block else 0x80,
            payload_type | (0x80 if marker else 0),
            sequence_number & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            ssrc,
        )
        + block
        + payload
    )


def build_rtx(packet: bytes, *, payload_type: int, sequence_number: int, ssrc: int) -> bytes:
    """A sent packet wrapped as a retransmission (RFC 4588 §4). Raises RtpError."""
    header = parse_header(packet)
    start = header.payload_start
    fixed = _HEADER.pack(
        packet[0] & ~0x20,  # padding is left behind
        payload_type | (packet[1] & 0x80),
        sequence_number & 0xFFFF,
        header.timestamp,
        ssrc,
    )
    original = packet[2:4]
    return fixed + packet[12:start] + original + packet[start : header.payload_end]


def unwrap_rtx(packet: bytes, *, payload_type: int, ssrc: int) -> bytes | None:
    """The original packet out of a retransmission; None for one that only probes.

    Raises RtpError.
    """
    header = parse_header(packet)
    start = header.payload_start
    if header.payload_end == start:
        return None
    if header.payload_end - start < 2:
        raise RtpError("a retransmission without its original sequence number")
    fixed = _HEADER.pack(
        packet[0] & ~0x20,
        payload_type | (packet[1] & 0x80),
        int.from_bytes(packet[start : start + 2], "big"),
        header.timestamp,
        ssrc,
    )
    return fixed + packet[12:start] + packet[start + 2 : header.payload_end]


# ── RTCP values ──────────────────────────────────────────────────────────────


class ReportBlock(Struct, frozen=True):
    """How one stream is received (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: int  # of 256, since the report before
    packets_lost: int  # since the start; below zero with duplicates
    highest_sequence: int  # extended, 32 bits
    jitter: int  # in RTP clock units
    last_sr: int  # middle 32 bits of the last sender report's NTP time; 0 = none
    delay_since_last_sr: int  # in 1/65536 s


class SenderReport(Struct, frozen=True):
    """What a sender sent until now, with the time in both clocks (RFC 3550 §6.4.1)."""

    ssrc: int
    ntp: int  # 64 bits
    rtp_timestamp: int
    packet_count: int
    octet_count: int
    reports: tuple[ReportBlock, ...] = ()


class ReceiverReport(Struct, frozen=True):
    """How a receiver fares with what is sent to it (RFC 3550 §6.4.2)."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


class Nack(Struct, frozen=True):
    """Generic NACK: these packets did not arrive (RFC 4585 §6.2.1)."""

    sender_ssrc: int
    media_ssrc: int
    sequence_numbers: tuple[int, ...]


class PictureLoss(Struct, frozen=True):
    """PLI: a key frame is needed (RFC 4585 §6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


class FullIntraRequest(Struct, frozen=True):
    """FIR: a key frame is needed (RFC 5104 §4.3.1)."""

    sender_ssrc: int
    media_ssrcs: tuple[int, ...]


class Remb(Struct, frozen=True):
    """Receiver Estimated Maximum Bitrate (draft-alvestrand-rmcat-remb-03)."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]


class Bye(Struct, frozen=True):
    """These sources send no more (RFC 3550 §6.6)."""

    ssrcs: tuple[int, ...]


Rtcp = SenderReport | ReceiverReport | Nack | PictureLoss | FullIntraRequest | Remb | Bye


# ── RTCP parsing ─────────────────────────────────────────────────────────────


def parse_compound(packet: bytes) -> list[Rtcp]:
    """Every RTCP packet in a datagram, in order; kinds not known here are left out.

    Reduced-size compounds (RFC 5506) are taken. Raises RtpError.
    """
    found: list[Rtcp] = []
    position = 0
    while position < len(packet):
        if len(packet) - position < 4:
            raise RtpError("truncated RTCP header")
        first, kind, words = _RTCP_HEADER.unpack_from(packet, position)
        end = position + 4 + 4 * words
        if first & 0xC0 != 0x80 or end > len(packet):
            raise RtpError("not RTCP version 2, or longer than its datagram")
        body_end = end
        if first & 0x20:
            body_end -= packet[end - 1]
            if packet[end - 1] == 0 or body_end < position + 4:
                raise RtpError("padding longer than its packet")
        try:
            parsed = _parse_one(kind, first & 0x1F, packet[position + 4 : body_end])
        except struct.error:
            raise RtpError(f"RTCP packet of type {kind} is too short") from None
        if parsed is not None:
            found.append(parsed)
        position = end
    return found


def _parse_one(kind: int, count: int, body: bytes) -> Rtcp | None:
    if kind == 200:
        ssrc, ntp, timestamp, packets, octets = struct.unpack_from("!IQIII", body)
        return SenderReport(ssrc, ntp, timestamp, packets, octets, _reports(body, 24, count))
    if kind == 201:
        return ReceiverReport(struct.unpack_from("!I", body)[0], _reports(body, 4, count))
    if kind == 203:
        return Bye(struct.unpack_from(f"!{count}I", body))
    if kind == 205 and count == 1:
        return _parse_nack(body)
    if kind == 206 and count == 1:
        return PictureLoss(*struct.unpack_from("!II", body))
    if kind == 206 and count == 4:
        sender, _ = struct.unpack_from("!II", body)
        entries = range(8, len(body) - 7, 8)
        return FullIntraRequest(
            sender, tuple(struct.unpack_from("!I", body, entry)[0] for entry in entries)
        )
    if kind == 206 and count == 15 and body[8:12] == b"REMB":
        sender, _, _, packed = struct.unpack_from("!IIII", body)
        ssrcs = struct.unpack_from(f"!{packed >> 24}I", body, 16)
        return Remb(sender, (packed & 0x3FFFF) << ((packed >> 18) & 0x3F), ssrcs)
    return None


def _reports(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for position in range(start, start + 24 * count, 24):
        ssrc, lost, highest, jitter, last_sr, delay = _REPORT_BLOCK.unpack_from(body, position)
        total = lost & 0xFFFFFF
        if total & 0x800000:
            total -= 0x1000000
        blocks.append(ReportBlock(ssrc, lost >> 24, total, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_nack(body: bytes) -> Nack:
    sender, media = struct.unpack_from("!II", body)
    wanted: list[int] = []
    for position in range(8, len(body) - 3, 4):
        first, following = struct.unpack_from("!HH", body, position)
        wanted.append(first)
        if following:
            wanted.extend((first + 1 + bit) & 0xFFFF for bit in range(16) if following >> bit & 1)
        if len(wanted) > _NACK_MAX:
            raise RtpError("a NACK for more packets than anybody keeps")
    return Nack(sender, media, tuple(wanted))


# ── RTCP building ────────────────────────────────────────────────────────────


def sender_report(report: SenderReport) -> bytes:
    """SR (RFC 3550 §6.4.1). Counters are taken modulo 2^32."""
    body = struct.pack(
        "!IQIII",
        report.ssrc,
        report.ntp,
        report.rtp_timestamp & 0xFFFFFFFF,
        report.packet_count & 0xFFFFFFFF,
        report.octet_count & 0xFFFFFFFF,
    )
    return _rtcp(len(report.reports), 200, body + _build_reports(report.reports))


def receiver_report(report: ReceiverReport) -> bytes:
    """RR (RFC 3550 §6.4.2)."""
    body = struct.pack("!I", report.ssrc) + _build_reports(report.reports)
    return _rtcp(len(report.reports), 201, body)


def sdes(ssrc: int, cname: str) -> bytes:
    """SDES with a CNAME, which makes a compound complete (RFC 3550 §6.5.1)."""
    name = cname.encode()[:255]
    chunk = struct.pack("!IBB", ssrc, 1, len(name)) + name + b"\x00"
    return _rtcp(1, 202, chunk + bytes(-len(chunk) % 4))


def nack(sender_ssrc: int, media_ssrc: int, sequence_numbers: Sequence[int]) -> bytes:
    """Generic NACK (RFC 4585 §6.2.1) for these sequence numbers, in ascending order."""
    body = struct.pack("!II", sender_ssrc, media_ssrc)
    index = 0
    while index < len(sequence_numbers):
        first, following = sequence_numbers[index], 0
        index += 1
        while index < len(sequence_numbers):
            offset = (sequence_numbers[index] - first) & 0xFFFF
            if not 1 <= offset <= 16:
                break
            following |= 1 << (offset - 1)
            index += 1
        body += struct.pack("!HH", first, following)
    return _rtcp(1, 205, body)


def pli(sender_ssrc: int, media_ssrc: int) -> bytes:
    """PLI (RFC 4585 §6.3.1)."""
    return _rtcp(1, 206, struct.pack("!II", sender_ssrc, media_ssrc))


def remb(sender_ssrc: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    """REMB: the sender may use this many bits a second for these streams together."""
    exponent = max(0, bitrate_bps.bit_length() - 18)
    packed = len(ssrcs) << 24 | exponent << 18 | bitrate_bps >> exponent
    body = struct.pack(f"!II4sI{len(ssrcs)}I", sender_ssrc, 0, b"REMB", packed, *ssrcs)
    return _rtcp(15, 206, body)


def _build_reports(reports: Iterable[ReportBlock]) -> bytes:
    return b"".join(
        _REPORT_BLOCK.pack(
            report.ssrc,
            report.fraction_lost << 24 | (report.packets_lost & 0xFFFFFF),
            report.highest_sequence & 0xFFFFFFFF,
            report.jitter & 0xFFFFFFFF,
            report.last_sr,
            report.delay_since_last_sr & 0xFFFFFFFF,
        )
        for report in reports
    )


def _rtcp(count: int, kind: int, body: bytes) -> bytes:
    return _RTCP_HEADER.pack(0x80 | count, kind, len(body) // 4) + body
