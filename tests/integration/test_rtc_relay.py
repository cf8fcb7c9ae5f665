"""One publisher's picture to several viewers, over real sockets and bad lines."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.relay import Relay
from broker.rtc.repair import History
from broker.rtc.rtp import (
    Nack,
    PictureLoss,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtpHeader,
    SenderReport,
    build_packet,
    build_rtx,
    nack,
    parse_compound,
    parse_header,
    pli,
    read_extension,
    receiver_report,
    unwrap_rtx,
)
from tests.integration.rtc_ends import CHANNELS, Heard, through, until, viewing
from tests.support.network import Nat

KEY, SLICE = b"\x67", b"\x41"


@dataclass
class Viewer:
    """A viewer's client end, which repairs its stream as a browser does."""

    peer: Peer
    at_broker: Peer
    heard: Heard
    nat: Nat | None = None

    @property
    def ssrc(self) -> int:
        video = self.at_broker.video
        assert video is not None
        assert video.ssrc is not None
        return video.ssrc

    async def has(self, count: int) -> None:
        """Wait for this many packets."""
        await until(lambda: len(self.heard.rtp) >= count)

    def stream(self) -> dict[int, tuple[RtpHeader, bytes]]:
        """What came, by sequence number, retransmissions put back in place."""
        video = self.at_broker.video
        assert video is not None
        packets: dict[int, tuple[RtpHeader, bytes]] = {}
        for packet in self.heard.rtp:
            header, original = parse_header(packet), packet
            if header.ssrc == video.rtx_ssrc:
                unwrapped = unwrap_rtx(packet, payload_type=video.payload_type, ssrc=self.ssrc)
                assert unwrapped is not None
                header, original = parse_header(unwrapped), unwrapped
            assert header.ssrc == self.ssrc
            body = original[header.payload_start : header.payload_end]
            packets[header.sequence_number] = header, body
        return packets

    def payloads(self) -> list[bytes]:
        """The payloads in order of their numbers, which must have no gap."""
        packets = self.stream()
        if not packets:
            return []
        first = parse_header(self.heard.rtp[0]).sequence_number
        return [packets[(first + index) & 0xFFFF][1] for index in range(len(packets))]

    def missing(self) -> list[int]:
        """Gaps in what came."""
        packets = self.stream()
        first = parse_header(self.heard.rtp[0]).sequence_number
        reach = max(((number - first) & 0xFFFF) for number in packets)
        wanted = ((first + index) & 0xFFFF for index in range(reach + 1))
        return [number for number in wanted if number not in packets]

    def ask_again(self) -> None:
        """NACK every gap."""
        missing = self.missing()
        if missing:
            self.peer.send_rtcp(nack(1, self.ssrc, missing))


@dataclass
class PublisherEnd:
    """The agent's end: numbers packets and answers NACKs with RTX."""

    peer: Peer
    at_broker: Peer
    heard: Heard
    nat: Nat | None = None
    sent: list[bytes] = field(default_factory=list)
    nacked: int = 0

    def __post_init__(self) -> None:
        self._history = History()
        self._next = 65_500
        self._next_rtx = 0

    @property
    def ssrc(self) -> int:
        video = self.peer.video
        assert video is not None
        assert video.ssrc is not None
        return video.ssrc

    def send(self, kind: bytes, body: bytes) -> None:
        """One packet, a frame of its own."""
        payload = kind + body
        packet = build_packet(
            payload_type=96,
            sequence_number=self._next,
            timestamp=len(self.sent) * 3000,
            ssrc=self.ssrc,
            payload=payload,
            marker=True,
        )
        self._history.add(self._next & 0xFFFF, packet, 0.0)
        self._next += 1
        self.sent.append(payload)
        self.peer.send_rtp(packet)

    def on_rtcp(self, peer: Peer, packet: bytes) -> None:
        for report in parse_compound(packet):
            self.heard.rtcp.append(report)
            if not isinstance(report, Nack):
                continue
            video = peer.video
            assert video is not None
            assert video.rtx_payload_type is not None
            assert video.rtx_ssrc is not None
            for number in report.sequence_numbers:
                self.nacked += 1
                original = self._history.get(number)
                assert original is not None
                self._next_rtx += 1
                peer.send_rtp(
                    build_rtx(
                        original,
                        payload_type=video.rtx_payload_type,
                        sequence_number=self._next_rtx,
                        ssrc=video.rtx_ssrc,
                    )
                )

    @property
    def key_frames_wanted(self) -> int:
        return sum(isinstance(report, PictureLoss) for report in self.heard.rtcp)


