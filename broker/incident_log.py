"""The incident store in the words of the sessions: `sessions.ports.Log`."""

from __future__ import annotations

import logging
from typing import Any

from broker.database import DatabaseBusy, DatabaseFailed
from broker.incidents.chain import Event
from broker.incidents.store import IncidentEnded, IncidentStore
from broker.sessions.ports import Entry, LogFailed

logger = logging.getLogger(__name__)


class IncidentLog:
    """The incident store in the words of `sessions.ports.Log`."""

    def __init__(self, store: IncidentStore) -> None:
        self._store = store

    async def open(self, session: str, data: dict[str, Any]) -> Entry:
        """See `Log.open`."""
        try:
            return _entry(await self._store.open(session, data))
        except (DatabaseBusy, DatabaseFailed) as error:
            raise _failed(error) from error

    async def record(self, session: str, kind: str, actor: str, data: dict[str, Any]) -> Entry:
        """See `Log.record`."""
        try:
            return _entry(await self._store.append(session, kind, actor, data))
        except (DatabaseBusy, DatabaseFailed, IncidentEnded) as error:
            raise _failed(error) from error

    async def end(self, session: str, actor: str, data: dict[str, Any]) -> Entry:
        """See `Log.end`."""
        try:
            return _entry(await self._store.end(session, actor, data))
        except (DatabaseBusy, DatabaseFailed, IncidentEnded) as error:
            raise _failed(error) from error

    async def find_chat(self, session: str, actor: str, chat_id: str) -> Entry | None:
        """See `Log.find_chat`."""
        try:
            event = await self._store.find_chat(session, actor, chat_id)
        except (DatabaseBusy, DatabaseFailed) as error:
            raise _failed(error) from error
        return _entry(event) if event else None

    async def find_end(self, session: str, technician: str) -> Entry | None:
        """See `Log.find_end`."""
        try:
            found = await self._store.get(session)
        except (DatabaseBusy, DatabaseFailed) as error:
            raise _failed(error) from error
        if found is None or found[0].state != "ended":
            return None
        was_there = any(
            event.kind == "code-accepted" and event.data["technician"] == technician
            for event in found[1]
        )
        return _entry(found[1][-1]) if was_there else None

    async def chat_since(self, session: str, number: int) -> list[Entry]:
        """See `Log.chat_since`."""
        try:
            return [_entry(event) for event in await self._store.chat_since(session, number)]
        except (DatabaseBusy, DatabaseFailed) as error:
            raise _failed(error) from error


def _entry(event: Event) -> Entry:
    return Entry(event.number, event.at, event.actor, event.data)


def _failed(error: Exception) -> LogFailed:
    logger.error("incident log: %s", error)
    return LogFailed(str(error))
