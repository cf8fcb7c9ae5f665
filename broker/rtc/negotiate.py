"""SDP out: the broker's answer to any client's offer, and the agent's offer (RFC 8829).

Pure. Payload types and header-extension ids are always those of the client's offer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from broker.rtc.dtls import Fingerprint
from broker.rtc.ice import PRIORITY, Credentials, Target
from broker.rtc.rtp import ABS_SEND_TIME, PLAYOUT_DELAY, VIDEO_CLOCK_HZ
from broker.rtc.sdp import Codec, Description, NoCommonCodec, SdpError, Section

MAX_MESSAGE_SIZE: Final = 262_144
"""Largest data-channel message taken, in bytes."""

SCTP_PORT: Final = 5000
CNAME: Final = "ayuda"

_FEEDBACK: Final = ("nack", "nack pli", "goog-remb")
# Without transport-cc, Chromium reports its estimate as REMB.
_EXTENSIONS: Final = (ABS_SEND_TIME, PLAYOUT_DELAY)
# Preference by profile and constraints: constrained baseline first, which all decode.
_PROFILES: Final = ("42e0", "4200", "4d00", "6400")
_OFFER_PAYLOAD_TYPE: Final = 96
_OFFER_RTX_PAYLOAD_TYPE: Final = 97
_OFFER_FMTP: Final = {
    "level-asymmetry-allowed": "1",
    "packetization-mode": "1",
    "profile-level-id": "42e01f",
}
_OFFER_EXTENSIONS: Final = {ABS_SEND_TIME: 1, PLAYOUT_DELAY: 2}


class NegotiatedVideo(Struct, frozen=True):
    """The one video stream of a peer, in either direction."""

    sending: bool  # by us
    mid: str
    codec: str  # "H264"
    fmtp: dict[str, str]
    payload_type: int
    rtx_payload_type: int | None
    ssrc: int | None  # of the sender; None: the remote sender did not say
    rtx_ssrc: int | None
    extensions: dict[str, int]  # id by URI, of those that both sides know
    feedback: tuple[str, ...]  # "nack", "nack pli", "goog-remb"

    @property
    def abs_send_time_id(self) -> int | None:
        """Id of the abs-send-time header extension, if negotiated."""
        return self.extensions.get(ABS_SEND_TIME)

    @property
    def playout_delay_id(self) -> int | None:
        """Id of the playout-delay header extension, if negotiated."""
        return self.extensions.get(PLAYOUT_DELAY)


class Remote(Struct, frozen=True):
    """What an offer or answer says of the transport that all sections share."""

    credentials: Credentials
    fingerprints: tuple[Fingerprint, ...]
    candidates: tuple[Target, ...]
    sctp_port: int | None  # None: no data channels
    max_message_size: int


class Local(Struct, frozen=True):
    """What we say of our end of the transport."""

    credentials: Credentials
    fingerprint: Fingerprint
    candidates: Sequence[Target] = ()


def read_remote(description: Description, *, answers: bool) -> Remote:
    """The transport of the sections in use of an offer or an answer. Raises SdpError."""
    used = [section for section in description.sections if _usable(section)]
    if not used:
        raise SdpError("neither a video nor a data-channel section can be used")
    first = used[0]
    if first.credentials is None:
        raise SdpError("ice-ufrag or ice-pwd is missing")
    if not any(one.algorithm in ("sha-256", "sha-384", "sha-512") for one in first.fingerprints):
        raise SdpError("a fingerprint of SHA-256 or better is missing")
    if len(used) > 1 and not {section.mid for section in used} <= set(description.bundle):
        raise SdpError("all sections must be bundled (RFC 9143)")
    if any(one.credentials not in (None, first.credentials) for one in used):
        raise SdpError("bundled sections must share one transport")
    # The lite end is the DTLS server, always (RFC 8842 §5).
    if first.setup not in (("passive",) if answers else ("actpass", "active")):
        raise SdpError(f"a=setup:{first.setup} does not fit")
    channels = next((one for one in used if one.kind == "application"), None)
    return Remote(
        credentials=first.credentials,
        fingerprints=first.fingerprints,
        candidates=tuple(target for section in used for target in section.candidates),
        sctp_port=None if channels is None else channels.sctp_port,
        max_message_size=65_536 if channels is None else channels.max_message_size,
    )


def choose_video(offer: Description, *, ssrc: int, rtx_ssrc: int) -> NegotiatedVideo | None:
    """What to answer to the first video section; `ssrc` and `rtx_ssrc` are ours.

    None if there is no video section in use. Raises NoCommonCodec or SdpError.
    """
    section = next((one for one in offer.sections if one.kind == "video" and _usable(one)), None)
    if section is None:
        return None
    if not section.rtcp_mux:
        raise SdpError("RTCP must be multiplexed with RTP")
    codec = _choose_h264(section.codecs)
    rtx = _rtx_of(section.codecs, codec.payload_type)
    sending = section.direction != "sendonly"
    remote_ssrc = section.sources[0] if section.sources else None
    extensions = {
        uri: section.extensions[uri]
        for uri in _EXTENSIONS
        if 1 <= section.extensions.get(uri, 0) <= 14  # one-byte headers (RFC 8285)
    }
    remote_rtx = None if remote_ssrc is None else section.retransmissions.get(remote_ssrc)
    return NegotiatedVideo(
        sending=sending,
        mid=section.mid,
        codec=codec.name,
        fmtp=codec.parameters,
        payload_type=codec.payload_type,
        rtx_payload_type=rtx,
        ssrc=ssrc if sending else remote_ssrc,
        rtx_ssrc=None if rtx is None else rtx_ssrc if sending else remote_rtx,
        extensions=extensions,
        feedback=tuple(one for one in _FEEDBACK if one in codec.feedback),
    )


def build_answer(
    offer: Description, local: Local, video: NegotiatedVideo | None, *, channels: bool
) -> str:
    """The lite end's answer: every section of the offer, taken or refused."""
    taken: list[str] = []
    body: list[str] = []
    for section in offer.sections:
        if video is not None and section.mid == video.mid and section.kind == "video":
            body += _video_lines(video, local, port=9, setup="passive")
        elif channels and section.kind == "application" and section.mid not in taken:
            body += _channel_lines(section, local, setup="passive")
            channels = False
        else:
            body += [
                f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}",
                "c=IN IP4 0.0.0.0",
                "a=inactive",
                f"a=mid:{section.mid}",
            ]
            continue
        taken.append(section.mid)
    return _join([*_session_lines(taken), "a=ice-lite", *body])


