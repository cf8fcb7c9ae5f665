"""SDP in, as bounded values: what an offer or an answer says (RFC 8866, 8829).

Pure. A peer's text is hostile: `parse` returns a Description or raises SdpError.
What we say ourselves is written in `negotiate.py`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from broker.rtc.dtls import Fingerprint
from broker.rtc.ice import CANDIDATES_MAX, Credentials

SDP_MAX: Final = 64 * 1024
LINES_MAX: Final = 2000
SECTIONS_MAX: Final = 16
FINGERPRINTS_MAX: Final = 4
_PER_SECTION_MAX: Final = 128  # codecs, extensions, sources

_TOKEN: Final = re.compile(r"[A-Za-z0-9+/._-]{1,64}")
_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:){15,63}[0-9A-Fa-f]{2}")
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")


class SdpError(Exception):
    """An offer or answer that cannot be used; the text says why."""


class NoCommonCodec(Exception):
    """The other side has no codec that we have."""


class Codec(Struct, frozen=True):
    """One payload type of one media section."""

    payload_type: int
    name: str  # upper case, "H264"
    clock_hz: int
    parameters: dict[str, str] = {}  # of a=fmtp; keys in lower case
    feedback: tuple[str, ...] = ()  # of a=rtcp-fb, e.g. "nack pli"


class Section(Struct, frozen=True):
    """One m= section, with the session's attributes filled in."""

    kind: str  # "video", "audio", "application" or what the peer made up
    port: int
    protocol: str
    formats: tuple[str, ...]
    mid: str = ""
    direction: str = "sendrecv"
    credentials: Credentials | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: str = ""
    rtcp_mux: bool = False
    codecs: tuple[Codec, ...] = ()
    extensions: dict[str, int] = {}  # id by URI
    sources: tuple[int, ...] = ()  # SSRCs, in order
    retransmissions: dict[int, int] = {}  # RTX SSRC by SSRC (a=ssrc-group:FID)
    sctp_port: int | None = None
    max_message_size: int = 65_536  # RFC 8841 §6.1
    candidates: tuple[tuple[str, int], ...] = ()


class Description(Struct, frozen=True):
    """An offer or an answer."""

    sections: tuple[Section, ...]
    bundle: tuple[str, ...]  # mids
    ice_lite: bool


def parse(text: str) -> Description:
    """Read an offer or an answer. Raises SdpError."""
    if len(text) > SDP_MAX:
        raise SdpError("the session description is too large")
    lines = text.replace("\r\n", "\n").split("\n")
    if len(lines) > LINES_MAX or not lines[0].startswith("v=0"):
        raise SdpError("this is no session description")
    groups: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("m="):
            groups.append([])
        groups[-1].append(line)
    if not 2 <= len(groups) <= SECTIONS_MAX + 1:
        raise SdpError(f"between 1 and {SECTIONS_MAX} media sections are taken")
    try:
        session = _read(Section("", 9, "", ()), groups[0])
        inherited = replace(session, mid="", candidates=())
        sections = tuple(_read_section(inherited, group) for group in groups[1:])
    except (ValueError, IndexError) as error:
        raise SdpError(f"unreadable line in the session description: {error}") from None
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise SdpError("two media sections have the same mid")
    return Description(
        sections=sections,
        bundle=tuple(
            mid
            for line in groups[0]
            if line.startswith("a=group:BUNDLE")
            for mid in line.split()[1:]
        ),
        ice_lite="a=ice-lite" in groups[0],
    )


def _read_section(inherited: Section, lines: list[str]) -> Section:
    kind, port, protocol, *formats = lines[0][2:].split()
    if not all(_TOKEN.fullmatch(word) for word in (kind, *protocol.split("/"), *formats)):
        raise SdpError("an m= line has strange words")
    if len(formats) > _PER_SECTION_MAX:
        raise SdpError("a media section has too many formats")
    start = replace(
        inherited,
        kind=kind,
        port=_number(port.partition("/")[0], 65_535),
        protocol=protocol,
        formats=tuple(formats),
    )
    return _read(start, lines[1:])


