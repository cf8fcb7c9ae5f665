"""The relay beside Janus: CPU for each forwarded packet, delay, memory.

    make bench-relay

300 packets/s of 1,100 bytes come in. Publisher and viewers are a process in a
network namespace at the end of a veth pair, the same for both. The relay is this
process; Janus is Debian's, with its VideoRoom. Rounds alternate, and the first of
each is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from msgspec import Struct

from broker.protocol import CHANNELS
from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.relay import Relay
from tests.bench.janus import janus
from tests.bench.report import Figure, figure, median, report
from tests.support.child import Child
from tests.support.netns import Host, host

BARS = {1: 0.5, 5: 0.6, 10: 0.8, 32: 0.8}
"""How much of Janus' CPU a forwarded packet may cost, by number of viewers."""

SECONDS = float(os.environ.get("AYUDA_BENCH_SECONDS", "4"))
ROUNDS = int(os.environ.get("AYUDA_BENCH_ROUNDS", "6"))

Answer = Callable[[int, str, int], Awaitable[str]]
"""Answers the offer of a client by its number (0 publishes), its SDP and its UDP port."""


class Round(Struct, frozen=True):
    """What one round measured."""

    cpu_us: float  # for each packet that reached a viewer
    share: float  # of the packets that reached their viewer
    delay_p99_ms: float


async def play(far: Host, viewers: int, answer: Answer, cpu_s: Callable[[], float]) -> Round:
    """Load one relay for SECONDS."""
    arguments = ["tests.bench.relay_load", str(viewers), str(SECONDS)]
    load = await Child.start(arguments, prefix=far.prefix)
    try:
        offers = json.loads((await load.line(r"^\[.*\]$"))[0])
        for number, (offer, port) in enumerate(offers):
            await load.type(json.dumps(await answer(number, offer, port)))
            await load.line(f"^connected {number}$")
        before = cpu_s()
        result = json.loads((await load.line(r'^\{"sent"', timeout_s=SECONDS + 20.0)).string)
        used_s = cpu_s() - before
    finally:
        await load.end()
    received: int = result["received"]
    return Round(
        used_s / received * 1e6, received / result["sent"] / viewers, result["delay_p99_ms"]
    )


@contextlib.asynccontextmanager
async def our_relay(address: str, *, batched: bool) -> AsyncIterator[Answer]:
    """Our relay on this address, as what answers a load's offers."""
    engine = await Engine.open(host=address, port=0, channels=CHANNELS)
    if not batched:
        engine.use_single_datagrams()
    relay = Relay(on_watching=lambda peer, watching: None)
    publishers: set[Peer] = set()

    def on_state(peer: Peer, state: PeerState, why: str) -> None:
        if state is PeerState.CONNECTED:
            (relay.set_publisher if peer in publishers else relay.add_viewer)(peer)

    handlers = Handlers(on_state=on_state, on_rtp=relay.on_rtp, on_rtcp=relay.on_rtcp)

    async def answer(number: int, offer: str, port: int) -> str:
        peer, sdp = await engine.answer(offer, handlers)
        if number == 0:
            publishers.add(peer)
        return sdp

    try:
        yield answer
    finally:
        relay.close()
        await engine.close()


async def ours(far: Host, viewers: int, *, batched: bool = True) -> Round:
    """One round of our relay."""
    async with our_relay(far.our_address, batched=batched) as answer:
        return await play(far, viewers, answer, time.process_time)


async def theirs(far: Host, viewers: int) -> Round:
    """One round of Janus."""
    async with janus(far.our_address) as running:

        async def answer(number: int, offer: str, port: int) -> str:
            if number == 0:
                return await running.publish(offer)
            return await running.subscribe(offer, (far.address, port))

        return await play(far, viewers, answer, lambda: running.cpu_s)


async def main() -> None:
    """Alternate, print, write."""
    figures: list[Figure] = []
    with host() as far:
        for viewers, bar in BARS.items():
            rounds = [
                (await ours(far, viewers), await theirs(far, viewers)) for _ in range(ROUNDS)
            ][1:]
            mine, other = [one for one, _ in rounds], [one for _, one in rounds]
            name = f"{viewers} viewer{'s' if viewers > 1 else ''}"
            janus_us = median([one.cpu_us for one in other])
            figures += [
                figure(
                    f"CPU a forwarded packet, {name}",
                    "µs",
                    median([one.cpu_us for one in mine]),
                    peer=janus_us,
                    bar=round(bar * janus_us, 1),
                ),
                figure(
                    f"delay, 99 of 100 packets, {name}",
                    "ms",
                    median([one.delay_p99_ms for one in mine]),
                    peer=(delay := median([one.delay_p99_ms for one in other])),
                    bar=round(delay, 2),
                ),
                figure(
                    f"packets that arrived, {name}",
                    "",
                    median([one.share for one in mine]),
                    peer=median([one.share for one in other]),
                ),
            ]
        single = [await ours(far, 10, batched=False) for _ in range(3)][1:]
        figures.append(
            figure(
                "the same with one call a datagram, 10 viewers",
                "µs",
                median([one.cpu_us for one in single]),
            )
        )
    report("relay", figures)


if __name__ == "__main__":
    asyncio.run(main())
