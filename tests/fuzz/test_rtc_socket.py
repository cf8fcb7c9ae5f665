"""A live session under fire: forged, replayed and mutated datagrams on the real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import tracemalloc
from collections.abc import Iterator

import pytest

from broker.rtc.engine import Engine
from broker.rtc.peer import PeerState
from broker.rtc.port import Path
from broker.rtc.rtp import build_packet
from tests.integration.rtc_ends import CHANNELS, Call, call, until

DATAGRAMS = 20_000 * int(os.environ.get("AYUDA_SOAK", "1"))
GROWTH_MAX = 5 * 1024 * 1024


class Recorder:
    """Everything that the client really sent, to forge from."""

    def __init__(self, here: Call) -> None:
        self.sent: list[bytes] = []
        port = here.client._port
        genuine = port.send

        def send(data: bytes, path: Path) -> None:
            self.sent.append(data)
            genuine(data, path)

        port.send = send  # type: ignore[method-assign]


def media(number: int, ssrc: int) -> bytes:
    return build_packet(
        payload_type=96, sequence_number=number, timestamp=0, ssrc=ssrc, payload=bytes(500)
    )


def forge(chance: random.Random, genuine: list[bytes]) -> bytes:
    """A datagram that looks like one of a session."""
    kind = chance.randrange(6)
    if kind == 0:
        return chance.randbytes(chance.randrange(1, 1500))
    data = bytearray(chance.choice(genuine))
    if kind == 1:
        return bytes(data)  # replayed
    if kind == 2:
        return bytes(data[: chance.randrange(1, len(data) + 1)])
    if kind == 3:
        data[0] = chance.randrange(256)
    for _ in range(chance.randrange(1, 5)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def received(sock: socket.socket) -> Iterator[bytes]:
    """Every datagram that waits at a socket."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield sock.recv(2048)


async def chat(here: Call, text: str) -> None:
    before = len(here.broker_heard.messages)
    assert here.client_peer.send("chat", text)
    await until(lambda: len(here.broker_heard.messages) > before)
    assert here.broker_heard.messages[-1] == ("chat", text)


@pytest.mark.parametrize("same_address", [False, True])
async def test_a_session_survives_hostile_datagrams(same_address: bool) -> None:
    """From a stranger's address, and with the source forged to be the client's own."""
    failures: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    broker = await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS)
    client = await Engine.open_client(channels=CHANNELS)
    here = await call(broker, client)
    recorder = Recorder(here)
    await here.connected()
    video = here.client_peer.video
    assert video is not None
    assert video.ssrc is not None
    number = 0
    for number in range(50):
        here.client_peer.send_rtp(media(number, video.ssrc))
        await chat(here, f"text {number}")
    genuine = list(recorder.sent)
    chance = random.Random(7)
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.setblocking(False)
    attacker = client._port._socket if same_address else stranger
    target = ("::ffff:127.0.0.1", broker.port, 0, 0) if same_address else ("127.0.0.1", broker.port)

    async def fire(count: int) -> None:
        for index in range(count):
            attacker.sendto(forge(chance, genuine), target)
            if index % 50 == 0:
                await asyncio.sleep(0)
            if index % 1000 == 0:
                del here.broker_heard.rtp[:]
                del recorder.sent[:]

    await fire(DATAGRAMS // 4)  # whatever is kept for good is kept by now
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await fire(DATAGRAMS)
    await asyncio.sleep(0.05)
    del here.broker_heard.rtp[:]
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < GROWTH_MAX
    assert here.broker_heard.state is here.client_heard.state is PeerState.CONNECTED
    if not same_address:
        # A replayed check is answered; nothing else is.
        assert {reply[:2] for reply in received(stranger)} <= {b"\x01\x01"}
    await chat(here, "still here")
    here.client_peer.send_rtp(media(number + 1, video.ssrc))
    await until(lambda: here.broker_heard.rtp)
    assert here.broker_peer.send("chat", "you too")
    await until(lambda: here.client_heard.messages)
    assert failures == []
    stranger.close()
    await here.close()
