"""Two engines on this machine, and everything that their peers tell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.rtp import Rtcp, parse_compound

CHANNELS = {"chat": 0}


async def until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - of whatever kind
            await asyncio.sleep(0.005)


class Clock:
    """The monotonic clock, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass
class Heard:
    """What one peer told."""

    states: list[tuple[PeerState, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    messages: list[tuple[str, str | bytes]] = field(default_factory=list)
    rtp: list[bytes] = field(default_factory=list)
    rtcp: list[Rtcp] = field(default_factory=list)

    def handlers(self) -> Handlers:
        """Handlers that write everything down."""
        return Handlers(
            on_state=lambda peer, state, why: self.states.append((state, why)),
            on_channel=lambda peer, label: self.opened.append(label),
            on_message=lambda peer, label, data: self.messages.append((label, data)),
            on_rtp=lambda peer, packet: self.rtp.append(packet),
            on_rtcp=lambda peer, packet: self.rtcp.extend(parse_compound(packet)),
        )

    @property
    def state(self) -> PeerState:
        """The last state told."""
        return self.states[-1][0] if self.states else PeerState.NEW


@dataclass
class Call:
    """One connection between a client and the broker."""

    broker: Engine
    client: Engine
    broker_peer: Peer
    client_peer: Peer
    broker_heard: Heard
    client_heard: Heard

    async def connected(self) -> Call:
        """Wait for both ends to be connected, with their channels open."""
        await until(lambda: self.broker_heard.opened and self.client_heard.opened)
        return self

    async def close(self) -> None:
        """Close both engines."""
        await self.client.close()
        await self.broker.close()


async def call(
    broker: Engine,
    client: Engine,
    *,
    change_offer: Callable[[str], str] = lambda text: text,
    change_answer: Callable[[str], str] = lambda text: text,
) -> Call:
    """Offer and answer; the connection is on its way on return."""
    client_heard, broker_heard = Heard(), Heard()
    client_peer, offer = await client.offer(client_heard.handlers(), send_video=True)
    broker_peer, answer = await broker.answer(change_offer(offer), broker_heard.handlers())
    await client_peer.accept(change_answer(answer))
    return Call(broker, client, broker_peer, client_peer, broker_heard, client_heard)


def viewing(offer: str) -> str:
    """Our client's offer as one that wants to see a picture."""
    return offer.replace("a=sendonly", "a=recvonly")


def through(port: int, instead: int) -> Callable[[str], str]:
    """An answer that leads to another port."""
    return lambda answer: answer.replace(f" {port} typ", f" {instead} typ")
