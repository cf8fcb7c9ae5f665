"""Whatever a peer sends as H.264 makes an access unit or a PayloadError, nothing else."""

from __future__ import annotations

import contextlib
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc.payload.h264 import PayloadError, depacketise, is_key_frame, packetise, split_units

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))

# Bytes that lead into every branch more often than chance does.
heads = st.sampled_from([b"\x78", b"\x7c\x85", b"\x7c\x05", b"\x7c\x45", b"\x41", b"\x78\x00\x02"])
payloads = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.builds(lambda head, rest: head + rest, heads, st.binary(max_size=40)),
    ),
    max_size=6,
)


@settings(max_examples=500 * SOAK, deadline=None)
@given(payloads)
def test_hostile_payloads_raise_nothing_but_payload_errors(received: list[bytes]) -> None:
    with contextlib.suppress(PayloadError):
        unit = depacketise(received)
        is_key_frame(unit)


@settings(max_examples=500 * SOAK, deadline=None)
@given(st.binary(max_size=400), st.integers(3, 60))
def test_any_bytes_packetise_within_the_limit(data: bytes, limit: int) -> None:
    made = packetise(data, limit)
    assert all(0 < len(payload) <= limit for payload in made)
    assert bool(made) == any(True for _ in split_units(data))
