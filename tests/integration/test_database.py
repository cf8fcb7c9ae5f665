"""The database: durable groups, isolation of failures, clear errors."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from broker.database import FILE_NAME, GROUP_MAX, QUEUE_MAX, Database, DatabaseBusy, DatabaseFailed
from tests.support.database import database


def count(connection: Connection) -> int:
    return connection.scalar(text("SELECT count(*) FROM notes")) or 0


def add(what: str, connection: Connection) -> None:
    connection.execute(text("INSERT INTO notes VALUES (:what)"), {"what": what})


async def make_notes(opened: Database) -> None:
    await opened.write(lambda c: c.execute(text("CREATE TABLE notes (what TEXT)")) and None)


async def test_it_is_durable_by_its_settings(tmp_path: Path) -> None:
    async with database(tmp_path / "new") as opened:
        mode = await opened.read(lambda c: c.scalar(text("PRAGMA journal_mode")))
        synchronous = await opened.write(lambda c: c.scalar(text("PRAGMA synchronous")))
        assert (mode, synchronous) == ("wal", 2)
        assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o700


async def test_one_failing_write_does_not_spoil_its_group(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await make_notes(opened)

        def fail(connection: Connection) -> None:
            add("half done", connection)
            raise RuntimeError("mine alone")

        results = await asyncio.gather(
            *(opened.write(partial(add, f"note {n}")) for n in range(20)),
            opened.write(fail),
            *(opened.write(partial(add, f"more {n}")) for n in range(20)),
            return_exceptions=True,
        )
        failures = [result for result in results if result is not None]
        assert [str(failure) for failure in failures] == ["mine alone"]
        assert await opened.read(count) == 40


async def test_a_caller_that_gives_up_does_not_break_the_others(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await make_notes(opened)
        impatient = [asyncio.create_task(opened.write(partial(add, "impatient"))) for _ in range(5)]
        patient = [asyncio.create_task(opened.write(partial(add, "p"))) for _ in range(5)]
        await asyncio.sleep(0)
        for task in impatient:
            task.cancel()
        await asyncio.gather(*patient)
        await opened.write(partial(add, "afterwards"))
        assert await opened.read(count) >= 6


async def test_a_full_disk_fails_everyone_clearly_and_heals(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await make_notes(opened)
        pages = await opened.write(lambda c: c.scalar(text("PRAGMA page_count")))
        await opened.write(lambda c: c.execute(text(f"PRAGMA max_page_count = {pages}")) and None)
        big = "x" * 200_000
        results = await asyncio.gather(
            *(opened.write(partial(add, big)) for _ in range(3)), return_exceptions=True
        )
        assert all(isinstance(result, DatabaseFailed) for result in results)
        assert "make room" in str(results[0])
        await opened.write(lambda c: c.execute(text("PRAGMA max_page_count = 1073741823")) and None)
        await opened.write(partial(add, big))
        assert await opened.read(count) == 1


async def test_too_many_waiting_writes_are_refused_at_once(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        await make_notes(opened)
        release = threading.Event()
        slow = asyncio.create_task(opened.write(lambda c: release.wait(30.0)))
        writes = [opened.write(partial(add, "n")) for _ in range(QUEUE_MAX + 2 * GROUP_MAX)]
        asyncio.get_running_loop().call_later(0.5, release.set)
        results = await asyncio.gather(*writes, return_exceptions=True)
        await slow
        assert any(isinstance(result, DatabaseBusy) for result in results)
        assert await opened.read(count) == sum(result is None for result in results)


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    opened = Database.open(tmp_path)
    await make_notes(opened)
    waiting = [asyncio.create_task(opened.write(partial(add, "n"))) for _ in range(50)]
    await asyncio.sleep(0)
    await opened.close()
    await asyncio.gather(*waiting)
    with pytest.raises(DatabaseFailed):
        await opened.write(partial(add, "late"))
    async with database(tmp_path) as again:
        assert await again.read(count) == 50


def test_what_cannot_be_opened_is_said_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database at all" * 100)
    with pytest.raises(DatabaseFailed, match="not an Ayuda database"):
        Database.open(tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DatabaseFailed, match="cannot open"):
        Database.open(blocked)
