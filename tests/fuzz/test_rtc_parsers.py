"""Every parser of the engine: hostile bytes give a value or the parser's own error."""

from __future__ import annotations

import contextlib
import os
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.rtc import ice, negotiate, rtp, sctp_guard, sdp
from broker.rtc.dtls import Fingerprint
from broker.rtc.keyframes import STARTS_KEY_FRAME
from tests.unit.rtc.offers import CHROMIUM, WITH_AUDIO

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
many = settings(max_examples=300 * SOAK, deadline=None)


@st.composite
def mutated(draw: st.DrawFn, genuine: bytes) -> bytes:
    """A genuine datagram with a few bytes changed, cut or added."""
    data = bytearray(genuine)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        action = draw(st.sampled_from(["set", "cut", "add"]))
        if action == "set" and data:
            data[place] = draw(st.integers(0, 255))
        elif action == "cut":
            del data[place : place + draw(st.integers(1, 8))]
        else:
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
    return bytes(data)


REPORT = rtp.ReportBlock(1, 2, 3, 4, 5, 6, 7)
COMPOUND = (
    rtp.sender_report(rtp.SenderReport(1, 2, 3, 4, 5, (REPORT,)))
    + rtp.sdes(1, "name")
    + rtp.nack(1, 2, [1, 5, 9, 70])
    + rtp.pli(1, 2)
    + rtp.remb(1, 3_000_000, [2])
    + b"\x81\xcb\x00\x01\x00\x00\x00\x01"  # BYE
)
PACKET = rtp.build_packet(
    payload_type=96,
    sequence_number=1,
    timestamp=2,
    ssrc=3,
    payload=b"payload",
    extensions=[(1, b"abc"), (2, b"def")],
)
CHECK = ice.Checks(
    ice.Credentials("clientfrag", "c" * 24),
    ice.Credentials("brokerfrag", "b" * 24),
    [("192.0.2.1", 1)],
    0.0,
    tie_breaker=1,
    new_id=lambda: b"twelve bytes",
)
REQUEST = CHECK.due(0.0)[0][0]
SCTP = bytes(12) + b"".join(
    (
        struct.pack("!BBHIHHI", 0, 3, 20, 1, 0, 0, 51) + b"data",
        struct.pack("!BBHIIHHHH", 3, 0, 20, 1, 1, 1, 0, 1, 4),
        struct.pack("!BBHIHH", 192, 0, 12, 1, 0, 1),
        struct.pack("!BBHHHI", 4, 0, 12, 1, 8, 7),
    )
)


@many
@given(packet=st.binary(max_size=200) | mutated(PACKET))
def test_rtp(packet: bytes) -> None:
    with contextlib.suppress(rtp.RtpError):
        header = rtp.parse_header(packet)
        assert 12 <= header.payload_start <= header.payload_end <= len(packet)
        for number in range(1, 16):
            rtp.read_extension(packet, header, number)
        rtp.build_rtx(packet, payload_type=97, sequence_number=1, ssrc=1)
        rtp.unwrap_rtx(packet, payload_type=96, ssrc=1)
    rtp.is_rtcp(packet)


@many
@given(packet=st.binary(max_size=200) | mutated(COMPOUND))
def test_rtcp(packet: bytes) -> None:
    with contextlib.suppress(rtp.RtpError):
        rtp.parse_compound(packet)


@many
@given(payload=st.binary(max_size=60))
def test_key_frames(payload: bytes) -> None:
    for starts in STARTS_KEY_FRAME.values():
        starts(payload)


@many
@given(datagram=st.binary(max_size=200) | mutated(REQUEST))
def test_stun(datagram: bytes) -> None:
    ice.is_stun(datagram)
    request = ice.read_request(datagram)
    if request is not None:
        local = ice.Credentials(request.local_ufrag, "b" * 24)
        ice.accept_request(request, local, request.remote_ufrag, ("192.0.2.1", 1))
    CHECK.on_response(datagram, ("192.0.2.1", 1), 0.0)


@many
@given(packet=st.binary(max_size=200) | mutated(SCTP))
def test_sctp(packet: bytes) -> None:
    with contextlib.suppress(sctp_guard.SctpRefused):
        sctp_guard.check_packet(packet, {0})


def read(text: str) -> None:
    with contextlib.suppress(sdp.SdpError, sdp.NoCommonCodec):
        offer = sdp.parse(text)
        local = negotiate.Local(
            ice.Credentials("brokerfrag", "b" * 24), Fingerprint("sha-256", "00")
        )
        negotiate.read_remote(offer, answers=False)
        video = negotiate.choose_video(offer, ssrc=1, rtx_ssrc=2)
        # What we answer can be read again, whatever the offer contained.
        answer = negotiate.build_answer(offer, local, video, channels=True)
        sdp.parse(answer.replace("sha-256 00", "sha-256 " + ":".join(["00"] * 32)))


@many
@given(text=st.text(max_size=300))
def test_sdp_of_any_text(text: str) -> None:
    read(text)
    read("v=0\r\n" + text)


LINES = [*WITH_AUDIO.split("\r\n")]


@many
@given(
    swaps=st.lists(
        st.tuples(
            st.integers(0, len(LINES) - 1),
            st.sampled_from(LINES)
            | st.text(max_size=40)
            | st.builds(
                "a={}:{}".format,
                st.sampled_from(
                    [
                        "mid",
                        "ssrc",
                        "rtpmap",
                        "fmtp",
                        "extmap",
                        "candidate",
                        "sctp-port",
                        "ssrc-group",
                    ]
                ),
                st.text(max_size=30),
            ),
        ),
        max_size=6,
    )
)
def test_sdp_of_an_offer_with_other_lines(swaps: list[tuple[int, str]]) -> None:
    lines = list(LINES)
    for place, line in swaps:
        lines[place] = line
    read("\r\n".join(lines))


@many
@given(data=mutated(CHROMIUM.encode()))
def test_sdp_of_a_changed_offer(data: bytes) -> None:
    read(data.decode("utf-8", "replace"))
