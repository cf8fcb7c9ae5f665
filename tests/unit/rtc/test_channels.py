"""Data channels over aiortc's SCTP, and what of aiortc they rely on."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Iterable

import pytest
from aiortc import rtcsctptransport as aiortc_sctp
from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    DataChunk,
    HeartbeatChunk,
    InitChunk,
    RTCSctpTransport,
    serialize_packet,
)

from broker.rtc.channels import BUFFER_MAX, HELD_CHUNKS_MAX, Channels, ChannelsFailed

TABLE = {"chat": 0, "input": 2}


class End:
    """One end, with what it sends and hears."""

    def __init__(self, *, server: bool) -> None:
        self.sent: deque[bytes] = deque()
        self.opened: list[str] = []
        self.heard: list[tuple[str, str | bytes]] = []
        self.channels = Channels(
            TABLE,
            server=server,
            send=self._send,
            on_open=self.opened.append,
            on_message=lambda label, data: self.heard.append((label, data)),
        )

    def _send(self, packet: bytes) -> bool:
        self.sent.append(packet)
        return True

    @property
    def association(self) -> RTCSctpTransport:
        return self.channels._association


class Pair:
    """Two ends and the wire between them."""

    def __init__(self) -> None:
        self.server = End(server=True)
        self.client = End(server=False)
        for end in (self.server, self.client):
            end.channels.start(5000, 65_536)

    async def run(self) -> Pair:
        """Deliver until nothing is on its way; aiortc sends in tasks of its own."""
        for _ in range(4):
            await asyncio.sleep(0)
        while self.server.sent or self.client.sent:
            while self.client.sent:
                self.server.channels.receive(self.client.sent.popleft())
            while self.server.sent:
                self.client.channels.receive(self.server.sent.popleft())
            for _ in range(4):
                await asyncio.sleep(0)
        return self

    def close(self) -> None:
        for end in (self.server, self.client):
            end.channels.close()

    def flood(self, chunks: Iterable[Chunk]) -> None:
        """Give the server all of these."""
        for chunk in chunks:
            self.server.channels.receive(self.forge(chunk))
            self.server.sent.clear()

    def forge(self, chunk: Chunk) -> bytes:
        """A packet of the client's to the server, with the right tag."""
        tag = 0 if isinstance(chunk, InitChunk) else self.server.association._local_verification_tag
        return serialize_packet(5000, 5000, tag, chunk)


def fragment(tsn: int, flags: int = 0, stream: int = 0, data: bytes = b"x") -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.protocol, chunk.user_data = tsn, stream, 51, data
    return chunk


async def test_channels_open_at_both_ends_and_carry_text_and_bytes() -> None:
    pair = await Pair().run()
    assert pair.server.opened == pair.client.opened == ["chat", "input"]
    assert pair.client.channels.send("chat", "¿qué tal?")
    assert pair.client.channels.send("input", b"\x00\x01")
    assert pair.server.channels.send("chat", "")
    await pair.run()
    assert pair.server.heard == [("chat", "¿qué tal?"), ("input", b"\x00\x01")]
    assert pair.client.heard == [("chat", "")]
    pair.close()


async def test_a_long_message_arrives_whole() -> None:
    pair = await Pair().run()
    text = "".join(str(number % 10) for number in range(60_000))
    assert pair.client.channels.send("chat", text)
    await pair.run()
    assert pair.server.heard == [("chat", text)]
    pair.close()


async def test_nothing_is_taken_for_a_channel_that_is_not_open() -> None:
    pair = Pair()
    assert not pair.client.channels.send("chat", "early")
    await pair.run()
    assert not pair.client.channels.send("unknown", "x")
    assert not pair.client.channels.send("chat", "x" * 70_000)  # more than the peer takes
    pair.close()
    assert not pair.client.channels.send("chat", "late")


async def test_a_channel_that_is_full_takes_nothing_more() -> None:
    pair = await Pair().run()
    text = "x" * 60_000
    sent = 0
    while pair.client.channels.send("chat", text):
        sent += len(text)
        assert sent <= BUFFER_MAX
    await pair.run()
    assert pair.client.channels.send("chat", text)
    pair.close()


