"""H.264 access units to RTP payloads and back (RFC 6184, packetization-mode 1).

Pure. An access unit is in Annex B form: NAL units, each after a start code.
Small units that follow each other share a packet (STAP-A); a unit too large for
one is cut into fragments (FU-A) of equal size, only the last may be smaller, so
that they can leave the machine in one segmented send.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

START_CODE: Final = b"\x00\x00\x00\x01"

MAX_UNIT_BYTES: Final = 16 * 1024 * 1024
"""Largest access unit that `depacketise` puts together."""

_SHORT_CODE: Final = b"\x00\x00\x01"
_IDR: Final = 5
_SPS: Final = 7
_STAP_A: Final = 24
_FU_A: Final = 28
_LAST_SINGLE: Final = 23  # types 1 to 23 stand for themselves in a payload
_REF_BITS: Final = 0xE0  # forbidden_zero_bit and nal_ref_idc
_TYPE_BITS: Final = 0x1F


class PayloadError(Exception):
    """A payload, or a row of payloads, that makes no access unit."""


def split_units(access_unit: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B access unit, without their start codes."""
    position = access_unit.find(_SHORT_CODE)
    while position >= 0:
        begin = position + 3
        position = access_unit.find(_SHORT_CODE, begin)
        end = len(access_unit) if position < 0 else position
        # Zeros before a start code belong to it or are padding; a unit ends in a 1 bit.
        unit = access_unit[begin:end].rstrip(b"\x00")
        if unit:
            yield unit


def packetise(access_unit: bytes, max_payload_bytes: int) -> list[bytes]:
    """The RTP payloads of one Annex B access unit, none larger than this, in order.

    Raises ValueError for a limit that leaves no room for a fragment.
    """
    if max_payload_bytes < 3:
        raise ValueError("a fragment needs three bytes")
    payloads: list[bytes] = []
    together: list[bytes] = []
    size = 1
    for unit in split_units(access_unit):
        if size + 2 + len(unit) > max_payload_bytes:
            if together:
                payloads.append(_aggregate(together))
                together, size = [], 1
            if len(unit) > max_payload_bytes:
                payloads.extend(_fragments(unit, max_payload_bytes))
                continue
        together.append(unit)
        size += 2 + len(unit)
    if together:
        payloads.append(_aggregate(together))
    return payloads


def depacketise(payloads: Sequence[bytes]) -> bytes:
    """The Annex B access unit that these payloads bring, all of it, in order.

    Raises PayloadError for what is malformed, incomplete, too large or not of
    packetization-mode 1.
    """
    output = bytearray()
    fragment: int | None = None  # the unit's first byte, while one is being put together
    for payload in payloads:
        if not payload:
            raise PayloadError("an empty payload")
        kind = payload[0] & _TYPE_BITS
        if fragment is not None and kind != _FU_A:
            raise PayloadError("a fragmented unit is not finished")
        if 1 <= kind <= _LAST_SINGLE:
            output += START_CODE + payload
        elif kind == _STAP_A:
            for unit in _members(payload):
                output += START_CODE + unit
        elif kind == _FU_A:
            fragment = _append_fragment(output, payload, fragment)
        else:
            raise PayloadError(f"NAL unit type {kind} is not of packetization-mode 1")
        if len(output) > MAX_UNIT_BYTES:
            raise PayloadError("the access unit is too large")
    if fragment is not None:
        raise PayloadError("a fragmented unit is not finished")
    if not output:
        raise PayloadError("no payloads")
    return bytes(output)


def is_key_frame(access_unit: bytes) -> bool:
    """Whether a decoder can start here: a parameter set and an IDR picture."""
    kinds = {unit[0] & _TYPE_BITS for unit in split_units(access_unit)}
    return {_SPS, _IDR} <= kinds


def _aggregate(units: list[bytes]) -> bytes:
    """STAP-A (§5.7.1); one unit alone is its own packet (§5.6)."""
    if len(units) == 1:
        return units[0]
    importance = max(unit[0] & 0x60 for unit in units)
    return bytes((importance | _STAP_A,)) + b"".join(
        len(unit).to_bytes(2, "big") + unit for unit in units
    )


def _fragments(unit: bytes, max_payload_bytes: int) -> Iterator[bytes]:
    """FU-A (§5.8): two bytes of header, then an equal share of the unit."""
    body = len(unit) - 1
    count = -(-body // (max_payload_bytes - 2))
    share = -(-body // count)
    indicator = unit[0] & _REF_BITS | _FU_A
    kind = unit[0] & _TYPE_BITS
    for begin in range(1, len(unit), share):
        start = 0x80 if begin == 1 else 0
        end = 0x40 if begin + share >= len(unit) else 0
        yield bytes((indicator, start | end | kind)) + unit[begin : begin + share]


def _members(payload: bytes) -> Iterator[bytes]:
    """The units in a STAP-A. Raises PayloadError."""
    position = 1
    if len(payload) < 4:
        raise PayloadError("an aggregation packet without a unit")
    while position < len(payload):
        size = int.from_bytes(payload[position : position + 2], "big")
        begin = position + 2
        position = begin + size
        if size == 0 or position > len(payload):
            raise PayloadError("an aggregated unit is empty or longer than its packet")
        if not 1 <= payload[begin] & _TYPE_BITS <= _LAST_SINGLE:
            raise PayloadError("an aggregation packet holds no plain unit")
        yield payload[begin:position]


def _append_fragment(output: bytearray, payload: bytes, fragment: int | None) -> int | None:
    """Add one FU-A to the output; the unit's first byte if it goes on. Raises PayloadError."""
    if len(payload) < 3:
        raise PayloadError("a fragment without content")
    header = payload[1]
    first = payload[0] & _REF_BITS | header & _TYPE_BITS
    start, end = header & 0x80 != 0, header & 0x40 != 0
    if not 1 <= header & _TYPE_BITS <= _LAST_SINGLE:
        raise PayloadError("a fragment of no plain unit")
    if start:
        if fragment is not None:
            raise PayloadError("a fragmented unit is not finished")
        if end:
            raise PayloadError("a fragment that is a whole unit")  # §5.8: MUST NOT
        output += START_CODE
        output.append(first)
    elif fragment is None:
        raise PayloadError("a fragment before its start")
    elif fragment != first:
        raise PayloadError("a fragment of another unit")
    output += payload[2:]
    return None if end else first
