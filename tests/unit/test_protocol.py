"""The published language: what is accepted, what is refused, and how."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import protocol as p

UNIONS = [
    p.FromAgent,
    p.FromViewer,
    p.ToAgent,
    p.ToViewer,
    p.ToConsole,
    p.ChatFromPeer,
    p.ChatToPeer,
]
FACTS = {"host": "h", "user": "u", "system": "s", "display": "d", "agent": "a"}
HELLO = {
    "type": "hello",
    "version": 1,
    "product": "ayuda 0.1",
    "device_key": "AAAA",
    "proof": "AAAA",
    "facts": FACTS,
}
from_agent: p.Decoder[object] = p.Decoder(p.FromAgent)


def test_a_message_comes_back_as_it_was_sent() -> None:
    message = p.Decide("ana", True)
    assert from_agent.decode(p.encode(message)) == message
    assert json.loads(p.encode(message)) == {
        "type": "decide",
        "participant": "ana",
        "allowed": True,
    }


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"type":"decide"}',
        b'{"type":"decide","participant":"a","allowed":1}',
        b'{"type":"decide","participant":"","allowed":true}',
        b'{"type":"decide","participant":"a","allowed":true,"more":1}',
        b'{"type":"unheard-of"}',
        b'{"type":"offer","sdp":""}',
        b"\xff\xfe",
        b"[" * 100_000,
        json.dumps(HELLO | {"language": "fr"}).encode(),
        json.dumps(HELLO | {"device_key": "not base 64!"}).encode(),
        json.dumps(HELLO | {"facts": FACTS | {"host": "x" * 201}}).encode(),
    ],
)
def test_anything_else_is_refused_with_a_reason(frame: bytes) -> None:
    with pytest.raises(p.ProtocolError):
        from_agent.decode(frame)


def test_a_frame_that_is_too_large_is_not_even_parsed() -> None:
    frame = b'{"type":"end"}' + b" " * p.SIGNALLING_MAX_BYTES
    with pytest.raises(p.ProtocolError, match="larger"):
        from_agent.decode(frame)


def test_a_hello_of_any_version_tells_its_version() -> None:
    assert p.hello_version('{"type":"hello","version":99,"whatever":[1]}') == 99
    for frame in ('{"type":"end"}', '{"version":1}', '{"type":"hello","version":"1"}', "x"):
        with pytest.raises(p.ProtocolError):
            p.hello_version(frame)


@given(st.binary(max_size=300) | st.text(max_size=300), st.sampled_from(range(len(UNIONS))))
def test_no_bytes_make_a_decoder_fail_otherwise(frame: bytes | str, which: int) -> None:
    decoder: p.Decoder[object] = p.Decoder(UNIONS[which])
    for parse in (decoder.decode, p.hello_version):
        with contextlib.suppress(p.ProtocolError):
            parse(frame)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
names = st.sampled_from(["hello", "say", "offer", "decide", "chat", "session", "code", "ask"])


@given(names, st.dictionaries(st.text(max_size=12), json_values, max_size=5))
def test_no_object_makes_a_decoder_fail_otherwise(name: str, fields: dict[str, object]) -> None:
    frame = json.dumps(fields | {"type": name})
    for union in UNIONS:
        with contextlib.suppress(p.ProtocolError):
            p.Decoder(union).decode(frame)
