"""CPU of the relay for each forwarded packet, with and without batched datagrams.

    make bench-relay

This process is the relay; publisher and viewers are another. 300 packets/s of 1,100
bytes come in. The peer is the same relay with one call a datagram, in the same run.
"""

from __future__ import annotations

import asyncio
import json
import os
import time

from broker.protocol import CHANNELS
from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.relay import Relay
from tests.bench.report import Figure, figure, median, report
from tests.support.child import Child

VIEWERS = (1, 5, 10, 32)
SECONDS = float(os.environ.get("AYUDA_BENCH_SECONDS", "3"))
ROUNDS = int(os.environ.get("AYUDA_BENCH_ROUNDS", "3"))


async def cost_us(viewers: int, *, batched: bool) -> float:
    """Microseconds of this process's CPU for each packet that reached a viewer."""
    engine = await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS)
    if not batched:
        engine.use_single_datagrams()
    relay = Relay(on_watching=lambda peer, watching: None)
    roles: dict[Peer, bool] = {}

    def on_state(peer: Peer, state: PeerState, why: str) -> None:
        if state is PeerState.CONNECTED:
            (relay.set_publisher if roles[peer] else relay.add_viewer)(peer)

    handlers = Handlers(on_state=on_state, on_rtp=relay.on_rtp, on_rtcp=relay.on_rtcp)
    load = await Child.start(["tests.bench.relay_load", str(viewers), str(SECONDS)])
    try:
        offers = json.loads((await load.line(r"^\[.*\]$"))[0])
        answers = []
        for number, offer in enumerate(offers):
            peer, answer = await engine.answer(offer, handlers)
            roles[peer] = number == 0
            answers.append(answer)
        await load.type(json.dumps(answers))
        await load.line("^connected$")
        before = time.process_time()
        result = json.loads((await load.line(r'^\{"sent"', timeout_s=SECONDS + 20.0)).string)
        used = time.process_time() - before
    finally:
        relay.close()
        await engine.close()
        await load.end()
    received: int = result["received"]
    return used / received * 1e6


async def main() -> None:
    """Alternate both, print, write."""
    figures: list[Figure] = []
    for viewers in VIEWERS:
        rounds = [
            (await cost_us(viewers, batched=True), await cost_us(viewers, batched=False))
            for _ in range(ROUNDS + 1)
        ][1:]
        name = f"CPU a forwarded packet, {viewers} viewer{'s' if viewers > 1 else ''}"
        ours = median([one for one, _ in rounds])
        figures.append(figure(name, "µs", ours, peer=median([other for _, other in rounds])))
    report("relay", figures)


if __name__ == "__main__":
    asyncio.run(main())
