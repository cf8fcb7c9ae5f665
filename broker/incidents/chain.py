"""The hash chain of the incident log; pure.

Each event's hash covers all of its fields, the hash of the event before it in
the whole log and of the event before it in its own incident. So the log proves
that nothing was changed, removed or moved in it, and an exported incident
proves the same of itself without the rest of the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

GENESIS = "0" * 64
"""Stands for the event before the first."""

_encoder = msgspec.json.Encoder(order="deterministic")


class Event(Struct, frozen=True):
    """One entry of the log. Times are RFC 3339 in UTC, hashes hexadecimal SHA-256."""

    seq: int  # in the whole log, from 1
    incident: str
    number: int  # in its incident, from 1
    at: str
    kind: str
    actor: str
    data: dict[str, Any]
    previous: str
    incident_previous: str
    hash: str = ""


class Problem(Struct, frozen=True):
    """Something that `verify` found wrong, and where."""

    seq: int
    incident: str
    what: str


def canonical(data: dict[str, Any]) -> str:
    """A JSON object in its one form: sorted keys, no spaces, UTF-8."""
    return _encoder.encode(data).decode()


def sealed(event: Event) -> Event:
    """The event with its hash."""
    return replace(event, hash=digest(event))


def digest(event: Event) -> str:
    """SHA-256 over the canonical JSON of every field but the hash itself."""
    fields = [
        event.seq,
        event.incident,
        event.number,
        event.at,
        event.kind,
        event.actor,
        event.data,
        event.previous,
        event.incident_previous,
    ]
    return hashlib.sha256(_encoder.encode(fields)).hexdigest()


def check_log(events: Iterable[Event], head: tuple[int, str] | None) -> list[Problem]:
    """What is wrong with a whole log, in order of `seq`; `head` is (seq, hash)."""
    problems: list[Problem] = []
    last: Event | None = None
    tails: dict[str, Event] = {}
    for event in events:
        problems += _check_event(event)
        problems += _check_step(event, last)
        problems += _check_incident_step(event, tails.get(event.incident))
        tails[event.incident] = event
        last = event
    found = (last.seq, last.hash) if last else (0, GENESIS)
    expected = head or (0, GENESIS)
    if found != expected:
        what = f"the log ends with event {found[0]}, but its head names event {expected[0]}"
        problems.append(Problem(expected[0], last.incident if last else "", what))
    return problems


def check_incident(events: Iterable[Event]) -> list[Problem]:
    """What is wrong with one incident's events, in order, apart from the log."""
    problems: list[Problem] = []
    last: Event | None = None
    for event in events:
        problems += _check_event(event)
        problems += _check_incident_step(event, last)
        last = event
    if last is None:
        problems.append(Problem(0, "", "there are no events"))
    return problems


def _check_event(event: Event) -> list[Problem]:
    if event.hash == digest(event):
        return []
    return [Problem(event.seq, event.incident, "its content was changed after it was written")]


def _check_step(event: Event, last: Event | None) -> list[Problem]:
    seq, previous = (last.seq + 1, last.hash) if last else (1, GENESIS)
    if event.seq != seq:
        what = f"the log jumps from {seq - 1} to {event.seq}: events were removed or moved"
        return [Problem(event.seq, event.incident, what)]
    if event.previous != previous:
        what = "it does not follow the event before it: one of the two was changed or moved"
        return [Problem(event.seq, event.incident, what)]
    return []


def _check_incident_step(event: Event, last: Event | None) -> list[Problem]:
    if last is not None and last.incident != event.incident:
        return [Problem(event.seq, event.incident, "it belongs to another incident")]
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    if (event.number, event.incident_previous) == (number, previous):
        return []
    what = f"its incident has no event {number} before it: events were removed or moved"
    return [Problem(event.seq, event.incident, what)]
