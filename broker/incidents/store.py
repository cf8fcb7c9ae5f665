"""The incident log on the database: append, read, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, Row, and_, func, insert, or_, select, tuple_, update

from broker.database import Database
from broker.incidents import projection
from broker.incidents.chain import GENESIS, Event, Problem, canonical, check_log, sealed
from broker.incidents.projection import IncidentRow
from broker.incidents.schema import chain_head, events, incidents
from broker.incidents.verification import Verification

HEAD = 1
"""The one row of `chain_head`."""


class IncidentEnded(Exception):
    """Nothing is added to an incident that has ended, or that never was."""


class IncidentStore:
    """All incidents. Writes are durable on return and raise DatabaseBusy, DatabaseFailed;
    reads raise DatabaseFailed."""

    def __init__(
        self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._now = now

    # ── writing ──────────────────────────────────────────────────────────────

    async def open(self, incident: str, data: dict[str, Any]) -> Event:
        """The first event, `request-opened`, of a new incident."""
        return await self._database.write(lambda c: self._open(c, incident, data))

    async def append(self, incident: str, kind: str, actor: str, data: dict[str, Any]) -> Event:
        """One more event. Raises IncidentEnded too."""
        return await self._database.write(lambda c: self._append(c, incident, kind, actor, data))

    async def end(self, incident: str, actor: str, data: dict[str, Any]) -> Event:
        """The last event, `ended`, with its reason. Raises IncidentEnded too."""
        return await self.append(incident, "ended", actor, data)

    async def close_abandoned(self, data: dict[str, Any]) -> list[str]:
        """End every open incident, as the first thing after a start; returns their ids."""

        def close(connection: Connection) -> list[str]:
            still_open = select(incidents.c.id).where(incidents.c.ended_at.is_(None))
            ids = list(connection.scalars(still_open.order_by(incidents.c.opened_at)))
            for incident in ids:
                last = _last_event(connection, incident)
                found = {**data, "last_event_at": last.at if last else ""}
                self._append(connection, incident, "ended", "broker", found)
            return ids

        return await self._database.write(close)

    def _open(self, connection: Connection, incident: str, data: dict[str, Any]) -> Event:
        event = self._next(connection, incident, None, "request-opened", "person", data)
        row = projection.opened(event)
        connection.execute(insert(incidents).values(id=row.id, **_columns(row)))
        _write(connection, event)
        return event

    def _append(
        self, connection: Connection, incident: str, kind: str, actor: str, data: dict[str, Any]
    ) -> Event:
        row = _row(connection, incident)
        if row is None or row.state == "ended":
            raise IncidentEnded(incident)
        last = _last_event(connection, incident)
        event = self._next(connection, incident, last, kind, actor, data)
        after = projection.after(row, event)
        if after != row:
            changed = update(incidents).where(incidents.c.id == incident)
            connection.execute(changed.values(**_columns(after)))
        _write(connection, event)
        return event

    def _next(
        self,
        connection: Connection,
        incident: str,
        last: Event | None,
        kind: str,
        actor: str,
        data: dict[str, Any],
    ) -> Event:
        seq, previous = _head(connection) or (0, GENESIS)
        return sealed(
            Event(
                seq=seq + 1,
                incident=incident,
                number=last.number + 1 if last else 1,
                at=self._now().isoformat(timespec="microseconds").replace("+00:00", "Z"),
                kind=kind,
                actor=actor,
                data=data,
                previous=previous,
                incident_previous=last.hash if last else GENESIS,
            )
        )

    # ── reading ──────────────────────────────────────────────────────────────

    async def chat_since(self, incident: str, number: int) -> list[Event]:
        """An incident's chat after event `number`, in order."""
        query = (
            select(events)
            .where(events.c.incident == incident, events.c.kind == "chat", events.c.number > number)
            .order_by(events.c.number)
        )
        return await self._database.read(lambda c: [_event(r) for r in c.execute(query)])

    async def find_chat(self, incident: str, actor: str, chat_id: str) -> Event | None:
        """A chat text that `actor` has recorded under its own id."""
        query = select(events).where(
            events.c.incident == incident,
            events.c.kind == "chat",
            events.c.actor == actor,
            func.json_extract(events.c.data, "$.id") == chat_id,
        )

        def find(connection: Connection) -> Event | None:
            row = connection.execute(query).first()
            return _event(row) if row else None

        return await self._database.read(find)

    async def search(
        self, *, query: str = "", before: str | None = None, limit: int = 50
    ) -> list[IncidentRow]:
        """Incidents, newest first; all words of `query` must be found in each.

        Searched are device, user, system, technicians, id and chat. `before`
        is the last id of the page before.
        """
        newest = (incidents.c.opened_at.desc(), incidents.c.id.desc())
        statement = select(incidents).order_by(*newest).limit(limit)
        for word in query.split()[:10]:
            statement = statement.where(_mentions(word))
        if before is not None:
            opened_at = select(incidents.c.opened_at).where(incidents.c.id == before)
            here = tuple_(incidents.c.opened_at, incidents.c.id)
            statement = statement.where(here < tuple_(opened_at.scalar_subquery(), before))
        return await self._database.read(
            lambda c: [_as_incident(row) for row in c.execute(statement)]
        )

    async def get(self, incident: str) -> tuple[IncidentRow, list[Event]] | None:
        """One incident with all of its events."""
        statement = select(events).where(events.c.incident == incident).order_by(events.c.number)

        def read(connection: Connection) -> tuple[IncidentRow, list[Event]] | None:
            row = _row(connection, incident)
            if row is None:
                return None
            return row, [_event(found) for found in connection.execute(statement)]

        return await self._database.read(read)

    async def events(self, incident: str | None = None) -> list[Event]:
        """All events of one incident, or of the whole log, in order."""
        statement = select(events).order_by(events.c.seq)
        if incident is not None:
            statement = statement.where(events.c.incident == incident)
        return await self._database.read(lambda c: [_event(row) for row in c.execute(statement)])

    async def verify(self) -> Verification:
        """Check the whole log: chain, head, and the rows that follow from it."""
        return await self._database.read(_verify)


