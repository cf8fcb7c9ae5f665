"""A peer that speaks DTLS well and SCTP with malice: aiortc's parser behind our guard."""

from __future__ import annotations

import asyncio
import os
import random
import time
from struct import pack

from google_crc32c import value as crc32c

from broker.rtc.channels import Channels, ChannelsFailed
from broker.rtc.sctp_guard import SctpRefused, check_packet

ROUNDS = 150 * int(os.environ.get("AYUDA_SOAK", "1"))
PACKETS = 60
PACKET_MAX_S = 0.5
"""Far above what any packet may cost, far below what an endless loop does."""


def signed(packet: bytearray) -> bytes:
    """With the right checksum, so that it gets further."""
    packet[8:12] = bytes(4)
    packet[8:12] = pack("<L", crc32c(bytes(packet)))
    return bytes(packet)


def change(chance: random.Random, genuine: bytes) -> bytes:
    """Another packet of the same association."""
    packet = bytearray(genuine)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(12, len(packet))
        action = chance.randrange(5)
        if action == 0:
            packet[place] = chance.randrange(256)
        elif action == 1:
            packet[place] = chance.choice((0, 1, 127, 128, 255))
        elif action == 2 and len(packet) > 24:
            del packet[place : place + 4]
        elif action == 3:
            packet[place:place] = chance.randbytes(4)
        else:
            packet[12] = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 130, 192))
    return signed(packet)


def passing(chance: random.Random, genuine: list[bytes]) -> bytes:
    """A changed packet: nearly always one that our guard lets through to aiortc."""
    while True:
        packet = change(chance, chance.choice(genuine))
        try:
            check_packet(packet, {0, 1})
        except SctpRefused:
            if chance.randrange(100):
                continue
        return packet


async def attack(chance: random.Random) -> None:
    """One association, attacked until it ends or the packets do."""
    to_server: list[bytes] = []
    to_client: list[bytes] = []
    heard: list[object] = []
    table = {"chat": 0, "input": 1}
    client, server = (
        Channels(
            table,
            server=is_server,
            send=lambda packet, out=out: out.append(packet) or True,  # type: ignore[misc]
            on_open=heard.append,
            on_message=lambda label, data: heard.append(data),
        )
        for is_server, out in ((False, to_server), (True, to_client))
    )
    genuine: list[bytes] = []
    try:
        client.start(5000, 65_536)
        server.start(5000, 65_536)
        for step in range(12):
            await asyncio.sleep(0)
            for source, target in ((to_server, server), (to_client, client)):
                for packet in source:
                    if target is server:
                        genuine.append(packet)
                    target.receive(packet)
                source.clear()
            if step > 5:
                client.send("chat", "x" * chance.randrange(3000))
        for _ in range(PACKETS):
            packet = passing(chance, genuine)
            started = time.process_time()
            server.receive(packet)
            assert time.process_time() - started < PACKET_MAX_S
            to_client.clear()
    except ChannelsFailed:
        pass
    finally:
        client.close()
        server.close()


async def test_malice_ends_the_association_and_nothing_else() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    for seed in range(ROUNDS):
        await attack(random.Random(seed))
    await asyncio.sleep(0.05)
    assert failures == []
