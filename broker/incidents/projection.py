"""What lists show of an incident, as it follows from its events; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from broker.incidents.chain import Event


class IncidentRow(Struct, frozen=True):
    """One incident in a list. Times are RFC 3339 in UTC."""

    id: str
    opened_at: str
    ended_at: str | None
    state: Literal["open", "ended"]
    reason: str | None
    host: str
    user: str
    system: str
    technicians: tuple[str, ...]  # names, in order of joining
    chats: int


def opened(event: Event) -> IncidentRow:
    """The row of an incident whose first event this is."""
    data = event.data
    return IncidentRow(
        id=event.incident,
        opened_at=event.at,
        ended_at=None,
        state="open",
        reason=None,
        host=str(data.get("host", "")),
        user=str(data.get("user", "")),
        system=str(data.get("system", "")),
        technicians=(),
        chats=0,
    )


def after(row: IncidentRow, event: Event) -> IncidentRow:
    """The row after one more event."""
    match event.kind:
        case "joined":
            name = str(event.data.get("name", ""))
            known = name in row.technicians
            return row if known else replace(row, technicians=(*row.technicians, name))
        case "chat":
            return replace(row, chats=row.chats + 1)
        case "ended":
            reason = str(event.data.get("reason", ""))
            return replace(row, ended_at=event.at, state="ended", reason=reason)
    return row


def projected(events: Iterable[Event]) -> dict[str, IncidentRow]:
    """The rows that follow from a whole log."""
    rows: dict[str, IncidentRow] = {}
    for event in events:
        row = rows.get(event.incident)
        rows[event.incident] = after(row, event) if row else opened(event)
    return rows