def _verify(connection: Connection) -> Verification:
    log = list(_all_events(connection))
    problems = check_log(log, _head(connection))
    expected = projection.projected(log)
    found = {row.id: _as_incident(row) for row in connection.execute(select(incidents))}
    last = {event.incident: event.seq for event in log}
    for incident in sorted(expected.keys() | found.keys()):
        if expected.get(incident) != found.get(incident):
            what = "its line in the list of incidents does not follow from its events"
            problems.append(Problem(last.get(incident, 0), incident, what))
    return Verification(len(log), len(found), problems)


# ── rows and values ──────────────────────────────────────────────────────────


def _write(connection: Connection, event: Event) -> None:
    fields = msgspec.structs.asdict(event) | {"data": canonical(event.data)}
    connection.execute(insert(events).values(**fields))
    head = {"seq": event.seq, "hash": event.hash}
    if event.seq == 1:
        connection.execute(insert(chain_head).values(id=HEAD, **head))
    else:
        connection.execute(update(chain_head).where(chain_head.c.id == HEAD).values(**head))


def _head(connection: Connection) -> tuple[int, str] | None:
    statement = select(chain_head.c.seq, chain_head.c.hash).where(chain_head.c.id == HEAD)
    row = connection.execute(statement).first()
    return (row.seq, row.hash) if row else None


def _row(connection: Connection, incident: str) -> IncidentRow | None:
    row = connection.execute(select(incidents).where(incidents.c.id == incident)).first()
    return _as_incident(row) if row else None


def _last_event(connection: Connection, incident: str) -> Event | None:
    statement = select(events).where(events.c.incident == incident)
    row = connection.execute(statement.order_by(events.c.number.desc()).limit(1)).first()
    return _event(row) if row else None


def _all_events(connection: Connection) -> Iterator[Event]:
    for row in connection.execute(select(events).order_by(events.c.seq)):
        yield _event(row)


def _event(row: Row[Any]) -> Event:
    fields = dict(row._mapping)
    try:
        fields["data"] = msgspec.json.decode(fields["data"], type=dict[str, Any])
    except (msgspec.DecodeError, TypeError):
        fields["data"] = {"unreadable": str(fields["data"])}
    return Event(**fields)


def _columns(row: IncidentRow) -> dict[str, Any]:
    fields = msgspec.structs.asdict(row)
    del fields["id"], fields["state"]
    return fields | {"technicians": msgspec.json.encode(row.technicians).decode()}


def _as_incident(row: Row[Any]) -> IncidentRow:
    fields = dict(row._mapping)
    try:
        names = msgspec.json.decode(fields.pop("technicians"), type=tuple[str, ...])
    except (msgspec.DecodeError, TypeError):
        names = ()
    state: Literal["open", "ended"] = "open" if fields["ended_at"] is None else "ended"
    return IncidentRow(**fields, technicians=names, state=state)


def _mentions(word: str) -> Any:
    columns = incidents.c.host, incidents.c.user, incidents.c.system, incidents.c.technicians
    chat = select(events.c.seq).where(
        and_(
            events.c.incident == incidents.c.id,
            events.c.kind == "chat",
            func.json_extract(events.c.data, "$.text").icontains(word, autoescape=True),
        )
    )
    found = [column.icontains(word, autoescape=True) for column in columns]
    return or_(*found, incidents.c.id == word, chat.exists())
