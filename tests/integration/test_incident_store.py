"""The incident log on a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from broker.database import Database
from broker.incidents.chain import check_incident
from broker.incidents.store import IncidentEnded, IncidentStore
from tests.support.database import database, tamper

DEVICE = {"host": "desk-7", "user": "eva", "system": "Debian 12", "device": "f" * 64}


def _execute(statement: str, connection: Connection) -> None:
    connection.execute(text(statement))


async def fill(store: IncidentStore) -> None:
    """Three incidents: two ended, one open."""
    for incident, name in (("one", "Ana Ruiz"), ("two", "Ben Okoro"), ("three", "Ana Ruiz")):
        await store.open(incident, {**DEVICE, "host": f"host-{incident}"})
        await store.append(incident, "joined", "t1", {"technician": "t1", "name": name})
        chat = {"id": f"chat-{incident}", "name": name, "text": f"100% of {incident}_disk"}
        await store.append(incident, "chat", "t1", chat)
    await store.end("one", "person", {"reason": "person-ended"})
    await store.end("two", "broker", {"reason": "technician-lost"})


async def test_an_incident_is_its_events_in_order(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        await fill(store)
        found = await store.get("one")
        assert found is not None
        row, events = found
        assert [event.kind for event in events] == ["request-opened", "joined", "chat", "ended"]
        assert [event.number for event in events] == [1, 2, 3, 4]
        assert (row.state, row.reason, row.technicians, row.chats) == (
            "ended",
            "person-ended",
            ("Ana Ruiz",),
            1,
        )
        assert check_incident(events) == []
        assert await store.get("unheard-of") is None


async def test_nothing_is_added_to_what_has_ended_or_never_was(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        await fill(store)
        for incident in ("one", "unheard-of"):
            with pytest.raises(IncidentEnded):
                await store.append(incident, "chat", "t1", {"id": "x", "text": "late"})
        assert (await store.verify()).ok


async def test_the_log_refuses_changes_even_to_our_own_code(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await fill(IncidentStore(opened))
        for statement in ("UPDATE events SET kind = 'x'", "DELETE FROM events"):
            with pytest.raises(IntegrityError, match="append-only"):
                await opened.write(partial(_execute, statement))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["three", "two", "one"]),
        ("ruiz", ["three", "one"]),
        ("RUIZ host-one", ["one"]),
        ("100%", ["three", "two", "one"]),
        ("two_disk", ["two"]),
        ("t%o_disk", []),
        ("two", ["two"]),
        ("nobody", []),
    ],
)
async def test_search_finds_devices_people_and_chat(
    tmp_path: Path, query: str, found: list[str]
) -> None:
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        await fill(store)
        assert [row.id for row in await store.search(query=query)] == found


async def test_pages_follow_each_other_without_gap_or_repeat(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    async with database(tmp_path) as opened:
        store = IncidentStore(opened, lambda: moment)
        for number in range(7):
            await store.open(f"i{number}", DEVICE)
            moment += timedelta(seconds=number % 2)  # some at the very same time
        seen: list[str] = []
        while page := await store.search(before=seen[-1] if seen else None, limit=2):
            seen += [row.id for row in page]
        assert sorted(seen) == sorted(f"i{n}" for n in range(7))
        assert len(seen) == 7


async def test_chat_is_found_by_its_writers_id_and_replayed_from_a_number(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        await fill(store)
        event = await store.find_chat("one", "t1", "chat-one")
        assert event is not None
        assert event.number == 3
        assert await store.find_chat("one", "person", "chat-one") is None
        assert [e.number for e in await store.chat_since("one", 2)] == [3]
        assert await store.chat_since("one", 3) == []


async def test_what_a_killed_broker_left_open_is_closed_with_the_true_reason(
    tmp_path: Path,
) -> None:
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        await fill(store)
        assert await store.close_abandoned({"reason": "broker-killed"}) == ["three"]
        assert await store.close_abandoned({"reason": "broker-killed"}) == []
        found = await store.get("three")
        assert found is not None
        row, events = found
        assert row.reason == "broker-killed"
        assert events[-1].data["last_event_at"] == events[-2].at
        assert (await store.verify()).ok


async def test_writers_at_the_same_time_share_one_chain(tmp_path: Path) -> None:
    async with database(tmp_path) as one, database(tmp_path) as other:
        stores = [IncidentStore(one), IncidentStore(other)]
        await stores[0].open("i", DEVICE)
        await asyncio.gather(
            *(
                stores[n % 2].append("i", "chat", "t", {"id": f"c{n}", "text": "x"})
                for n in range(60)
            )
        )
        found = await stores[0].verify()
        assert found.ok
        assert found.events == 61


TAMPERINGS = {
    "a changed text": "UPDATE events SET data = replace(data, 'one', 'two') WHERE seq = 3",
    "a changed time": "UPDATE events SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 2",
    "a changed hash": "UPDATE events SET hash = previous WHERE seq = 4",
    "unreadable data": "UPDATE events SET data = 'no json' WHERE seq = 5",
    "a removed first event": "DELETE FROM events WHERE seq = 1",
    "a removed middle event": "DELETE FROM events WHERE seq = 5",
    "a removed last event": "DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)",
    "a removed incident": "DELETE FROM events WHERE incident = 'two'",
    "swapped actors": "UPDATE events SET actor = CASE seq WHEN 2 THEN 'x' ELSE actor END",
    "swapped events": "UPDATE events SET seq = CASE seq WHEN 2 THEN 300 WHEN 3 THEN 2 ELSE seq END",
    "a removed head": "DELETE FROM chain_head",
    "an older head": "UPDATE chain_head SET seq = 2",
    "a changed end": "UPDATE incidents SET reason = 'declined' WHERE id = 'one'",
    "a hidden incident": "UPDATE incidents SET host = 'x' WHERE id = 'two'",
    "an invented event": "INSERT INTO events SELECT 99, 'one', 99, at, kind, actor, data, hash, "
    "hash, hash FROM events WHERE seq = 1",
}


@pytest.mark.parametrize("name", TAMPERINGS)
async def test_verify_finds(tmp_path: Path, name: str) -> None:
    async with database(tmp_path) as opened:
        await fill(IncidentStore(opened))
    tamper(tmp_path, "PRAGMA foreign_keys = OFF", TAMPERINGS[name])
    async with database(tmp_path) as opened:
        found = await IncidentStore(opened).verify()
        assert not found.ok
        assert found.problems[0].what


async def test_an_untouched_log_verifies_after_opening_again(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await fill(IncidentStore(opened))
    again: Database
    async with database(tmp_path) as again:
        found = await IncidentStore(again).verify()
        assert (found.ok, found.incidents, found.events) == (True, 3, 11)
