"""What an offer says, and which text is none."""

from __future__ import annotations

import pytest

from broker.rtc.dtls import Fingerprint
from broker.rtc.ice import CANDIDATES_MAX, Credentials
from broker.rtc.sdp import LINES_MAX, SDP_MAX, SdpError, parse
from tests.unit.rtc.offers import CHROMIUM, FINGERPRINT


def test_chromiums_offer_is_understood() -> None:
    offer = parse(CHROMIUM)
    video, channels = offer.sections
    assert offer.bundle == ("0", "1")
    assert not offer.ice_lite
    assert (video.kind, video.mid, video.direction) == ("video", "0", "recvonly")
    assert video.credentials == Credentials("YuGL", "B6Qp3INrdeHuwQNBTvdMZKIm")
    assert video.fingerprints == (Fingerprint("sha-256", FINGERPRINT),)
    assert video.rtcp_mux
    names = {codec.payload_type: codec.name for codec in video.codecs}
    assert names[108] == "H264"
    assert names[109] == "RTX"
    [codec] = [codec for codec in video.codecs if codec.payload_type == 108]
    assert codec.parameters["profile-level-id"] == "42e01f"
    assert codec.feedback == ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    assert channels.sctp_port == 5000
    assert channels.max_message_size == 262_144


def test_sources_and_their_retransmissions_are_read() -> None:
    text = CHROMIUM.replace(
        "a=rtcp-mux",
        "a=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:12 cname:x\r\na=rtcp-mux",
    )
    video = parse(text).sections[0]
    assert video.sources == (11, 12)
    assert video.retransmissions == {11: 12}


def test_attributes_of_the_session_hold_for_every_section() -> None:
    lines = CHROMIUM.split("\r\n")
    shared = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd"))][:2]
    rest = [line for line in lines if not line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    offer = parse("\r\n".join([*rest[:4], *shared, *rest[4:]]))
    assert {section.credentials for section in offer.sections} == {
        Credentials("YuGL", "B6Qp3INrdeHuwQNBTvdMZKIm")
    }


def test_only_udp_candidates_with_an_address_count() -> None:
    candidates = [
        "a=candidate:1 1 udp 2130706431 192.0.2.7 1000 typ host",
        "a=candidate:2 1 UDP 2130706430 2001:db8::7 1001 typ host generation 0",
        "a=candidate:3 1 tcp 2130706429 192.0.2.7 9 typ host tcptype active",
        "a=candidate:4 2 udp 2130706428 192.0.2.7 1002 typ host",
        "a=candidate:5 1 udp 2130706427 a-name.local 1003 typ host",
        "a=candidate:6 1 udp",
    ]
    text = CHROMIUM.replace("a=mid:0", "\r\n".join([*candidates, "a=mid:0"]))
    assert parse(text).sections[0].candidates == (("192.0.2.7", 1000), ("2001:db8::7", 1001))


def test_candidates_are_bounded() -> None:
    line = "a=candidate:1 1 udp 1 192.0.2.7 {} typ host"
    many = "\r\n".join(line.format(port) for port in range(1, 100))
    assert len(parse(CHROMIUM.replace("a=mid:0", many + "\r\na=mid:0")).sections[0].candidates) == (
        CANDIDATES_MAX
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0\r\n",  # no media section
        "x" * (SDP_MAX + 1),
        CHROMIUM + "\r\n" * LINES_MAX,
        CHROMIUM + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 20,
        CHROMIUM.replace("a=mid:1", "a=mid:0"),
        CHROMIUM.replace("a=mid:0", "a=mid:" + "x" * 65),
        CHROMIUM.replace("m=video 9", "m=video"),
        CHROMIUM.replace("m=video 9", "m=video -1"),
        CHROMIUM.replace("m=video 9 UDP/TLS/RTP/SAVPF", "m=vi<deo 9 UDP/TLS/RTP/SAVPF"),
        CHROMIUM.replace("a=rtpmap:96", "a=rtpmap:999"),
        CHROMIUM.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8/x"),
        CHROMIUM.replace("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8"),
        CHROMIUM.replace("a=ice-ufrag:YuGL", "a=ice-ufrag:Y"),
        CHROMIUM.replace("a=ice-ufrag:YuGL", "a=ice-ufrag:YuGL:x"),
        CHROMIUM.replace("a=ice-pwd:B6Qp3INrdeHuwQNBTvdMZKIm", "a=ice-pwd:short"),
        CHROMIUM.replace("a=fingerprint:sha-256", "a=fingerprint:"),
        CHROMIUM.replace("A8:A8", "A8A8"),
        CHROMIUM.replace("a=sctp-port:5000", "a=sctp-port:70000"),
        CHROMIUM.replace("a=sctp-port:5000", "a=sctp-port:\u0665"),  # a digit, but not ours
        CHROMIUM.replace("a=max-message-size:262144", "a=max-message-size:" + "9" * 5000),
        CHROMIUM.replace("a=extmap:1 urn:ietf:params:rtp-hdrext:toffset", "a=extmap:1"),
        CHROMIUM.replace("a=rtcp-mux", "\r\n".join(f"a=ssrc:{n} x:y" for n in range(200))),
        CHROMIUM.replace("a=rtcp-mux", "a=ssrc-group:FID 1"),
    ],
)
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(SdpError):
        parse(text)
