"""One publisher and its viewers, as a process of their own: load for a relay.

    python -m tests.bench.relay_load VIEWERS SECONDS

Speaks JSON lines: prints its offers (the publisher's first) and the port of each,
reads the answers one by one and prints "connected NUMBER" to each, publishes, and prints
what the viewers got: how many packets, and how long they took, in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time

from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.rtp import abs_send_time, build_packet
from tests.bench.report import median

PACKETS_PER_SECOND = 300
FRAMES_PER_SECOND = 30
PAYLOAD_BYTES = 1100
KEY_FRAME = bytes([0x67, 0x42, 0xE0, 0x1F])  # a sequence parameter set
SLICE = bytes([0x41, 0x00, 0x00, 0x00])
SENT_AT = struct.Struct("!d")


class Load:
    """The far ends of all connections."""

    def __init__(self) -> None:
        self.delays_ms: list[float] = []
        self.connected = 0
        self._peers: list[Peer] = []
        self._sequence_number = 0

    async def offers(self, viewers: int) -> list[tuple[str, int]]:
        """The publisher's offer, then the viewers', each from a socket of its own."""
        offers = []
        for number in range(viewers + 1):
            engine = await Engine.open_client()
            handlers = Handlers(on_state=self._on_state, on_rtp=self._on_rtp)
            peer, sdp = await engine.offer(handlers, send_video=True)
            self._peers.append(peer)
            sdp = sdp.replace("a=sendonly", "a=recvonly") if number else sdp
            offers.append((sdp, engine.port))
        return offers

    async def accept(self, number: int, answer: str) -> None:
        """Connect one of them."""
        await self._peers[number].accept(answer)
        async with asyncio.timeout(10.0):
            while self.connected <= number:  # noqa: ASYNC110 - counted by handlers
                await asyncio.sleep(0.005)

    async def publish(self, seconds: float) -> int:
        """Send frames at a steady rate; how many packets were sent."""
        start, frames, sent = time.monotonic(), 0, 0
        while (now := time.monotonic()) < start + seconds:
            with self._peers[0].burst():
                for number in range(PACKETS_PER_SECOND // FRAMES_PER_SECOND):
                    self._send(frames, key=frames % 30 == 0 and number == 0, now=now)
                    sent += 1
            frames += 1
            await asyncio.sleep(max(0.0, start + frames / FRAMES_PER_SECOND - time.monotonic()))
        return sent

    def _send(self, frame: int, *, key: bool, now: float) -> None:
        peer = self._peers[0]
        video = peer.video
        assert video is not None
        assert video.ssrc is not None
        self._sequence_number = (self._sequence_number + 1) & 0xFFFF
        head = (KEY_FRAME if key else SLICE) + SENT_AT.pack(now)
        timed = video.abs_send_time_id
        packet = build_packet(
            payload_type=video.payload_type,
            sequence_number=self._sequence_number,
            timestamp=frame * 3000 & 0xFFFFFFFF,
            ssrc=video.ssrc,
            payload=head.ljust(PAYLOAD_BYTES, b"\0"),
            marker=False,
            extensions=() if timed is None else ((timed, abs_send_time(now)),),
        )
        peer.send_rtp(packet)

    def _on_state(self, peer: Peer, state: PeerState, why: str) -> None:
        self.connected += state is PeerState.CONNECTED

    def _on_rtp(self, peer: Peer, packet: bytes) -> None:
        if len(packet) > PAYLOAD_BYTES:
            at = len(packet) - PAYLOAD_BYTES + len(SLICE)
            sent_at = SENT_AT.unpack_from(packet, at)[0]
            self.delays_ms.append((time.monotonic() - sent_at) * 1000)


async def main() -> None:
    """Connect, publish, count."""
    viewers, seconds = int(sys.argv[1]), float(sys.argv[2])
    load = Load()
    print(json.dumps(await load.offers(viewers)), flush=True)
    for number in range(viewers + 1):
        await load.accept(number, json.loads(await asyncio.to_thread(sys.stdin.readline)))
        print(f"connected {number}", flush=True)
    sent = await load.publish(seconds)
    await asyncio.sleep(0.5)
    delays = sorted(load.delays_ms) or [0.0]
    result = {
        "sent": sent,
        "received": len(load.delays_ms),
        "delay_ms": median(delays),
        "delay_p99_ms": delays[int(0.99 * (len(delays) - 1))],
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
