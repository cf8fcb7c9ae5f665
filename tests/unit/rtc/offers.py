"""Offers as clients really make them, shortened where they repeat themselves."""

from __future__ import annotations

FINGERPRINT = ":".join(["A8"] * 32)

_TRANSPORT = f"""c=IN IP4 0.0.0.0
a=ice-ufrag:YuGL
a=ice-pwd:B6Qp3INrdeHuwQNBTvdMZKIm
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass"""


def _h264(number: int, rtx: int, mode: int, profile: str) -> str:
    return f"""a=rtpmap:{number} H264/90000
a=rtcp-fb:{number} goog-remb
a=rtcp-fb:{number} transport-cc
a=rtcp-fb:{number} ccm fir
a=rtcp-fb:{number} nack
a=rtcp-fb:{number} nack pli
a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile}
a=rtpmap:{rtx} rtx/90000
a=fmtp:{rtx} apt={number}"""


CHROMIUM = f"""v=0
o=- 1676216602052991819 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS
m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 107 108 109 116 117 45 118 120
{_TRANSPORT}
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:toffset
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:4 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:5 http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:9 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtcp-xr:rcvr-rtt=all
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
{_h264(102, 103, 1, "42001f")}
{_h264(104, 107, 0, "42001f")}
{_h264(108, 109, 1, "42e01f")}
{_h264(116, 117, 1, "4d001f")}
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:118 red/90000
a=rtpmap:120 ulpfec/90000
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
{_TRANSPORT}
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
""".replace("\n", "\r\n")

WITH_AUDIO = CHROMIUM.replace(
    "m=video",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\n"
    "a=recvonly\r\na=rtpmap:111 opus/48000/2\r\nm=video",
).replace("BUNDLE 0 1", "BUNDLE a 0 1")

WITHOUT_H264 = CHROMIUM.replace("H264", "H265")

DATA_ONLY = (
    CHROMIUM[: CHROMIUM.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 1")
    + CHROMIUM[CHROMIUM.index("m=application") :]
)
