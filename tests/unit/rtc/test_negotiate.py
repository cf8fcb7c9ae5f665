"""The broker's answers and the agent's offer."""

from __future__ import annotations

import pytest

from broker.rtc.dtls import Fingerprint
from broker.rtc.ice import Credentials
from broker.rtc.negotiate import (
    Local,
    NegotiatedVideo,
    Remote,
    build_answer,
    build_offer,
    choose_video,
    read_answer,
    read_remote,
)
from broker.rtc.rtp import ABS_SEND_TIME, PLAYOUT_DELAY
from broker.rtc.sdp import NoCommonCodec, SdpError, parse
from tests.unit.rtc.offers import CHROMIUM, DATA_ONLY, FINGERPRINT, WITH_AUDIO, WITHOUT_H264

LOCAL = Local(
    Credentials("brokerfrag", "brokerpassword-of-24-chr".replace("-", "+")),
    Fingerprint("sha-256", FINGERPRINT),
    [("192.0.2.1", 8080), ("2001:db8::1", 8080)],
)


def chosen(offer: str) -> NegotiatedVideo:
    video = choose_video(parse(offer), ssrc=1, rtx_ssrc=2)
    assert video is not None
    return video


def answered(offer: str) -> str:
    parsed = parse(offer)
    video = choose_video(parsed, ssrc=1, rtx_ssrc=2)
    return build_answer(parsed, LOCAL, video, channels=True)


def test_a_viewer_gets_constrained_baseline_with_its_own_numbers() -> None:
    video = chosen(CHROMIUM)
    assert video.sending
    assert (video.payload_type, video.rtx_payload_type) == (108, 109)
    assert (video.ssrc, video.rtx_ssrc) == (1, 2)
    assert video.extensions == {ABS_SEND_TIME: 2, PLAYOUT_DELAY: 5}
    assert (video.abs_send_time_id, video.playout_delay_id) == (2, 5)
    assert video.feedback == ("nack", "nack pli", "goog-remb")


@pytest.mark.parametrize(
    ("gone", "payload_type"),
    [((), 108), (("42e01f",), 102), (("42e01f", "42001f"), 116)],
)
def test_the_next_best_profile_is_taken(gone: tuple[str, ...], payload_type: int) -> None:
    offer = CHROMIUM
    for profile in gone:
        offer = offer.replace(profile, "f4001f")
    assert chosen(offer).payload_type == payload_type


def test_without_h264_there_is_no_common_codec() -> None:
    with pytest.raises(NoCommonCodec):
        choose_video(parse(WITHOUT_H264), ssrc=1, rtx_ssrc=2)


def test_a_profile_without_fragmentation_is_not_taken() -> None:
    with pytest.raises(NoCommonCodec):
        chosen(CHROMIUM.replace("packetization-mode=1", "packetization-mode=0"))


def test_a_client_without_retransmission_payload_gets_none() -> None:
    video = chosen(CHROMIUM.replace("rtx/90000", "unknown/90000"))
    assert video.rtx_payload_type is None
    assert video.rtx_ssrc is None
    assert "FID" not in answered(CHROMIUM.replace("rtx/90000", "unknown/90000"))


def test_an_extension_id_that_needs_two_bytes_is_left_out() -> None:
    offer = CHROMIUM.replace("a=extmap:5 ", "a=extmap:15 ")
    assert chosen(offer).playout_delay_id is None


def test_the_answer_is_what_a_browser_needs() -> None:
    lines = answered(CHROMIUM).split("\r\n")
    assert lines[-1] == ""
    for line in (
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=video 9 UDP/TLS/RTP/SAVPF 108 109",
        "a=sendonly",
        "a=rtcp-mux",
        "a=extmap:2 " + ABS_SEND_TIME,
        "a=extmap:5 " + PLAYOUT_DELAY,
        "a=rtcp-fb:108 nack",
        "a=rtcp-fb:108 nack pli",
        "a=rtcp-fb:108 goog-remb",
        "a=fmtp:109 apt=108",
        "a=ssrc-group:FID 1 2",
        "a=setup:passive",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 8080 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::1 8080 typ host",
        "a=end-of-candidates",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
    ):
        assert line in lines
    # Chromium sends REMB only where transport-wide feedback is not agreed on.
    assert not any("transport-cc" in line for line in lines)


