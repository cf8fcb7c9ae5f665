"""A real database in a folder of its own."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from broker.database import FILE_NAME, Database


@contextlib.asynccontextmanager
async def database(directory: Path) -> AsyncIterator[Database]:
    """Open for as long as the context lasts."""
    opened = Database.open(directory)
    try:
        yield opened
    finally:
        await opened.close()


def tamper(directory: Path, *statements: str) -> None:
    """Change the file as somebody with an editor for SQLite would."""
    connection = sqlite3.connect(directory / FILE_NAME)
    try:
        for trigger in ("events_no_update", "events_no_delete"):
            connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    finally:
        connection.close()
