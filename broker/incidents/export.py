"""Incidents as text for people and as JSON for machines; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from broker.incidents.chain import Event, Problem, check_incident
from broker.incidents.projection import IncidentRow
from broker.incidents.verification import Verification


def rows_text(rows: Sequence[IncidentRow]) -> str:
    """A line an incident."""
    if not rows:
        return "no incidents"
    return "\n".join(
        f"{row.id}  {local_time(row.opened_at)}  {_plain(row.user)}@{_plain(row.host)}"
        f"  {_plain(', '.join(row.technicians)) or '-'}  {row.reason or 'open'}  {row.chats} chat"
        for row in rows
    )


def rows_json(rows: Sequence[IncidentRow]) -> str:
    """The same as a JSON array."""
    return msgspec.json.encode(rows).decode()


def incident_text(row: IncidentRow, events: Sequence[Event]) -> str:
    """One incident with its timeline."""
    ended = local_time(row.ended_at) if row.ended_at else "still open"
    head = [
        f"incident     {row.id}",
        f"device       {_plain(row.user)}@{_plain(row.host)}, {_plain(row.system)}",
        f"opened       {local_time(row.opened_at)}",
        f"ended        {ended}{f' ({row.reason})' if row.reason else ''}",
        f"technicians  {', '.join(row.technicians) or 'none'}",
        "",
    ]
    names = _names(events)
    lines = [
        f"{event.number:4}  {local_time(event.at)}  {names.get(event.actor, event.actor):16}"
        f"  {event.kind:17}  {_details(event, names)}".rstrip()
        for event in events
    ]
    return "\n".join(head + lines)


def incident_json(row: IncidentRow, events: Sequence[Event]) -> str:
    """The same as a JSON object."""
    return msgspec.json.encode({"incident": row, "events": events}).decode()


def event_line(event: Event) -> str:
    """One event as a line of JSON, with all that its hash covers."""
    return msgspec.json.encode(event).decode()


def verification_text(found: Verification) -> str:
    """What was verified, or each problem on a line."""
    counted = f"{found.events} events in {found.incidents} incidents"
    if found.ok:
        return f"verified: {counted}, nothing changed, removed or moved"
    lines = [f"event {p.seq} ({p.incident or 'no incident'}): {p.what}" for p in found.problems]
    return "\n".join([f"PROBLEMS: {len(lines)}, in {counted}", *lines])


def verification_json(found: Verification) -> str:
    """The same as a JSON object."""
    fields = {"ok": found.ok, "events": found.events, "incidents": found.incidents}
    return msgspec.json.encode(fields | {"problems": found.problems}).decode()


def verify_lines(lines: Iterable[bytes]) -> Verification:
    """Check exported events of one incident, without the log they come from."""
    events: list[Event] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(msgspec.json.decode(line, type=Event))
        except (msgspec.DecodeError, UnicodeError) as error:
            problems.append(Problem(number, "", f"line {number} is not an event: {error}"))
    problems += check_incident(events)
    return Verification(len(events), len({event.incident for event in events}), problems)


def local_time(at: str) -> str:
    """An RFC 3339 time in this machine's zone, to the second."""
    try:
        moment = datetime.fromisoformat(at).astimezone()
    except ValueError:
        return at
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"


def _names(events: Iterable[Event]) -> dict[str, str]:
    """Technicians' names by their ids, as the events tell them."""
    return {
        str(event.data["technician"]): _plain(event.data["name"])
        for event in events
        if "technician" in event.data and "name" in event.data
    }


def _details(event: Event, names: dict[str, str]) -> str:
    if event.kind == "chat":
        return f"{_plain(event.data.get('name', ''))}: {_plain(event.data.get('text', ''))}"
    return "  ".join(
        f"{field}={names.get(str(value), _plain(value))}"
        for field, value in event.data.items()
        if not (field == "name" and "technician" in event.data)
    )


def _plain(value: object) -> str:
    """A peer's text without what could drive a terminal."""
    text = str(value).replace("\n", " ⏎ ")
    return "".join(c if c.isprintable() else "�" for c in text)