class Stage:
    """A broker with a relay, and clients that come and go."""

    def __init__(self, broker: Engine) -> None:
        self.broker = broker
        self.watching: list[tuple[Peer, bool]] = []
        self.relay = Relay(on_watching=lambda peer, yes: self.watching.append((peer, yes)))
        self._clients: list[Engine] = []
        self._nats: list[Nat] = []

    async def publisher(self, *, behind_nat: bool = False) -> PublisherEnd:
        """A publisher that is connected and taken by the relay."""
        heard = Heard()
        ends: list[PublisherEnd] = []
        handlers = Handlers(
            on_state=lambda peer, state, why: heard.states.append((state, why)),
            on_rtcp=lambda peer, packet: ends[0].on_rtcp(peer, packet),
        )
        peer, at_broker, nat = await self._connect(heard, handlers, behind_nat, view=False)
        ends.append(PublisherEnd(peer, at_broker, heard, nat))
        self.relay.set_publisher(at_broker)
        return ends[0]

    async def viewer(self, *, behind_nat: bool = False) -> Viewer:
        """A viewer that is connected and added to the relay."""
        heard = Heard()
        peer, at_broker, nat = await self._connect(heard, heard.handlers(), behind_nat, view=True)
        self.relay.add_viewer(at_broker)
        return Viewer(peer, at_broker, heard, nat)

    async def _connect(
        self, heard: Heard, handlers: Handlers, behind_nat: bool, *, view: bool
    ) -> tuple[Peer, Peer, Nat | None]:
        client = await Engine.open_client(channels=CHANNELS)
        self._clients.append(client)
        peer, offer = await client.offer(handlers, send_video=True)
        at_broker, answer = await self.broker.answer(
            viewing(offer) if view else offer,
            Handlers(on_rtp=self.relay.on_rtp, on_rtcp=self.relay.on_rtcp),
        )
        nat = None
        if behind_nat:
            nat = await Nat.open(("127.0.0.1", self.broker.port))
            self._nats.append(nat)
            answer = through(self.broker.port, nat.port)(answer)
        await peer.accept(answer)
        await until(lambda: heard.state is PeerState.CONNECTED)
        await until(lambda: at_broker.state is PeerState.CONNECTED)
        return peer, at_broker, nat

    async def close(self) -> None:
        self.relay.close()
        self.relay.close()
        for client in self._clients:
            await client.close()
        for nat in self._nats:
            nat.close()
        await self.broker.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage(await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS))
    yield made
    await made.close()


def slices(count: int, start: int = 0) -> list[bytes]:
    return [str(number).encode().rjust(400, b".") for number in range(start, start + count)]


async def test_every_viewer_gets_the_picture_from_a_key_frame_on(stage: Stage) -> None:
    publisher = await stage.publisher()
    one, two = await stage.viewer(), await stage.viewer()
    await until(lambda: publisher.key_frames_wanted)
    publisher.send(SLICE, b"before")
    publisher.send(KEY, b"key")
    for body in slices(50):
        publisher.send(SLICE, body)
    for viewer in (one, two):
        await viewer.has(51)
        assert viewer.payloads() == publisher.sent[1:]
    assert stage.watching == [
        (one.at_broker, True),
        (two.at_broker, True),
        (publisher.at_broker, True),
    ]


