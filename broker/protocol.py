"""Every message between broker, agent and browser: the published language.

Signalling travels as JSON text over a WebSocket, one message a frame; chat as
JSON over a negotiated WebRTC data channel. Every message is an object whose
`type` names it. Unknown fields, unknown types and values out of bounds are
refused: `decode` raises `ProtocolError`, whose text is fit to be sent back.

A link opens with the broker's `challenge` (agents only) and the client's
`hello`; the version in it decides whether both sides speak the same language.
See docs/protocol.md for the order of messages.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

VERSION: Final = 1
"""Version of this language; both ends must have the same."""

SIGNALLING_MAX_BYTES: Final = 128 * 1024
"""Largest signalling frame that either side accepts."""

CHAT_MAX_BYTES: Final = 32 * 1024
"""Largest message on the chat channel, in bytes of JSON."""

CHAT_TEXT_MAX: Final = 4000
"""Longest chat text, in characters."""

CHANNELS: Final[dict[str, int]] = {"chat": 0}
"""Data channels by label, with their negotiated stream ids (RFC 8832 §6:
agreed out of band, so that a peer opens none of its own)."""

PERSON: Final = "person"
"""The participant id of the helped person; technicians have their account id."""

# Bounded field types. Lengths are characters.
ParticipantId = Annotated[str, Meta(min_length=1, max_length=64)]
SessionId = Annotated[str, Meta(min_length=1, max_length=64)]
ShortText = Annotated[str, Meta(max_length=200)]
Base64 = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
Sdp = Annotated[str, Meta(min_length=1, max_length=64 * 1024)]
ChatText = Annotated[str, Meta(min_length=1, max_length=CHAT_TEXT_MAX)]
ChatId = Annotated[str, Meta(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Language = Literal["en", "es"]


class ProtocolError(Exception):
    """A peer's message that this language does not contain."""


class State(StrEnum):
    """Where a session stands."""

    WAITING = "waiting"  # for a technician
    ASKED = "asked"  # the person is deciding
    LIVE = "live"
    PAUSED = "paused"  # somebody's link is down
    ENDED = "ended"


class Status(StrEnum):
    """Where one technician stands in a session."""

    ASKED = "asked"
    ALLOWED = "allowed"
    DECLINED = "declined"
    LEFT = "left"  # left, was sent away, or did not come back in time


class EndReason(StrEnum):
    """Why a session ended; each has its sentence in every language."""

    PERSON_ENDED = "person-ended"
    TECHNICIAN_ENDED = "technician-ended"
    TECHNICIANS_LEFT = "technicians-left"
    DECLINED = "declined"
    NOT_ANSWERED = "not-answered"  # the person did not decide in time
    NOBODY_CAME = "nobody-came"  # no technician entered the code in time
    PERSON_LOST = "person-lost"  # the agent's link did not come back in time
    TECHNICIAN_LOST = "technician-lost"
    LOG_FAILED = "log-failed"  # the incident log could not be written
    BROKER_STOPPED = "broker-stopped"
    BROKER_KILLED = "broker-killed"  # found open at the next start


class Refusal(StrEnum):
    """Why the broker will not do what was asked; each has its sentence."""

    BAD_MESSAGE = "bad-message"
    BAD_PROOF = "bad-proof"
    VERSION = "version"
    SIGN_IN = "sign-in"
    BAD_LINK = "bad-link"
    ORIGIN = "origin"
    NOT_FOUND = "not-found"
    NOT_ALLOWED = "not-allowed"
    WRONG_CODE = "wrong-code"
    CODE_EXPIRED = "code-expired"
    CODE_USED = "code-used"
    CODE_BURNED = "code-burned"
    TOO_MANY_TRIES = "too-many-tries"
    SESSION_OVER = "session-over"
    BUSY = "busy"
    REPLACED = "replaced"  # the same peer has opened a newer link
    TOO_SLOW = "too-slow"  # the peer did not read what was sent to it
    NO_COMMON_CODEC = "no-common-codec"
    BAD_OFFER = "bad-offer"
    LOG_FAILED = "log-failed"
    STOPPING = "stopping"


