"""The database: migrations, one writer thread with group commit, readers.

Everyone who writes hands the writer thread a function. The thread takes all
that wait, runs each in a savepoint of one transaction, commits once (one
`fsync`), and only then answers: what was answered is durable. The event loop
never waits for the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

FILE_NAME = "ayuda.db"
QUEUE_MAX = 10_000
"""Writes that may wait; one more is refused at once."""

GROUP_MAX = 256
"""Writes in one transaction at the most, so that none waits for too many others."""

BUSY_S = 10.0
"""How long to wait for another process (a command line) that writes."""

READERS = 4

metadata = MetaData()

T = TypeVar("T")


class DatabaseBusy(Exception):
    """Too many writes wait; try again."""


class DatabaseFailed(Exception):
    """The database cannot be opened, read or written; the text names the next step."""


class _Write:
    """One waiting write and the future that gets its outcome after the commit."""

    def __init__(self, operation: Callable[[Connection], Any]) -> None:
        self.operation = operation
        self.future: Future[Any] = Future()
        self.value: Any = None
        self.error: BaseException | None = None


class Database:
    """One SQLite file, open for reading and writing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._queue: queue.Queue[_Write | None] = queue.Queue(QUEUE_MAX)
        self._readers = ThreadPoolExecutor(READERS, "database-reader")
        self._writer = threading.Thread(target=self._run, name="database-writer", daemon=True)
        self._writer.start()
        self._closed = False

    @classmethod
    def open(cls, directory: Path) -> Database:
        """Open (or make) the database in `directory` and bring its schema up to date.

        Raises DatabaseFailed.
        """
        file = directory / FILE_NAME
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            engine = _engine(file)
            _migrate(engine)
        except (OSError, SQLAlchemyError, sqlite3.Error, CommandError) as error:
            raise DatabaseFailed(f"cannot open {file}: {_reason(error)}") from None
        return cls(engine)

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation` in the next transaction; durable on return.

        What `operation` itself raises reaches only its caller, and undoes only
        its own work. Raises DatabaseBusy, DatabaseFailed.
        """
        if self._closed:
            raise DatabaseFailed("the database is closed")
        write = _Write(operation)
        try:
            self._queue.put_nowait(write)
        except queue.Full:
            raise DatabaseBusy("too many writes wait for the disk; try again") from None
        result: T = await asyncio.wrap_future(write.future)
        return result

    async def read(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation` on a consistent view. Raises DatabaseFailed."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, operation)

    async def close(self) -> None:
        """Finish what waits, then close."""
        if self._closed:
            return
        self._closed = True
        await asyncio.to_thread(self._queue.put, None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._engine.dispose()

    def _read(self, operation: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection, connection.begin():
                return operation(connection)
        except SQLAlchemyError as error:
            raise DatabaseFailed(f"cannot read the database: {_reason(error)}") from None

    # ── the writer thread ────────────────────────────────────────────────────

    def _run(self) -> None:
        while True:
            group, last = self._next_group()
            if group:
                self._commit(group)
            if last:
                return

    def _next_group(self) -> tuple[list[_Write], bool]:
        """All that wait now (at least one), and whether the database closes after."""
        group: list[_Write] = []
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) >= GROUP_MAX:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[_Write]) -> None:
        # From here on nobody can give up: a write that is begun is answered.
        group = [write for write in group if write.future.set_running_or_notify_cancel()]
        try:
            with self._engine.connect() as connection, _immediate(connection):
                for write in group:
                    _attempt(connection, write)
        except (SQLAlchemyError, sqlite3.Error) as error:
            failed = DatabaseFailed(f"cannot write the database: {_reason(error)}")
            for write in group:
                write.future.set_exception(failed)
            return
        for write in group:
            if write.error is not None:
                write.future.set_exception(write.error)
            else:
                write.future.set_result(write.value)


def _attempt(connection: Connection, write: _Write) -> None:
    """Run one write in a savepoint. Trouble with the database itself is raised."""
    savepoint = connection.begin_nested()
    try:
        write.value = write.operation(connection)
    except Exception as error:
        if _is_storage_trouble(error):
            raise  # SQLite may have undone the transaction, savepoints and all
        savepoint.rollback()
        write.error = error
    else:
        savepoint.commit()


def _is_storage_trouble(error: Exception) -> bool:
    """Disk full, I/O error, locked, corrupt: not the operation's own mistake."""
    original = getattr(error, "orig", None)
    return isinstance(original, sqlite3.OperationalError | sqlite3.DatabaseError) and not (
        isinstance(original, sqlite3.IntegrityError | sqlite3.ProgrammingError)
    )


@contextlib.contextmanager
def _immediate(connection: Connection) -> Iterator[None]:
    """A transaction that takes the write lock at once, so that reads in it hold."""
    connection.info["immediate"] = True
    try:
        with connection.begin():
            yield
    finally:
        connection.info.pop("immediate", None)


# ── opening ──────────────────────────────────────────────────────────────────


def _engine(file: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{file}",
        connect_args={"timeout": BUSY_S, "check_same_thread": False, "isolation_level": None},
        pool_size=READERS + 1,
    )
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # The driver's own transaction control is off (isolation_level=None), because
    # it would not begin before a SELECT and would commit around savepoints.
    kind = "IMMEDIATE" if connection.info.get("immediate") else "DEFERRED"
    connection.exec_driver_sql(f"BEGIN {kind}")


def _migrate(engine: Engine) -> None:
    with as_file(files("broker") / "migrations") as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts))
        directory = ScriptDirectory.from_config(config)
        with engine.connect() as connection:
            if _revision(connection) == directory.get_current_head():
                return
            with _immediate(connection):
                config.attributes["connection"] = connection
                command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    with connection.begin():
        known = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        if connection.execute(text(known)).first() is None:
            return None
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return row[0] if row else None


def _reason(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    said = str(original)
    steps = {
        "full": "The disk is full: make room, then try again.",
        "readonly": "The folder is read-only: give this user the right to write.",
        "unable to open": "Check that the folder exists and that this user may write to it.",
        "locked": "Another process holds it: wait for it or end it.",
        "malformed": "The file is damaged: restore it from a backup.",
        "not a database": "The file is not an Ayuda database: choose another folder.",
        "Can't locate revision": "It was made by a newer Ayuda: update this one.",
    }
    step = next((step for words, step in steps.items() if words in said), "")
    return f"{said}. {step}".strip()
