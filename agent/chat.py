"""The person's chat: nothing counts as sent before the broker has recorded it.

Texts that are not acknowledged are sent again, under the same id, on the next
connection; the broker records each once. Pure.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from broker.protocol import (
    CHAT_TEXT_MAX,
    PERSON,
    Chat,
    ChatSince,
    Message,
    NotSaid,
    Refusal,
    Said,
    Say,
)

PENDING_MAX: Final = 50
"""Texts that may wait for the broker; more are refused at once."""


class Sent(Struct, frozen=True):
    """A text of the person is recorded."""

    text: str


class Failed(Struct, frozen=True):
    """A text of the person was not recorded, and nobody got it."""

    text: str
    reason: Refusal


class Heard(Struct, frozen=True):
    """A technician's text."""

    name: str
    text: str


News = Sent | Failed | Heard


class TextRefused(Exception):
    """A text that cannot be sent; `key` and `values` name its sentence."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


class Conversation(Struct, frozen=True):
    """What was heard up to where, and what waits for its acknowledgement."""

    heard_up_to: int = 0
    pending: tuple[Say, ...] = ()

    def write(self, text: str, chat_id: str) -> tuple[Conversation, Say]:
        """A new text of the person, and the message to send.

        Raises TextRefused.
        """
        if len(text) > CHAT_TEXT_MAX:
            raise TextRefused("chat.too_long", limit=CHAT_TEXT_MAX)
        if len(self.pending) >= PENDING_MAX:
            raise TextRefused("chat.too_many")
        message = Say(chat_id, text)
        return replace(self, pending=(*self.pending, message)), message

    def opening(self) -> list[Message]:
        """What to send first on every new connection."""
        return [ChatSince(self.heard_up_to), *self.pending]

    def told(self, message: Said | NotSaid | Chat) -> tuple[Conversation, News | None]:
        """The broker has sent a message; what it means to the person, if anything."""
        mine = next((say for say in self.pending if say.id == message.id), None)
        rest = tuple(say for say in self.pending if say is not mine)
        match message:
            case NotSaid():
                news: News | None = Failed(mine.text, message.reason) if mine else None
                return replace(self, pending=rest), news
            case Said():
                return self._after(message.number, rest), Sent(mine.text) if mine else None
            case Chat(participant=who) if who == PERSON:
                # Recorded, but the connection broke before the acknowledgement.
                return self._after(message.number, rest), Sent(mine.text) if mine else None
            case Chat():
                if message.number <= self.heard_up_to:
                    return self, None
                heard = Heard(message.name, message.text)
                return self._after(message.number, self.pending), heard

    def over(self) -> list[Failed]:
        """The session has ended: what was never sent."""
        return [Failed(say.text, Refusal.SESSION_OVER) for say in self.pending]

    def _after(self, number: int, pending: tuple[Say, ...]) -> Conversation:
        return Conversation(max(self.heard_up_to, number), pending)
