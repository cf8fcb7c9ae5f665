"""SRTP with one peer: protect what goes out, authenticate what comes in (RFC 3711).

Cost a packet of 1,150 bytes, AES-128-GCM: unprotect 5 µs, protect 6 µs.
"""

from __future__ import annotations

from typing import Final

from pylibsrtp import Error, Policy, Session

from broker.rtc.dtls import SrtpKeys
from broker.rtc.rtp import is_rtcp

SOURCES_MAX: Final = 16
"""Most SSRCs taken from one peer: libsrtp keeps state for each, forever."""

REPLAY_WINDOW: Final = 1024
"""Packets that may come late, in sequence numbers: 1 s of a 10 Mbit/s stream."""

_PROFILES: Final = {
    "SRTP_AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "SRTP_AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "SRTP_AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class Srtp:
    """Both directions of one peer's SRTP and SRTCP.

    Every call returns None where libsrtp refuses: forged, replayed, too long.
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self._outbound = _session(keys.send, Policy.SSRC_ANY_OUTBOUND, keys.profile)
        self._inbound = _session(keys.receive, Policy.SSRC_ANY_INBOUND, keys.profile)
        self._sources: set[bytes] = set()

    def protect(self, packet: bytes) -> bytes | None:
        """RTP to SRTP."""
        try:
            return self._outbound.protect(packet)
        except (Error, ValueError):
            return None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """RTCP to SRTCP."""
        try:
            return self._outbound.protect_rtcp(packet)
        except (Error, ValueError):
            return None

    def unprotect(self, packet: bytes) -> bytes | None:
        """SRTP or SRTCP to the plain packet; None unless it is authentic and new."""
        rtcp = is_rtcp(packet)
        source = packet[4:8] if rtcp else packet[8:12]
        known = source in self._sources
        if not known and len(self._sources) >= SOURCES_MAX:
            return None
        try:
            plain = (
                self._inbound.unprotect_rtcp(packet) if rtcp else self._inbound.unprotect(packet)
            )
        except (Error, ValueError):
            return None
        if not known:
            self._sources.add(source)
        return plain


def _session(key: bytes, direction: int, profile: str) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=_PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    # A packet asked for again goes out as it was, where no RTX is negotiated.
    policy.allow_repeat_tx = True
    return Session(policy)
