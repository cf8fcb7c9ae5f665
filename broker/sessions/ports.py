"""What a session needs of the rest of the house: log, links, media."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import Struct

from broker.protocol import MediaFailure, Message, Refusal


class LogFailed(Exception):
    """The incident log did not take an entry, or could not be read."""


class OfferRefused(Exception):
    """A WebRTC offer that cannot be answered; the text names the next step."""

    def __init__(self, reason: Refusal, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Entry(Struct, frozen=True):
    """A durable entry of the incident log."""

    number: int  # within the session, from 1
    at: str  # RFC 3339, UTC
    actor: str
    data: dict[str, Any]


class Log(Protocol):
    """The incident log. Every call raises LogFailed."""

    async def open(self, session: str, data: dict[str, Any]) -> Entry:
        """The first entry of a session; durable on return, as all that follow."""
        ...

    async def record(self, session: str, kind: str, actor: str, data: dict[str, Any]) -> Entry:
        """One more entry."""
        ...

    async def end(self, session: str, actor: str, data: dict[str, Any]) -> Entry:
        """The last entry."""
        ...

    async def find_chat(self, session: str, actor: str, chat_id: str) -> Entry | None:
        """The chat text that this writer has recorded under this id."""
        ...

    async def chat_since(self, session: str, number: int) -> list[Entry]:
        """The chat entries after `number`, in order."""
        ...

    async def find_end(self, session: str, technician: str) -> Entry | None:
        """The last entry of an ended session that this technician had the code of."""
        ...


class Link(Protocol):
    """A client's signalling link. Neither call waits or fails."""

    def send(self, message: Message) -> None:
        """Queue a message; a client that does not read loses the link."""

    def close(self) -> None:
        """Close once everything queued is sent."""


class Media(Protocol):
    """The WebRTC side of one session, by participant id."""

    async def answer(self, who: str, offer: str) -> str:
        """The SDP answer to an offer; replaces the peer that `who` had.

        Raises OfferRefused.
        """
        ...

    def send(self, who: str, label: str, data: str) -> bool:
        """Send on a data channel; False if it is not open or full."""
        ...

    def watching(self, who: str) -> bool:
        """Whether the picture flows to (or, for the person, from) `who` now."""
        ...

    async def close(self, who: str) -> None:
        """Close the peer of `who`, if there is one."""
        ...

    async def close_all(self) -> None:
        """Close every peer; the object is not used again."""
        ...


class MediaEvents(Struct, frozen=True):
    """How `Media` reports, on the event loop."""

    connected: Callable[[str], None]
    lost: Callable[[str, MediaFailure], None]
    message: Callable[[str, str, str | bytes], None]  # who, label, data
    watching: Callable[[str, bool], None]


MediaFactory = Callable[[MediaEvents], Media]
