"""Which SCTP packets reach aiortc."""

from __future__ import annotations

import struct

import pytest

from broker.rtc.sctp_guard import (
    CHUNKS_MAX,
    DATA,
    FORWARD_TSN,
    FORWARDED_STREAMS_MAX,
    INIT,
    PACKET_MAX,
    RECONFIG,
    SACK,
    WINDOW_MAX,
    SctpRefused,
    check_packet,
)

STREAMS = {0, 2}


def packet(*chunks: bytes) -> bytes:
    return bytes(12) + b"".join(chunk + bytes(-len(chunk) % 4) for chunk in chunks)


def chunk(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body


def data(stream: int = 0, payload: bytes = b"x") -> bytes:
    return chunk(DATA, struct.pack("!IHHI", 1, stream, 0, 51) + payload, 3)


def sack(*gaps: tuple[int, int], says: int | None = None) -> bytes:
    count = len(gaps) if says is None else says
    body = struct.pack("!IIHH", 1, 1, count, 0)
    return chunk(SACK, body + b"".join(struct.pack("!HH", *gap) for gap in gaps))


def parameter(kind: int, size: int, body: bytes = b"") -> bytes:
    return struct.pack("!HH", kind, size) + body


INIT_BODY = struct.pack("!IIHHI", 1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("chunks", "kinds"),
    [
        ([data()], (DATA,)),
        ([data(2), sack((1, 1), (3, 9))], (DATA, SACK)),
        ([chunk(INIT, INIT_BODY + parameter(0xC000, 4))], (INIT,)),
        ([chunk(4, parameter(1, 8, b"beat"))], (4,)),
        ([chunk(FORWARD_TSN, struct.pack("!IHH", 9, 2, 1))], (FORWARD_TSN,)),
        ([chunk(RECONFIG, parameter(13, 18, bytes(14)))], (RECONFIG,)),
        ([chunk(200, b"unknown")], (200,)),
        ([chunk(11)], (11,)),
    ],
)
def test_what_a_sane_peer_sends_passes(chunks: list[bytes], kinds: tuple[int, ...]) -> None:
    assert check_packet(packet(*chunks), STREAMS) == kinds


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        bytes(15),
        packet(data(payload=bytes(PACKET_MAX))),
        packet(b"\x00\x00\x00\x03"),  # a chunk shorter than its header
        packet(b"\x00\x00\x00\xff"),
        packet(data(stream=1)),  # a stream that nobody agreed on
        packet(data(payload=b"")),
        packet(chunk(DATA, b"short")),
        packet(*[chunk(11)] * (CHUNKS_MAX + 1)),
        packet(chunk(INIT, INIT_BODY), data()),
        packet(chunk(INIT, INIT_BODY[:-1])),
        packet(chunk(INIT, INIT_BODY + parameter(1, 0))),  # would loop without end
        packet(chunk(INIT, INIT_BODY + parameter(1, 90))),
        packet(chunk(4, parameter(1, 3))),
        packet(chunk(6, parameter(1, 0, b"abcd"))),
        packet(sack((1, 0xFFFF))),  # would be expanded number by number
        packet(sack((5, 4))),
        packet(sack((1, 3), (2, 4))),
        packet(sack((0, 1))),
        packet(sack((1, WINDOW_MAX + 1))),
        packet(sack((1, 1), says=9)),
        packet(chunk(SACK, b"x")),
        packet(chunk(FORWARD_TSN, b"x")),
        packet(chunk(FORWARD_TSN, bytes(4) + bytes(4 * FORWARDED_STREAMS_MAX + 4))),
        packet(chunk(FORWARD_TSN, struct.pack("!IHH", 9, 1, 1))),
        packet(chunk(RECONFIG, parameter(17, 12, bytes(8)))),
        packet(chunk(RECONFIG, parameter(13, 0, bytes(8)))),
    ],
)
def test_what_no_sane_peer_sends_is_refused(bad: bytes) -> None:
    with pytest.raises(SctpRefused):
        check_packet(bad, STREAMS)
