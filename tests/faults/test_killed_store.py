"""The incident log under kill -9: what was acknowledged is there, once, and verifies."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from broker.incidents.store import IncidentStore
from tests.support.child import Child
from tests.support.database import database

ROUNDS = 3 * int(os.environ.get("AYUDA_SOAK", "1"))


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_a_killed_writer_loses_nothing_that_it_acknowledged(
    tmp_path: Path, seed: int
) -> None:
    writer = await Child.start(["tests.support.appender", str(tmp_path)])
    await writer.line("^appended 20$")
    await asyncio.sleep(random.Random(seed).uniform(0.0, 0.4))
    writer.signal(signal.SIGKILL)
    await writer.wait()
    acknowledged = {int(line.split()[1]) for line in writer.lines if line.startswith("appended ")}
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        assert (await store.verify()).ok
        found = await store.get("killed")
        assert found is not None
        texts = [int(event.data["text"]) for event in found[1] if event.kind == "chat"]
        assert len(texts) == len(set(texts))
        assert acknowledged <= set(texts)
        assert await store.close_abandoned({"reason": "broker-killed"}) == ["killed"]
        assert (await store.verify()).ok
