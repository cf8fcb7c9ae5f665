"""The hash chain: whatever is changed, removed, added or moved is found."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from broker.incidents.chain import (
    GENESIS,
    Event,
    canonical,
    check_incident,
    check_log,
    digest,
    sealed,
)


def log(incidents: list[str]) -> list[Event]:
    """A sound log with one event for each entry."""
    events: list[Event] = []
    for place, incident in enumerate(incidents):
        own = [event for event in events if event.incident == incident]
        events.append(
            sealed(
                Event(
                    seq=place + 1,
                    incident=incident,
                    number=len(own) + 1,
                    at=f"2026-01-01T00:00:{place:02}.000000Z",
                    kind="chat",
                    actor="person",
                    data={"text": f"line {place}", "n": place},
                    previous=events[-1].hash if events else GENESIS,
                    incident_previous=own[-1].hash if own else GENESIS,
                )
            )
        )
    return events


def head(events: list[Event]) -> tuple[int, str]:
    return events[-1].seq, events[-1].hash


INCIDENTS = st.lists(st.sampled_from("abc"), min_size=2, max_size=12)


@given(INCIDENTS)
def test_a_sound_log_has_no_problems(incidents: list[str]) -> None:
    events = log(incidents)
    assert check_log(events, head(events)) == []
    for incident in set(incidents):
        assert check_incident([e for e in events if e.incident == incident]) == []


def test_an_empty_log_is_sound_and_an_empty_export_is_not() -> None:
    assert check_log([], None) == []
    assert check_incident([]) != []


CHANGES: dict[str, Any] = {
    "seq": 999,
    "incident": "x",
    "number": 999,
    "at": "2026-01-02T00:00:00.000000Z",
    "kind": "ended",
    "actor": "somebody",
    "data": {"text": "another"},
    "previous": "f" * 64,
    "incident_previous": "f" * 64,
    "hash": "f" * 64,
}


@given(INCIDENTS, st.data(), st.sampled_from(sorted(CHANGES)))
def test_a_changed_field_is_found(incidents: list[str], data: st.DataObject, field: str) -> None:
    events = log(incidents)
    place = data.draw(st.integers(0, len(events) - 1))
    tampered = list(events)
    tampered[place] = Event(**asdict(events[place]) | {field: CHANGES[field]})
    assert check_log(tampered, head(events))


@given(INCIDENTS, st.data())
def test_a_changed_event_with_a_fresh_hash_is_found(
    incidents: list[str], data: st.DataObject
) -> None:
    events = log(incidents)
    place = data.draw(st.integers(0, len(events) - 1))
    tampered = list(events)
    tampered[place] = sealed(replace(events[place], actor="somebody else"))
    assert check_log(tampered, head(events))


@given(INCIDENTS, st.data())
def test_a_removed_event_is_found_wherever_it_was(
    incidents: list[str], data: st.DataObject
) -> None:
    events = log(incidents)
    place = data.draw(st.integers(0, len(events) - 1))
    assert check_log(events[:place] + events[place + 1 :], head(events))


@given(INCIDENTS, st.data())
def test_moved_events_are_found(incidents: list[str], data: st.DataObject) -> None:
    events = log(incidents)
    order = data.draw(st.permutations(events))
    if order != events:
        assert check_log(order, head(events))


@given(INCIDENTS)
def test_a_removed_incident_is_found(incidents: list[str]) -> None:
    events = log(incidents)
    left = [event for event in events if event.incident != incidents[0]]
    assert check_log(left, head(events))


@given(st.lists(st.just("a"), min_size=3, max_size=8), st.data())
def test_an_export_proves_itself_but_for_its_tail(
    incidents: list[str], data: st.DataObject
) -> None:
    events = log(incidents)
    place = data.draw(st.integers(0, len(events) - 2))
    assert check_incident(events[:place] + events[place + 1 :])


VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=5))
def test_the_order_of_fields_does_not_matter_to_the_hash(data: dict[str, Any]) -> None:
    backwards = dict(reversed(list(data.items())))
    assert canonical(data) == canonical(backwards)
    event = log(["a"])[0]
    assert digest(replace(event, data=data)) == digest(replace(event, data=backwards))