async def test_the_end_of_the_association_is_told() -> None:
    pair = await Pair().run()
    pair.client.channels.close()
    with pytest.raises(ChannelsFailed, match="ended"):
        await pair.run()
    with pytest.raises(ChannelsFailed):
        pair.server.channels.check()
    pair.close()
    pair.server.channels.check()  # closed here: nobody to blame


async def test_a_channel_that_the_peer_opens_is_ignored() -> None:
    pair = await Pair().run()
    association = pair.client.association
    association._data_channels.pop(2)
    RTCDataChannel(association, RTCDataChannelParameters(label="mine", id=2))
    await pair.run()
    assert set(pair.server.association._data_channels) == {0, 2}
    assert pair.server.association._data_channels[2].label == "input"
    pair.close()


async def test_a_packet_that_no_sane_peer_sends_ends_the_peer() -> None:
    pair = await Pair().run()
    with pytest.raises(ChannelsFailed, match="nobody agreed"):
        pair.server.channels.receive(pair.forge(fragment(1, stream=7)))
    pair.close()


async def test_whatever_aiortc_raises_ends_the_peer_alone() -> None:
    pair = await Pair().run()
    tsn = pair.client.association._local_tsn
    with pytest.raises(ChannelsFailed, match="UnicodeDecodeError"):
        pair.server.channels.receive(pair.forge(fragment(tsn, flags=3, data=b"\xff\xfe")))
    pair.close()


async def test_a_late_init_does_not_reset_an_association_in_use() -> None:
    pair = await Pair().run()
    before = pair.server.association._last_received_tsn
    chunk = InitChunk()
    chunk.initiate_tag, chunk.initial_tsn = 99, 12_345
    chunk.outbound_streams = chunk.inbound_streams = 10
    pair.server.channels.receive(pair.forge(chunk))
    assert pair.server.association._last_received_tsn == before
    assert pair.client.channels.send("chat", "still here")
    await pair.run()
    assert pair.server.heard == [("chat", "still here")]
    pair.close()


async def test_a_peer_that_ignores_the_window_is_ended() -> None:
    pair = await Pair().run()
    tsn = pair.client.association._local_tsn
    every_second = (
        fragment(tsn + 2 * number + 1, flags=3) for number in range(HELD_CHUNKS_MAX + 10)
    )
    with pytest.raises(ChannelsFailed, match="window"):
        pair.flood(every_second)
    pair.close()


async def test_a_message_without_an_end_is_ended() -> None:
    pair = await Pair().run()
    tsn = pair.client.association._local_tsn
    endless = (
        fragment(tsn + number, flags=0 if number else 2, data=bytes(1000))
        for number in range(HELD_CHUNKS_MAX + 10)
    )
    with pytest.raises(ChannelsFailed, match="window"):
        pair.flood(endless)
    pair.close()


async def test_an_abort_ends_the_peer() -> None:
    pair = await Pair().run()
    with pytest.raises(ChannelsFailed):
        pair.server.channels.receive(pair.forge(AbortChunk()))
    pair.close()


async def test_a_heartbeat_is_answered() -> None:
    pair = await Pair().run()
    chunk = HeartbeatChunk()
    chunk.params.append((1, b"beat"))
    pair.server.channels.receive(pair.forge(chunk))
    assert len(pair.server.sent) == 1
    pair.close()


async def test_aiortc_still_has_the_private_names_that_we_use() -> None:
    pair = Pair()
    association = pair.server.association
    for name in (
        "_association_state",
        "_advertised_rwnd",
        "_inbound_streams",
        "_sack_misordered",
    ):
        assert hasattr(association, name)
    assert hasattr(aiortc_sctp.InboundStream(), "reassembly")
    assert list(inspect.signature(RTCSctpTransport._receive).parameters) == [
        "self",
        "stream_id",
        "pp_id",
        "data",
    ]
    assert list(inspect.signature(RTCSctpTransport._handle_data).parameters) == ["self", "data"]
    assert {"ESTABLISHED", "CLOSED"} <= set(RTCSctpTransport.State.__members__)
    source = inspect.getsource(aiortc_sctp)
    for name in ("_send_data(", "_register_data_receiver(", "_unregister_data_receiver("):
        assert f"__transport.{name}" in source
    assert 'self.transport._role == "server"' in source
    # Run to completion without a task: the only thing waited for is `_send_data`.
    assert "asyncio.sleep" not in source
    assert "wait_for" not in source
    pair.close()
