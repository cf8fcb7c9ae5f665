"""Which SCTP packets may reach aiortc: its parser trusts its peer, and we do not.

Pure. aiortc 1.16 loops without end on a parameter of length zero, expands SACK
gap blocks without a limit, and keeps whatever arrives. A packet that no sane
peer sends raises SctpRefused, which ends that peer (RFC 9260 names).
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import Final

PACKET_MAX: Final = 1500
CHUNKS_MAX: Final = 64
FORWARDED_STREAMS_MAX: Final = 64
WINDOW_MAX: Final = 8192
"""Furthest that a gap block may reach past the cumulative TSN, in chunks:
more than the 1 MB that a sender of ours may have in flight."""

DATA, INIT, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK, ABORT = range(7)
ERROR: Final = 9
RECONFIG: Final = 130
FORWARD_TSN: Final = 192

_FIXED_PART: Final = {INIT: 16, INIT_ACK: 16}
_WITH_PARAMETERS: Final = (INIT, INIT_ACK, HEARTBEAT, HEARTBEAT_ACK, ABORT, ERROR, RECONFIG)


class SctpRefused(Exception):
    """An SCTP packet that no sane peer sends."""


def check_packet(packet: bytes, streams: Collection[int]) -> tuple[int, ...]:
    """The chunk types in a packet whose DATA is for one of `streams`.

    Raises SctpRefused.
    """
    if not 16 <= len(packet) <= PACKET_MAX:
        raise SctpRefused("a packet of impossible size")
    kinds: list[int] = []
    position = 12
    while position + 4 <= len(packet):
        kind, _, size = struct.unpack_from("!BBH", packet, position)
        if size < 4 or position + size > len(packet):
            raise SctpRefused("a chunk longer than its packet")
        if len(kinds) >= CHUNKS_MAX:
            raise SctpRefused("too many chunks in a packet")
        try:
            _check_chunk(kind, packet[position + 4 : position + size], streams)
        except struct.error:
            raise SctpRefused(f"a chunk of type {kind} is too short") from None
        kinds.append(kind)
        position += size + (-size % 4)
    if INIT in kinds and len(kinds) > 1:
        raise SctpRefused("an INIT is not alone in its packet")
    return tuple(kinds)


def _check_chunk(kind: int, body: bytes, streams: Collection[int]) -> None:
    if kind == DATA:
        _, stream, _, _ = struct.unpack_from("!IHHI", body)
        if stream not in streams:
            raise SctpRefused(f"data on stream {stream}, which nobody agreed on")
        if len(body) == 12:
            raise SctpRefused("data of no length")  # RFC 9260 §3.3.1
    elif kind == SACK:
        _check_sack(body)
    elif kind == FORWARD_TSN:
        if len(body) < 4 or len(body) % 4 or len(body) > 4 + 4 * FORWARDED_STREAMS_MAX:
            raise SctpRefused("a FORWARD TSN of impossible size")
        for position in range(4, len(body), 4):
            if struct.unpack_from("!H", body, position)[0] not in streams:
                raise SctpRefused("a FORWARD TSN for a stream that nobody agreed on")
    elif kind in _WITH_PARAMETERS:
        start = _FIXED_PART.get(kind, 0)
        if len(body) < start:
            raise SctpRefused("a truncated INIT")
        _check_parameters(body, start, kind)


def _check_sack(body: bytes) -> None:
    _, _, gaps, duplicates = struct.unpack_from("!IIHH", body)
    if len(body) < 12 + 4 * gaps + 4 * duplicates:
        raise SctpRefused("a SACK shorter than it says")
    last = 0
    for position in range(12, 12 + 4 * gaps, 4):
        start, end = struct.unpack_from("!HH", body, position)
        if not last < start <= end <= WINDOW_MAX:
            raise SctpRefused("a SACK for chunks that were not sent")
        last = end


def _check_parameters(body: bytes, start: int, kind: int) -> None:
    position = start
    while position + 4 <= len(body):
        what, size = struct.unpack_from("!HH", body, position)
        if size < 4 or position + size > len(body):
            raise SctpRefused("a parameter longer than its chunk")
        if kind == RECONFIG and what not in (13, 16):
            # 13 and 16 reset streams and answer that; we ask for nothing else.
            raise SctpRefused("a reconfiguration that nobody agreed on")
        position += size + (-size % 4)
