"""The broker's end of an agent's picture: repairs it as the relay does, and decodes it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from agent.publish import Publisher
from agent.video.pipeline import Camera
from broker.rtc.engine import Engine
from broker.rtc.payload.h264 import depacketise, is_key_frame
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.rtp import Rtcp, SenderReport, parse_compound, parse_header
from broker.rtc.upstream import Arrival, Position, Upstream
from tests.integration.rtc_ends import CHANNELS, through, until
from tests.support.network import Nat
from tests.support.pattern import BITS, COLOURS
from tests.unit.agent.video.pictures import Decoder, Pixels

TICK_S = 0.02


@dataclass
class Viewer:
    """Takes RTP, asks for what is missing, decodes each complete frame in order."""

    upstream: Upstream | None = None
    peer: Peer | None = None
    arrivals: dict[int, Arrival] = field(default_factory=dict)
    next_number: int | None = None
    frames: list[bytes] = field(default_factory=list)  # access units
    timestamps: list[int] = field(default_factory=list)
    picture: Pixels | None = None
    rtcp: list[Rtcp] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    packets: int = 0
    limit_bps: int | None = None

    def __post_init__(self) -> None:
        self._decoder = Decoder()

    def attach(self, peer: Peer) -> None:
        """Receive from this peer."""
        assert peer.video is not None
        now = time.monotonic()
        self.peer, self.upstream = peer, Upstream(peer.video, Position(0, 0, now), now)

    def on_rtp(self, peer: Peer, packet: bytes) -> None:
        """One plain packet."""
        assert self.upstream is not None
        self.packets += 1
        header = parse_header(packet)
        self.sizes.append(header.payload_end - header.payload_start)
        arrival = self.upstream.on_rtp(packet, time.monotonic())
        if arrival is None:
            return
        self.arrivals[arrival.number] = arrival
        if self.next_number is None and arrival.key:
            self.next_number = arrival.number
        while self._take_frame():
            pass

    def on_rtcp(self, peer: Peer, packet: bytes) -> None:
        """One plain compound packet."""
        for report in parse_compound(packet):
            self.rtcp.append(report)
            if isinstance(report, SenderReport) and self.upstream is not None:
                self.upstream.on_sender_report(report, time.monotonic())

    def tick(self) -> None:
        """Ask and report as the relay does."""
        if self.upstream is None or self.peer is None:
            return
        now = time.monotonic()
        for said in (self.upstream.requests(now), self.upstream.report(self.limit_bps, now)):
            if said:
                self.peer.send_rtcp(said)

    @property
    def keys(self) -> int:
        """How many key frames came."""
        return sum(is_key_frame(frame) for frame in self.frames)

    def _take_frame(self) -> bool:
        """Decode the next frame if all of it is there."""
        if self.next_number is None:
            return False
        number, payloads = self.next_number, []
        while (arrival := self.arrivals.get(number)) is not None:
            payloads.append(arrival.payload)
            number += 1
            if arrival.marker:
                data = depacketise(payloads)
                self.frames.append(data)
                self.timestamps.append(arrival.timestamp)
                self.picture = self._decoder.rgb(data)
                self.next_number = number
                return True
        return False


class Session:
    """One agent's camera and publisher, connected to one viewer."""

    def __init__(self, display: str) -> None:
        self.viewer = Viewer()
        self.failures: list[str] = []
        self.rates: list[int] = []
        self.camera = Camera(display, on_failed=self.failures.append)
        self.peer: Peer
        self.publisher: Publisher
        self.nat: Nat | None = None

    async def __aenter__(self) -> Session:
        self._broker = await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS)
        self._client = await Engine.open_client(channels=CHANNELS)
        self.nat = await Nat.open(("127.0.0.1", self._broker.port))
        states: list[PeerState] = []
        peer, offer = await self._client.offer(
            Handlers(
                on_state=lambda _, state, why: states.append(state),
                on_rtcp=lambda peer, packet: self.publisher.on_rtcp(peer, packet),
            ),
            send_video=True,
        )
        at_broker, answer = await self._broker.answer(
            offer, Handlers(on_rtp=self.viewer.on_rtp, on_rtcp=self.viewer.on_rtcp)
        )
        self.peer = peer
        self.viewer.attach(at_broker)
        await peer.accept(through(self._broker.port, self.nat.port)(answer))
        await until(lambda: PeerState.CONNECTED in states)
        self.publisher = Publisher(
            peer, on_key_frame_wanted=self.camera.request_key_frame, on_rate=self._rate
        )
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.camera.stop()
        await self.publisher.close()
        self._ticking.cancel()
        await self._client.close()
        await self._broker.close()
        assert self.nat is not None
        self.nat.close()

    def start(self) -> None:
        """Show the screen."""
        self.publisher.resume()
        self.camera.start(self.publisher.send)

    def _rate(self, target_bps: int) -> None:
        self.rates.append(target_bps)
        self.camera.set_rate(target_bps)

    async def _tick(self) -> None:
        while True:
            self.viewer.tick()
            await asyncio.sleep(TICK_S)


def step_shown(picture: Pixels | None, width: int, height: int) -> int | None:
    """Which step of tests.support.pattern is seen, colours and all; None if none is."""
    if picture is None:
        return None
    cell, quarter, half = width // BITS, width // len(COLOURS), height // 2
    number = 0
    for place in range(BITS):
        patch = picture[half // 4 : half // 2, place * cell + 4 : (place + 1) * cell - 4].mean()
        if 60 < patch < 195:
            return None
        number = number * 2 + (patch > 127)
    for place in range(len(COLOURS)):
        colour = COLOURS[(place - number) % len(COLOURS)]
        left, right = place * quarter + 8, (place + 1) * quarter - 8
        seen = picture[half + 8 : height - 8, left:right].reshape(-1, 3).mean(axis=0)
        wanted = (colour >> 16, colour >> 8 & 0xFF, colour & 0xFF)
        if any(abs(one - other) > 6 for one, other in zip(seen, wanted, strict=True)):
            return None
    return number