def build_offer(local: Local, *, ssrc: int, rtx_ssrc: int, send_video: bool) -> str:
    """The agent's offer: H.264 to send, if wanted, and data channels."""
    body: list[str] = []
    mids = ["0", "1"] if send_video else ["1"]
    if send_video:
        video = NegotiatedVideo(
            sending=True,
            mid="0",
            codec="H264",
            fmtp=_OFFER_FMTP,
            payload_type=_OFFER_PAYLOAD_TYPE,
            rtx_payload_type=_OFFER_RTX_PAYLOAD_TYPE,
            ssrc=ssrc,
            rtx_ssrc=rtx_ssrc,
            extensions=_OFFER_EXTENSIONS,
            feedback=_FEEDBACK,
        )
        body += _video_lines(video, local, port=9, setup="actpass")
    channels = Section("application", 9, "UDP/DTLS/SCTP", ("webrtc-datachannel",), mid="1")
    body += _channel_lines(channels, local, setup="actpass")
    return _join([*_session_lines(mids), *body])


def read_answer(answer: Description, *, ssrc: int, rtx_ssrc: int) -> NegotiatedVideo | None:
    """What the broker took of our offer's video; None if it refused it. Raises SdpError."""
    section = next((one for one in answer.sections if one.kind == "video"), None)
    if section is None or section.port == 0:
        return None
    if not any(codec.payload_type == _OFFER_PAYLOAD_TYPE for codec in section.codecs):
        raise SdpError("the answer takes a video codec that was not offered")
    codec = next(one for one in section.codecs if one.payload_type == _OFFER_PAYLOAD_TYPE)
    rtx = _rtx_of(section.codecs, codec.payload_type)
    return NegotiatedVideo(
        sending=True,
        mid=section.mid,
        codec=codec.name,
        fmtp=codec.parameters,
        payload_type=codec.payload_type,
        rtx_payload_type=rtx,
        ssrc=ssrc,
        rtx_ssrc=None if rtx is None else rtx_ssrc,
        extensions={
            uri: number
            for uri, number in section.extensions.items()
            if _OFFER_EXTENSIONS.get(uri) == number
        },
        feedback=tuple(one for one in _FEEDBACK if one in codec.feedback),
    )