def test_sections_that_nobody_serves_are_refused_in_place() -> None:
    answer = parse(answered(WITH_AUDIO))
    assert [(one.kind, one.port) for one in answer.sections] == [
        ("audio", 0),
        ("video", 9),
        ("application", 9),
    ]
    assert answer.bundle == ("0", "1")


def test_a_connection_for_data_alone_is_answered() -> None:
    offer = parse(DATA_ONLY)
    assert choose_video(offer, ssrc=1, rtx_ssrc=2) is None
    answer = parse(build_answer(offer, LOCAL, None, channels=True))
    assert [one.kind for one in answer.sections] == ["application"]


def test_what_an_offer_says_of_its_transport_is_read() -> None:
    assert read_remote(parse(CHROMIUM), answers=False) == Remote(
        credentials=Credentials("YuGL", "B6Qp3INrdeHuwQNBTvdMZKIm"),
        fingerprints=(Fingerprint("sha-256", FINGERPRINT),),
        candidates=(),
        sctp_port=5000,
        max_message_size=262_144,
    )


@pytest.mark.parametrize(
    ("offer", "complaint"),
    [
        (CHROMIUM.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0"), "bundled"),
        (CHROMIUM.replace("a=setup:actpass", "a=setup:passive"), "setup"),
        (CHROMIUM.replace("sha-256", "sha-1"), "fingerprint"),
        (CHROMIUM.replace("a=ice-ufrag", "a=x"), "ice"),
        (CHROMIUM.replace("m=video", "m=text").replace("a=sctp-port:5000", "a=x"), "neither"),
        (CHROMIUM[::-1].replace("LGuY:", "LGuZ:", 1)[::-1], "one transport"),
    ],
)
def test_an_offer_that_cannot_be_served_is_refused_with_the_reason(
    offer: str, complaint: str
) -> None:
    with pytest.raises(SdpError, match=complaint):
        read_remote(parse(offer), answers=False)


def test_video_without_multiplexed_rtcp_is_refused() -> None:
    with pytest.raises(SdpError, match="multiplexed"):
        chosen(CHROMIUM.replace("a=rtcp-mux", "a=x"))


def test_the_agents_offer_and_the_brokers_answer_agree() -> None:
    local = Local(LOCAL.credentials, LOCAL.fingerprint)
    offer = parse(build_offer(local, ssrc=11, rtx_ssrc=12, send_video=True))
    broker = choose_video(offer, ssrc=1, rtx_ssrc=2)
    assert broker is not None
    assert not broker.sending
    assert (broker.ssrc, broker.rtx_ssrc) == (11, 12)
    answer = parse(build_answer(offer, LOCAL, broker, channels=True))
    agent = read_answer(answer, ssrc=11, rtx_ssrc=12)
    assert agent is not None
    assert agent.sending
    for name in ("payload_type", "rtx_payload_type", "ssrc", "rtx_ssrc", "extensions", "fmtp"):
        assert getattr(agent, name) == getattr(broker, name)
    remote = read_remote(answer, answers=True)
    assert set(remote.candidates) == {("192.0.2.1", 8080), ("2001:db8::1", 8080)}


def test_an_agent_may_offer_data_alone() -> None:
    offer = parse(build_offer(LOCAL, ssrc=11, rtx_ssrc=12, send_video=False))
    assert [one.kind for one in offer.sections] == ["application"]
    answer = parse(build_answer(offer, LOCAL, None, channels=True))
    assert read_answer(answer, ssrc=11, rtx_ssrc=12) is None


def test_an_answer_with_a_codec_that_was_not_offered_is_refused() -> None:
    offer = parse(build_offer(LOCAL, ssrc=11, rtx_ssrc=12, send_video=True))
    broker = choose_video(offer, ssrc=1, rtx_ssrc=2)
    text = build_answer(offer, LOCAL, broker, channels=True)
    with pytest.raises(SdpError):
        read_answer(parse(text.replace("96", "98")), ssrc=11, rtx_ssrc=12)


def test_a_refused_video_section_is_no_video() -> None:
    offer = parse(build_offer(LOCAL, ssrc=11, rtx_ssrc=12, send_video=True))
    answer = build_answer(offer, LOCAL, None, channels=True)
    assert read_answer(parse(answer), ssrc=11, rtx_ssrc=12) is None
