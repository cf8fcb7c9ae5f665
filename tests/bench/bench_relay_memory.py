"""Memory of the relay: for each viewer, and after many have come and gone.

    make bench-relay_memory

Viewers of one stream of 300 packets/s are a process of their own; this one, the relay,
is measured before and after they have joined. Then clients join and leave, one after
the other.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os

import psutil

from broker.protocol import CHANNELS
from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, PeerState
from broker.rtc.relay import Relay
from tests.bench.bench_relay import our_relay
from tests.bench.report import figure, report
from tests.support.child import Child

VIEWERS = 50
JOINS = int(os.environ.get("AYUDA_BENCH_JOINS", "1000"))
WARM = 200
"""Joins before the first look: what is allocated once is no growth."""

SECONDS = 5.0
MEBI = 1024 * 1024


def resident_mb() -> float:
    """This process's resident memory."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / MEBI


async def viewers_mb() -> float:
    """What one viewer more takes, while the stream flows."""
    async with our_relay("127.0.0.1", batched=True) as answer:
        load = await Child.start(["tests.bench.relay_load", str(VIEWERS), str(SECONDS)])
        offers = json.loads((await load.line(r"^\[.*\]$"))[0])
        first = 0.0
        for number, (offer, port) in enumerate(offers):
            await load.type(json.dumps(await answer(number, offer, port)))
            await load.line(f"^connected {number}$")
            first = resident_mb() if number == 1 else first
        await asyncio.sleep(SECONDS / 2)
        each = (resident_mb() - first) / (VIEWERS - 1)
        await load.line(r'^\{"sent"', timeout_s=SECONDS + 20.0)
        await load.end()
    return each


async def join_and_leave(engine: Engine, client: Engine, relay: Relay) -> None:
    """One viewer connects, is added, and goes."""
    here: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_state(peer: object, state: PeerState, why: str) -> None:
        if state is PeerState.CONNECTED and not here.done():
            here.set_result(None)

    ours, offer = await client.offer(Handlers(on_state=on_state), send_video=True)
    handlers = Handlers(on_rtp=relay.on_rtp, on_rtcp=relay.on_rtcp)
    theirs, answer = await engine.answer(offer.replace("sendonly", "recvonly"), handlers)
    await ours.accept(answer)
    async with asyncio.timeout(10.0):
        await here
    relay.add_viewer(theirs)
    relay.remove(theirs)
    await ours.close()
    await theirs.close()


async def growth_mb() -> float:
    """How much more there is after JOINS have come and gone."""
    engine = await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS)
    client = await Engine.open_client()
    relay = Relay(on_watching=lambda peer, watching: None)
    before = 0.0
    for number in range(WARM + JOINS):
        if number == WARM:
            before = resident_mb()
        await join_and_leave(engine, client, relay)
    after = resident_mb()
    relay.close()
    await client.close()
    await engine.close()
    return after - before


async def main() -> None:
    """Measure, print, write."""
    each = await viewers_mb()
    grown = await growth_mb()
    report(
        "relay_memory",
        [
            figure(f"memory for each of {VIEWERS} viewers", "MiB", each, bar=1.0),
            figure(f"growth over {JOINS} joins, both ends", "MiB", grown),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