async def test_packets_carry_each_viewers_own_numbers_and_extensions(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewer = await stage.viewer()
    publisher.send(KEY, b"key")
    publisher.send(SLICE, b"slice")
    await until(lambda: len(viewer.heard.rtp) == 2)
    first, second = (parse_header(packet) for packet in viewer.heard.rtp)
    assert first.ssrc == viewer.ssrc != publisher.ssrc
    assert second.timestamp - first.timestamp == 3000
    assert first.marker
    assert read_extension(viewer.heard.rtp[0], first, 2) == bytes(3)  # playout delay
    assert read_extension(viewer.heard.rtp[0], first, 1) is not None  # absolute send time


async def test_viewers_who_wait_are_served_by_one_key_frame(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewers = [await stage.viewer() for _ in range(4)]
    for viewer in viewers:
        for _ in range(5):
            viewer.peer.send_rtcp(pli(1, viewer.ssrc))
    await asyncio.sleep(0.3)
    assert publisher.key_frames_wanted <= 2
    publisher.send(KEY, b"key")
    for viewer in viewers:
        await viewer.has(1)
    before = publisher.key_frames_wanted
    await asyncio.sleep(0.7)
    assert publisher.key_frames_wanted == before


async def test_a_key_frame_is_asked_for_until_it_comes(stage: Stage) -> None:
    publisher = await stage.publisher()
    await stage.viewer()
    await until(lambda: publisher.key_frames_wanted >= 3)


async def test_a_viewer_who_joins_just_after_a_key_frame_needs_no_other(stage: Stage) -> None:
    publisher = await stage.publisher()
    first = await stage.viewer()
    publisher.send(KEY, b"key")
    for body in slices(5):
        publisher.send(SLICE, body)
    await until(lambda: len(first.heard.rtp) == 6)
    wanted = publisher.key_frames_wanted
    second = await stage.viewer()
    publisher.send(SLICE, b"next")
    await until(lambda: len(second.heard.rtp) == 7)
    assert second.payloads() == publisher.sent
    assert publisher.key_frames_wanted == wanted


async def test_what_a_viewer_lost_is_sent_again_as_a_retransmission(stage: Stage) -> None:
    publisher = await stage.publisher()
    clean = await stage.viewer()
    lossy = await stage.viewer(behind_nat=True)
    assert lossy.nat is not None
    publisher.send(KEY, b"key")
    await until(lambda: lossy.heard.rtp)
    lossy.nat.loss = 0.2
    for body in slices(300):
        publisher.send(SLICE, body)
        await asyncio.sleep(0)
    await until(lambda: len(clean.heard.rtp) == 301)
    lossy.nat.loss = 0.0
    publisher.send(SLICE, b"last")
    async with asyncio.timeout(10):
        while len(lossy.stream()) < 302:
            lossy.ask_again()
            await asyncio.sleep(0.05)
    assert lossy.nat.lost > 20
    assert lossy.payloads() == publisher.sent
    assert publisher.nacked == 0  # served from the relay's own history
    assert len(clean.heard.rtp) == 302  # nobody else got anything twice


async def test_what_is_lost_on_the_way_in_is_asked_for_and_forwarded(stage: Stage) -> None:
    publisher = await stage.publisher(behind_nat=True)
    viewer = await stage.viewer()
    assert publisher.nat is not None
    publisher.send(KEY, b"key")
    await until(lambda: viewer.heard.rtp)
    publisher.nat.loss = 0.1
    for body in slices(300):
        publisher.send(SLICE, body)
        await asyncio.sleep(0.001)
    publisher.nat.loss = 0.0
    publisher.send(SLICE, b"last")
    await until(lambda: len(viewer.stream()) == 302)
    assert publisher.nat.lost > 10
    assert publisher.nacked > 0
    assert viewer.payloads() == publisher.sent


async def test_a_new_publisher_continues_the_viewers_stream(stage: Stage) -> None:
    first = await stage.publisher()
    viewer = await stage.viewer()
    first.send(KEY, b"key 1")
    first.send(SLICE, b"slice 1")
    await until(lambda: len(viewer.heard.rtp) == 2)
    stage.relay.remove(first.at_broker)
    assert (viewer.at_broker, False) in stage.watching
    assert (first.at_broker, False) in stage.watching
    second = await stage.publisher()
    await until(lambda: second.key_frames_wanted)
    second.send(SLICE, b"nobody can decode this")
    second.send(KEY, b"key 2")
    second.send(SLICE, b"slice 2")
    first.send(SLICE, b"from the past")
    await until(lambda: len(viewer.heard.rtp) == 4)
    assert viewer.payloads() == [
        KEY + b"key 1",
        SLICE + b"slice 1",
        KEY + b"key 2",
        SLICE + b"slice 2",
    ]
    stamps = [header.timestamp for header, _ in viewer.stream().values()]
    assert all(0 < (b - a) & 0xFFFFFFFF < 90_000 * 20 for a, b in itertools.pairwise(stamps))
    assert stage.watching[-1] == (second.at_broker, True)


async def test_a_paused_relay_forwards_nothing_and_resumes_at_a_key_frame(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewer = await stage.viewer()
    publisher.send(KEY, b"key 1")
    await until(lambda: viewer.heard.rtp)
    stage.relay.pause()
    assert (viewer.at_broker, False) in stage.watching
    publisher.send(SLICE, b"hidden")
    publisher.send(KEY, b"hidden")
    await asyncio.sleep(0.1)
    wanted = publisher.key_frames_wanted
    stage.relay.resume()
    await until(lambda: publisher.key_frames_wanted > wanted)
    publisher.send(SLICE, b"not yet")
    publisher.send(KEY, b"key 2")
    await until(lambda: len(viewer.heard.rtp) == 2)
    assert viewer.payloads() == [KEY + b"key 1", KEY + b"key 2"]


async def play(publisher: PublisherEnd, frames: int, viewers: list[Viewer]) -> None:
    """About 2 Mbit/s of frames, key frames when wanted; of these viewers most is lost."""
    served, reported = 0, 0
    for number in range(frames):
        key = publisher.key_frames_wanted > served or number == 0
        served = publisher.key_frames_wanted
        for part in range(5):
            body = f"{number} {part} ".encode().ljust(1000, b".")
            publisher.send(KEY if key and part == 0 else SLICE, body)
        for viewer in viewers:
            if number % 50 == 49 and number < 200:
                reported += 250
                lost = ReportBlock(viewer.ssrc, 230, 0, reported, 0, 0, 0)
                viewer.peer.send_rtcp(receiver_report(ReceiverReport(1, (lost,))))
        await asyncio.sleep(0.02)


async def test_a_viewer_slower_than_the_stream_gets_fewer_pictures_and_nobody_else_notices(
    stage: Stage,
) -> None:
    publisher = await stage.publisher()
    fast, slow = await stage.viewer(), await stage.viewer()
    await play(publisher, 400, [slow])
    await fast.has(len(publisher.sent))
    assert fast.payloads() == publisher.sent
    payloads = slow.payloads()  # without a gap in their numbers
    assert len(payloads) < len(publisher.sent) / 2
    places = [publisher.sent.index(payload) for payload in payloads]
    skips = [after for before, after in itertools.pairwise(places) if after != before + 1]
    assert len(skips) >= 2
    assert all(publisher.sent[place].startswith(KEY) for place in skips)
    assert not any(isinstance(report, Remb) for report in publisher.heard.rtcp)


async def test_the_publisher_is_told_of_the_widest_way_when_all_are_narrow(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewers = [await stage.viewer(), await stage.viewer()]
    await play(publisher, 150, viewers)

    def limits() -> list[int]:
        return [one.bitrate_bps for one in publisher.heard.rtcp if isinstance(one, Remb)]

    await until(limits)
    assert limits()[-1] < 1_500_000
    reports = [one for one in publisher.heard.rtcp if isinstance(one, ReceiverReport)]
    assert reports[-1].reports[0].ssrc == publisher.ssrc
    said = [one for one in viewers[0].heard.rtcp if isinstance(one, SenderReport)]
    assert said[-1].ssrc == viewers[0].ssrc
    for viewer in viewers:
        stage.relay.remove(viewer.at_broker)
    await stage.viewer()
    told = len(limits())
    await asyncio.sleep(1.2)
    assert len(limits()) == told  # a new viewer's way counts as wide


async def test_a_viewer_may_be_a_publisher_to_nobody(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewer = await stage.viewer()
    publisher.send(KEY, b"key")
    await until(lambda: viewer.heard.rtp)
    viewer.peer.send_rtp(
        build_packet(payload_type=96, sequence_number=1, timestamp=0, ssrc=5, payload=KEY)
    )
    viewer.peer.send_rtcp(pli(1, 12_345))  # of a stream that is not its own
    viewer.peer.send_rtcp(nack(1, 12_345, [1, 2, 3]))
    viewer.peer.send_rtcp(b"\x81\xcd\x00\x00")
    publisher.peer.send_rtp(b"\x9f" + bytes(20))
    publisher.send(SLICE, b"slice")
    await until(lambda: len(viewer.heard.rtp) == 2)
    assert viewer.payloads() == publisher.sent
    assert stage.watching.count((viewer.at_broker, True)) == 1


async def test_the_same_publisher_again_is_asked_for_a_key_frame(stage: Stage) -> None:
    publisher = await stage.publisher()
    viewer = await stage.viewer()
    publisher.send(KEY, b"key")
    await until(lambda: viewer.heard.rtp)
    wanted = publisher.key_frames_wanted
    stage.relay.set_publisher(publisher.at_broker)
    await until(lambda: publisher.key_frames_wanted > wanted)
    publisher.send(SLICE, b"goes on")
    await until(lambda: len(viewer.heard.rtp) == 2)
