"""Chat of one session: durable first, then acknowledged, then delivered.

A text that is sent again under the same id (because its writer's connection
broke before the acknowledgement) is recorded once and acknowledged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from broker.protocol import Chat, ChatSince, Message, NotSaid, Refusal, Said, Say
from broker.sessions.ports import Entry, Log, LogFailed

REPLAY_MAX = 500
"""Texts that a rejoining client is sent at the most: the newest ones."""

Deliver = Callable[[str, Message], None]
"""Sends a message to one participant's chat channel."""


async def say(
    log: Log, session: str, writer: str, name: str, message: Say, others: Iterable[str], to: Deliver
) -> None:
    """Record one text, acknowledge it to its writer, deliver it to the others."""
    try:
        entry = await log.find_chat(session, writer, message.id)
        fresh = entry is None
        if entry is None:
            data = {"id": message.id, "name": name, "text": message.text}
            entry = await log.record(session, "chat", writer, data)
    except LogFailed:
        to(writer, NotSaid(message.id, Refusal.LOG_FAILED))
        return
    to(writer, Said(message.id, entry.number, entry.at))
    if fresh:
        for other in others:
            to(other, as_chat(entry))


async def replay(log: Log, session: str, reader: str, message: ChatSince, to: Deliver) -> None:
    """Send a client that (re)connects what it has missed.

    Raises LogFailed.
    """
    entries = await log.chat_since(session, message.number)
    for entry in entries[-REPLAY_MAX:]:
        to(reader, as_chat(entry))


def as_chat(entry: Entry) -> Chat:
    """The delivered form of a recorded text."""
    data = entry.data
    return Chat(entry.number, data["id"], entry.actor, data["name"], entry.at, data["text"])