class MediaFailure(StrEnum):
    """What a client found wrong with its media connection."""

    NO_UDP = "no-udp"  # never connected: UDP does not reach the broker
    LOST = "lost"  # was connected, then silent
    NO_CODEC = "no-codec"
    CAPTURE = "capture"  # the agent cannot read the screen


class Message(Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """What all messages share: immutable, strict, named by `type`."""


# ── parts ────────────────────────────────────────────────────────────────────


class DeviceFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """What the agent tells about its device, after showing it to the person."""

    host: ShortText
    user: ShortText
    system: ShortText
    display: ShortText  # e.g. "1920x1080"
    agent: ShortText  # name and version of the agent


class Technician(Struct, frozen=True, forbid_unknown_fields=True):
    """A technician as the person sees them: verified by the broker."""

    id: ParticipantId
    name: ShortText
    organisation: ShortText


class Participant(Struct, frozen=True, forbid_unknown_fields=True):
    """One technician in a session."""

    technician: Technician
    status: Status
    connected: bool
    watching: bool  # the picture flows to them now
    trouble: MediaFailure | None = None  # what is wrong while not connected


# ── agent to broker ──────────────────────────────────────────────────────────


class AgentHello(Message, frozen=True, tag="hello"):
    """Opens an agent's link. `proof` signs the challenge with the device key."""

    version: int
    product: ShortText
    device_key: Base64  # raw Ed25519 public key (RFC 8032), 32 bytes
    proof: Base64  # signature of b"ayuda-agent:" + nonce
    facts: DeviceFacts
    language: Language = "en"
    resume: SessionId | None = None


class Decide(Message, frozen=True, tag="decide"):
    """The person's answer to an `ask`."""

    participant: ParticipantId
    allowed: bool


class Dismiss(Message, frozen=True, tag="dismiss"):
    """The person sends one technician away; the others stay."""

    participant: ParticipantId


class NewCode(Message, frozen=True, tag="new-code"):
    """Asks for a fresh code; the one before it stops working."""


# ── agent or browser to broker ───────────────────────────────────────────────


class Offer(Message, frozen=True, tag="offer"):
    """A WebRTC offer; each offer opens a fresh media connection."""

    sdp: Sdp


class MediaFailed(Message, frozen=True, tag="media-failed"):
    """The client's media connection does not work."""

    reason: MediaFailure


class End(Message, frozen=True, tag="end"):
    """Ends the session for everybody."""


# ── browser to broker ────────────────────────────────────────────────────────


class ViewerHello(Message, frozen=True, tag="hello"):
    """Opens a technician's link: to the console or to one session."""

    version: int
    product: ShortText


class Leave(Message, frozen=True, tag="leave"):
    """This technician leaves; the session ends if nobody else is in it."""


class Invite(Message, frozen=True, tag="invite"):
    """Asks for a code that lets one colleague ask to join this session."""


# ── broker to agent ──────────────────────────────────────────────────────────


class Challenge(Message, frozen=True, tag="challenge"):
    """First message on an agent's link."""

    version: int
    nonce: Base64  # 32 random bytes


class AgentWelcome(Message, frozen=True, tag="agent-welcome"):
    """The link is open. `resumed` means the session before goes on."""

    session: SessionId
    resumed: bool


class Ask(Message, frozen=True, tag="ask"):
    """May this technician see the screen? Stands until decided or withdrawn."""

    technician: Technician
    step: Literal["see"]
    expires_in_s: float


class AskWithdrawn(Message, frozen=True, tag="ask-withdrawn"):
    """The question no longer stands."""

    participant: ParticipantId


# ── broker to agent or browser ───────────────────────────────────────────────


class Code(Message, frozen=True, tag="code"):
    """A one-time code: 12 digits, shown in groups of three."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{12}$")]
    expires_in_s: float


class CodeGone(Message, frozen=True, tag="code-gone"):
    """The code no longer works; `new-code` asks for another."""

    reason: Literal["expired", "used", "burned"]


class Answer(Message, frozen=True, tag="answer"):
    """The answer to the latest offer."""

    sdp: Sdp


class OfferWanted(Message, frozen=True, tag="offer-wanted"):
    """The media connection is to be made (again): send a new offer."""


class Session(Message, frozen=True, tag="session"):
    """How a session stands now; sent whole at every change."""

    session: SessionId
    state: State
    facts: DeviceFacts
    person_connected: bool
    participants: tuple[Participant, ...]
    person_trouble: MediaFailure | None = None  # what is wrong while not connected
    resume_in_s: float | None = None  # paused: time left before it ends
    ask_in_s: float | None = None  # asked: time left for the person to decide


class Ended(Message, frozen=True, tag="ended"):
    """The session is over; nothing follows. `by` is who ended it, if a person."""

    reason: EndReason
    by: ShortText = ""


class Refused(Message, frozen=True, tag="refused"):
    """The broker will not do it. `fatal` means that the link closes."""

    reason: Refusal
    message: str  # an English sentence that names the next step
    fatal: bool = False


# ── broker to browser ────────────────────────────────────────────────────────


class ViewerWelcome(Message, frozen=True, tag="viewer-welcome"):
    """The link is open, for this technician."""

    technician: Technician


class SessionRow(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the console's live list."""

    session: SessionId
    state: State
    host: ShortText
    user: ShortText
    opened_at: str  # RFC 3339, UTC
    status: Status  # this technician's own


class Sessions(Message, frozen=True, tag="sessions"):
    """The technician's own sessions that have not ended; sent whole."""

    sessions: tuple[SessionRow, ...]


# ── chat channel ─────────────────────────────────────────────────────────────


class Say(Message, frozen=True, tag="say"):
    """A chat text. Sent again with the same `id`, it is recorded once."""

    id: ChatId
    text: ChatText


class ChatSince(Message, frozen=True, tag="chat-since"):
    """First message after (re)connecting: send what came after `number`."""

    number: int = 0


class Said(Message, frozen=True, tag="said"):
    """To the writer: the text is durable in the incident log."""

    id: ChatId
    number: int
    at: str  # RFC 3339, UTC


class NotSaid(Message, frozen=True, tag="not-said"):
    """To the writer: the text was not recorded and nobody got it."""

    id: ChatId
    reason: Refusal


class Chat(Message, frozen=True, tag="chat"):
    """A durable chat text, to everybody but its writer (and to all on
    `chat-since`). `number` grows within a session and identifies it."""

    number: int
    id: ChatId
    participant: ParticipantId
    name: ShortText
    at: str  # RFC 3339, UTC
    text: str


FromAgent = AgentHello | Decide | Dismiss | NewCode | Offer | MediaFailed | End
FromViewer = ViewerHello | Offer | MediaFailed | Leave | Invite | End
FromConsole = ViewerHello
ToAgent = (
    Challenge
    | AgentWelcome
    | Code
    | CodeGone
    | Ask
    | AskWithdrawn
    | Answer
    | OfferWanted
    | Session
    | Ended
    | Refused
)
ToViewer = ViewerWelcome | Code | Answer | OfferWanted | Session | Ended | Refused
ToConsole = ViewerWelcome | Sessions | Refused
ChatFromPeer = Say | ChatSince
ChatToPeer = Said | NotSaid | Chat


class _Opening(Struct):
    """The part of a hello that no version may change."""

    type: Literal["hello"]
    version: int


T = TypeVar("T")

_encoder = msgspec.json.Encoder()
_opening = msgspec.json.Decoder(_Opening)


def encode(message: Message) -> bytes:
    """One message as JSON."""
    return _encoder.encode(message)


class Decoder(Generic[T]):
    """Decodes one direction of the language, strictly.

    `union` is one of the unions above, `max_bytes` the largest frame.
    """

    def __init__(self, union: Any, max_bytes: int = SIGNALLING_MAX_BYTES) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(union)
        self._max_bytes = max_bytes

    def decode(self, frame: str | bytes) -> T:
        """One message. Raises ProtocolError on anything else."""
        if len(frame) > self._max_bytes:
            raise ProtocolError(f"a message is larger than {self._max_bytes} bytes")
        try:
            return self._decoder.decode(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise ProtocolError(str(error)) from None


def hello_version(frame: str | bytes) -> int:
    """The version that a hello of any version states.

    Raises ProtocolError if the frame is no hello.
    """
    if len(frame) > SIGNALLING_MAX_BYTES:
        raise ProtocolError("the first message is too large")
    try:
        return _opening.decode(frame).version
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ProtocolError(f"the first message is not a hello: {error}") from None
