"""Appends to an incident log until it is killed, and prints what is durable."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from broker.database import Database
from broker.incidents.store import IncidentStore

WRITERS = 8


async def main() -> None:
    """Several writers at once, so that commits hold groups."""
    store = IncidentStore(Database.open(Path(sys.argv[1])))
    await store.open("killed", {"host": "h", "user": "u", "system": "s"})

    async def write(first: int) -> None:
        for number in range(first, 100_000, WRITERS):
            data = {"id": f"c-{number}", "name": "n", "text": str(number)}
            await store.append("killed", "chat", "person", data)
            print(f"appended {number}", flush=True)

    await asyncio.gather(*(write(first) for first in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main())