def _read(start: Section, lines: list[str]) -> Section:
    """Read a section's attributes into a copy of `start`."""
    changes: dict[str, object] = {}
    ufrag = password = ""
    fingerprints: list[Fingerprint] = []
    names: dict[int, tuple[str, int]] = {}
    parameters: dict[int, dict[str, str]] = {}
    feedback: dict[int, list[str]] = {}
    extensions: dict[str, int] = {}
    sources: dict[int, None] = {}
    retransmissions: dict[int, int] = {}
    candidates: list[tuple[str, int]] = []
    for line in lines:
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].partition(":")
        if name == "mid":
            changes["mid"] = _match(_TOKEN, value, "mid")
        elif name in _DIRECTIONS:
            changes["direction"] = name
        elif name == "rtcp-mux":
            changes["rtcp_mux"] = True
        elif name == "setup":
            changes["setup"] = _match(_TOKEN, value, "setup")
        elif name == "ice-ufrag":
            ufrag = _match(_ICE_UFRAG, value, "ice-ufrag")
        elif name == "ice-pwd":
            password = _match(_ICE_PASSWORD, value, "ice-pwd")
        elif name == "fingerprint":
            algorithm, digest = value.split()
            digest = _match(_FINGERPRINT, digest, "fingerprint").upper()
            fingerprints.append(Fingerprint(algorithm.lower(), digest))
        elif name == "rtpmap":
            number, encoding = value.split(maxsplit=1)
            encoding_name, clock = encoding.split("/")[:2]
            names[_number(number, 127)] = (
                _match(_TOKEN, encoding_name, "rtpmap").upper(),
                _number(clock, 10_000_000),
            )
        elif name == "fmtp":
            number, _, settings = value.partition(" ")
            parameters[_number(number, 127)] = _parameters(settings)
        elif name == "rtcp-fb":
            number, _, what = value.partition(" ")
            if number != "*":
                feedback.setdefault(_number(number, 127), []).append(what.strip()[:64])
        elif name == "extmap":
            number, uri = value.split()[:2]
            extensions[uri] = _number(number.partition("/")[0], 255)
        elif name == "ssrc":
            sources[_number(value.partition(" ")[0], 0xFFFFFFFF)] = None
        elif name == "ssrc-group" and value.startswith("FID "):
            first, second = value.split()[1:3]
            retransmissions[_number(first, 0xFFFFFFFF)] = _number(second, 0xFFFFFFFF)
        elif name == "sctp-port":
            changes["sctp_port"] = _number(value, 65_535)
        elif name == "max-message-size":
            changes["max_message_size"] = _number(value, 2**63)
        elif name == "candidate":
            candidate = _candidate(value)
            if candidate is not None:
                candidates.append(candidate)
    sizes = (names, parameters, feedback, extensions, sources, retransmissions, candidates)
    if any(len(size) > _PER_SECTION_MAX for size in sizes) or len(fingerprints) > FINGERPRINTS_MAX:
        raise SdpError("a media section says too much")
    if ufrag and password:
        changes["credentials"] = Credentials(ufrag, password)
    if fingerprints:
        changes["fingerprints"] = tuple(fingerprints)
    changes["candidates"] = tuple(candidates[:CANDIDATES_MAX])
    changes["codecs"] = tuple(
        Codec(number, *names[number], parameters.get(number, {}), tuple(feedback.get(number, ())))
        for number in (int(word) for word in start.formats if word.isdecimal())
        if number in names
    )
    changes["extensions"] = extensions
    changes["sources"] = tuple(sources)
    changes["retransmissions"] = retransmissions
    return replace(start, **changes)


def _candidate(value: str) -> tuple[str, int] | None:
    """Address of a UDP candidate of component 1 (RFC 8839 §5.1); None for others."""
    words = value.split()
    if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp":
        return None
    try:
        host = str(ipaddress.ip_address(words[4]))
    except ValueError:  # a name, which we do not look up
        return None
    return host, _number(words[5], 65_535)


def _parameters(settings: str) -> dict[str, str]:
    """The settings of an a=fmtp line: `key=value` pairs, separated by semicolons."""
    pairs = (setting.strip().partition("=") for setting in settings.split(";")[:32])
    return {key.lower(): value for key, _, value in pairs if key}


def _match(pattern: re.Pattern[str], value: str, what: str) -> str:
    value = value.strip()
    if not pattern.fullmatch(value):
        raise SdpError(f"a={what} is not valid")
    return value


def _number(word: str, largest: int) -> int:
    if not word.isascii() or not word.isdecimal() or len(word) > 20 or int(word) > largest:
        raise SdpError("a number is not valid")
    return int(word)