def _usable(section: Section) -> bool:
    if section.kind == "application":
        return section.protocol.endswith("DTLS/SCTP") and section.sctp_port is not None
    return (
        section.kind == "video"
        and section.direction != "inactive"
        and section.protocol == "UDP/TLS/RTP/SAVPF"
    )


def _choose_h264(codecs: Sequence[Codec]) -> Codec:
    best: tuple[int, Codec] | None = None
    for codec in codecs:
        if codec.name != "H264" or codec.clock_hz != VIDEO_CLOCK_HZ:
            continue
        if codec.parameters.get("packetization-mode", "0") != "1":
            continue  # mode 0 has no fragments: a key frame would need IP fragmentation
        profile = codec.parameters.get("profile-level-id", "420010")[:4].lower()
        if profile in _PROFILES:
            rank = _PROFILES.index(profile)
            if best is None or rank < best[0]:
                best = rank, codec
    if best is None:
        raise NoCommonCodec("this client has no H.264 decoder; use a browser that has one")
    return best[1]


def _rtx_of(codecs: Sequence[Codec], payload_type: int) -> int | None:
    for codec in codecs:
        if codec.name == "RTX" and codec.parameters.get("apt") == str(payload_type):
            return codec.payload_type
    return None


def _session_lines(mids: Sequence[str]) -> list[str]:
    return [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}",
        f"a=msid-semantic: WMS {CNAME}",
    ]


def _transport_lines(local: Local, setup: str) -> list[str]:
    lines = [
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.credentials.ufrag}",
        f"a=ice-pwd:{local.credentials.password}",
        f"a=fingerprint:{local.fingerprint.algorithm} {local.fingerprint.value}",
        f"a=setup:{setup}",
    ]
    for index, (host, port) in enumerate(local.candidates):
        priority = PRIORITY - (index << 8)
        lines.append(f"a=candidate:{index + 1} 1 udp {priority} {host} {port} typ host")
    if local.candidates:
        lines.append("a=end-of-candidates")
    return lines


def _video_lines(video: NegotiatedVideo, local: Local, *, port: int, setup: str) -> list[str]:
    main, rtx = video.payload_type, video.rtx_payload_type
    formats = str(main) if rtx is None else f"{main} {rtx}"
    fmtp = ";".join(f"{key}={value}" for key, value in video.fmtp.items())
    lines = [
        f"m=video {port} UDP/TLS/RTP/SAVPF {formats}",
        *_transport_lines(local, setup),
        f"a=mid:{video.mid}",
        "a=sendonly" if video.sending else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *(f"a=extmap:{number} {uri}" for uri, number in video.extensions.items()),
        f"a=rtpmap:{main} {video.codec}/{VIDEO_CLOCK_HZ}",
        f"a=fmtp:{main} {fmtp}",
        *(f"a=rtcp-fb:{main} {feedback}" for feedback in video.feedback),
    ]
    if rtx is not None:
        lines += [f"a=rtpmap:{rtx} rtx/{VIDEO_CLOCK_HZ}", f"a=fmtp:{rtx} apt={main}"]
    if video.sending:
        lines.append(f"a=msid:{CNAME} screen")
        if video.rtx_ssrc is not None:
            lines.append(f"a=ssrc-group:FID {video.ssrc} {video.rtx_ssrc}")
        for ssrc in (video.ssrc, video.rtx_ssrc):
            if ssrc is not None:
                lines += [f"a=ssrc:{ssrc} cname:{CNAME}", f"a=ssrc:{ssrc} msid:{CNAME} screen"]
    return lines


def _channel_lines(section: Section, local: Local, *, setup: str) -> list[str]:
    return [
        f"m=application 9 {section.protocol} webrtc-datachannel",
        *_transport_lines(local, setup),
        f"a=mid:{section.mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_MESSAGE_SIZE}",
    ]


def _join(lines: Sequence[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
