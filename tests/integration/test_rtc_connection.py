"""Connections between a client and the lite end, over real sockets."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket

import pytest

from broker.rtc import peer as peer_module
from broker.rtc.engine import HANDSHAKES_PER_SOURCE_MAX, PEERS_MAX, Engine, TooManyPeers
from broker.rtc.ice import GIVE_UP_S, LIVENESS_S, Checks, Credentials
from broker.rtc.peer import CONNECT_S, HANDSHAKE_S, LOST_S, Handlers, Peer, PeerState
from broker.rtc.rtp import PictureLoss, build_packet, pli
from broker.rtc.sdp import SdpError, parse
from tests.integration.rtc_ends import CHANNELS, Call, Clock, Heard, call, through, until
from tests.support.network import Nat

WRONG_FINGERPRINT = ":".join(["00"] * 32)


async def two_engines(host: str = "127.0.0.1", clock: Clock | None = None) -> tuple[Engine, Engine]:
    clock = clock or Clock()
    broker = await Engine.open(host=host, port=0, channels=CHANNELS, now=clock)
    return broker, await Engine.open_client(channels=CHANNELS, now=clock)


async def connect(host: str = "127.0.0.1", clock: Clock | None = None) -> Call:
    return await (await call(*await two_engines(host, clock))).connected()


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(("::1", 9)) == 0


def media(number: int, ssrc: int) -> bytes:
    return build_packet(
        payload_type=96, sequence_number=number, timestamp=0, ssrc=ssrc, payload=b"x" * 1000
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
async def test_picture_and_channels_flow_over_one_port(host: str) -> None:
    assert has_ipv6(), "this machine has no IPv6 loopback, which the tests need"
    here = await connect(host)
    video = here.client_peer.video
    assert video is not None
    assert video.ssrc is not None
    packet = media(1, video.ssrc)
    here.client_peer.send_rtp(packet)
    here.broker_peer.send_rtcp(pli(1, video.ssrc))
    assert here.client_peer.send("chat", "¿hola?")
    assert here.broker_peer.send("chat", "hello")
    await until(lambda: here.broker_heard.rtp and here.client_heard.rtcp)
    await until(lambda: here.broker_heard.messages and here.client_heard.messages)
    assert here.broker_heard.rtp == [packet]
    assert here.client_heard.rtcp == [PictureLoss(1, video.ssrc)]
    assert here.broker_heard.messages == [("chat", "¿hola?")]
    assert here.client_heard.messages == [("chat", "hello")]
    await here.close()


async def test_a_goodbye_is_heard_at_once() -> None:
    here = await connect()
    await here.client_peer.close()
    await here.client_peer.close()
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    assert here.broker.peers == here.client.peers == 0
    assert not here.broker_peer.send("chat", "too late")
    here.broker_peer.send_rtp(media(1, 1))
    assert [state for state, _ in here.client_heard.states].count(PeerState.CLOSED) == 1
    await here.close()


async def test_silence_is_told_and_a_peer_that_comes_back_is_the_same() -> None:
    clock = Clock()
    broker, client = await two_engines(clock=clock)
    nat = await Nat.open(("127.0.0.1", broker.port))
    here = await call(broker, client, change_answer=through(broker.port, nat.port))
    await here.connected()
    nat.cut = True
    clock.ahead_s += LIVENESS_S + 1
    await until(lambda: here.broker_heard.state is PeerState.LOST)
    await until(lambda: here.client_heard.state is PeerState.LOST)
    assert not here.client_peer.send("chat", "nobody hears this")
    sent = broker.counters()["packets_out"]
    here.broker_peer.send_rtp(media(1, 1))
    assert broker.counters()["packets_out"] == sent  # no media without consent
    nat.cut = False
    clock.ahead_s += 4  # 11 s after the cut
    await until(lambda: here.broker_heard.state is PeerState.CONNECTED)
    await until(lambda: here.client_heard.state is PeerState.CONNECTED)
    assert here.client_peer.send("chat", "back")
    await until(lambda: here.broker_heard.messages)
    nat.close()
    await here.close()


async def test_a_peer_that_does_not_come_back_is_closed() -> None:
    clock = Clock()
    here = await connect(clock=clock)
    await here.client.close()  # its goodbye
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    here = await connect(clock=clock)
    here.client._port.close()  # a power cut
    clock.ahead_s += LIVENESS_S + 1
    await until(lambda: here.broker_heard.state is PeerState.LOST)
    clock.ahead_s += LOST_S
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    assert here.broker.peers == 0
    await here.close()


async def test_an_idle_connection_stays_connected() -> None:
    clock = Clock()
    here = await connect(clock=clock)
    for _ in range(20):
        clock.ahead_s += 1.0
        await asyncio.sleep(0.06)
        here.client_peer._on_timer()  # real timers do not follow the clock
    assert here.broker_heard.state is here.client_heard.state is PeerState.CONNECTED
    await here.close()


async def test_a_new_address_keeps_the_connection() -> None:
    broker, client = await two_engines()
    nat = await Nat.open(("127.0.0.1", broker.port))
    here = await call(broker, client, change_answer=through(broker.port, nat.port))
    await here.connected()
    assert here.broker_peer.address == nat.outside
    await nat.rebind()
    assert here.client_peer.send("chat", "from elsewhere")
    await until(lambda: here.broker_peer.address == nat.outside)
    await until(lambda: here.broker_heard.messages)
    assert here.broker_peer.send("chat", "found you")
    await until(lambda: here.client_heard.messages)
    assert PeerState.LOST not in [state for state, _ in here.broker_heard.states]
    nat.close()
    await here.close()


async def test_a_connection_is_made_although_datagrams_are_lost() -> None:
    broker, client = await two_engines()
    nat = await Nat.open(("127.0.0.1", broker.port))
    numbers = itertools.count()
    nat.passes = lambda datagram, outbound: next(numbers) not in (0, 2, 4)
    here = await call(broker, client, change_answer=through(broker.port, nat.port))
    await here.connected()
    assert nat.lost == 3
    nat.close()
    await here.close()


async def test_an_engine_on_all_addresses_answers_from_the_one_that_was_asked() -> None:
    broker, client = await two_engines("0.0.0.0")

    def only_one(answer: str) -> str:
        lines = [line for line in answer.split("\r\n") if "candidate:" not in line]
        place = lines.index("a=end-of-candidates")
        candidate = f"a=candidate:1 1 udp 1 127.0.0.5 {broker.port} typ host"
        return "\r\n".join([*lines[:place], candidate, *lines[place:]])

    # Left to routing, answers would come from 127.0.0.1 and count for nothing.
    here = await (await call(broker, client, change_answer=only_one)).connected()
    assert here.client_peer.address == ("127.0.0.5", broker.port)
    await here.close()


async def test_public_addresses_are_advertised_instead_of_local_ones() -> None:
    broker = await Engine.open(
        host="0.0.0.0", port=0, public_addresses=["203.0.113.9", "2001:db8::9"], channels=CHANNELS
    )
    client = await Engine.open_client(channels=CHANNELS)
    _, offer = await client.offer(Handlers(), send_video=True)
    _, answer = await broker.answer(offer, Handlers())
    candidates = parse(answer).sections[0].candidates
    assert candidates == (("203.0.113.9", broker.port), ("2001:db8::9", broker.port))
    await client.close()
    await broker.close()


async def test_all_local_addresses_are_advertised_and_none_is_link_local() -> None:
    broker, client = await two_engines("::")
    _, offer = await client.offer(Handlers(), send_video=True)
    _, answer = await broker.answer(offer, Handlers())
    hosts = [host for host, _ in parse(answer).sections[0].candidates]
    assert {"127.0.0.1", "::1"} <= set(hosts)
    assert hosts[0] not in ("127.0.0.1", "::1") or len(hosts) == 2
    assert not any(host.startswith("fe80") for host in hosts)
    await client.close()
    await broker.close()


async def test_a_port_in_use_is_an_error_that_says_so() -> None:
    broker, client = await two_engines("0.0.0.0")
    with pytest.raises(OSError, match="in use"):
        await Engine.open(host="0.0.0.0", port=broker.port)
    await client.close()
    await broker.close()


async def test_another_certificate_than_in_the_offer_is_refused() -> None:
    broker, client = await two_engines()
    genuine = client._identity.fingerprint.value
    here = await call(
        broker, client, change_offer=lambda text: text.replace(genuine, WRONG_FINGERPRINT)
    )
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    assert PeerState.CONNECTED not in [state for state, _ in here.broker_heard.states]
    await here.close()


async def test_a_broker_with_another_certificate_than_answered_is_refused() -> None:
    broker, client = await two_engines()
    genuine = broker._identity.fingerprint.value
    here = await call(
        broker, client, change_answer=lambda text: text.replace(genuine, WRONG_FINGERPRINT)
    )
    await until(lambda: here.client_heard.state is PeerState.CLOSED)
    assert PeerState.CONNECTED not in [state for state, _ in here.client_heard.states]
    await here.close()


async def test_udp_that_does_not_get_through_is_said() -> None:
    clock = Clock()
    broker, client = await two_engines(clock=clock)
    nat = await Nat.open(("127.0.0.1", broker.port))
    nat.cut = True
    here = await call(broker, client, change_answer=through(broker.port, nat.port))
    clock.ahead_s += GIVE_UP_S + 1
    await until(lambda: here.client_heard.state is PeerState.CLOSED)
    assert here.client_heard.states[-1][1].startswith("no UDP")
    clock.ahead_s += CONNECT_S
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    assert broker.peers == client.peers == 0
    nat.close()
    await here.close()


async def test_a_handshake_that_stops_halfway_ends() -> None:
    clock = Clock()
    broker, client = await two_engines(clock=clock)
    nat = await Nat.open(("127.0.0.1", broker.port))
    nat.passes = lambda datagram, outbound: outbound or datagram[0] < 20
    here = await call(broker, client, change_answer=through(broker.port, nat.port))
    await until(lambda: here.broker_peer.handshaking)
    clock.ahead_s += HANDSHAKE_S + 1
    await until(lambda: here.broker_heard.state is PeerState.CLOSED)
    assert "handshake" in here.broker_heard.states[-1][1]
    nat.close()
    await here.close()


async def test_handshakes_of_one_source_are_limited() -> None:
    broker, spare = await two_engines()
    calls: list[tuple[Call, Nat]] = []
    for _ in range(HANDSHAKES_PER_SOURCE_MAX + 3):
        nat = await Nat.open(("127.0.0.1", broker.port))
        nat.passes = lambda datagram, outbound: outbound or datagram[0] < 20
        client = await Engine.open_client(channels=CHANNELS)
        here = await call(broker, client, change_answer=through(broker.port, nat.port))
        calls.append((here, nat))
    await until(lambda: broker.counters()["handshakes_refused"] >= 3)
    assert sum(one.broker_peer.handshaking for one, _ in calls) == HANDSHAKES_PER_SOURCE_MAX
    for one, nat in calls:
        await one.client.close()
        nat.close()
    await spare.close()
    await broker.close()


async def test_strangers_get_no_answer() -> None:
    broker, client = await two_engines()
    here = await (await call(broker, client)).connected()
    checks = Checks(
        Credentials("somebody", "x" * 24),
        Credentials("unknownn", "y" * 24),
        [("127.0.0.1", broker.port)],
        0.0,
        tie_breaker=1,
        new_id=lambda: b"twelve bytes",
    )
    known = Checks(
        Credentials("somebody", "x" * 24),
        Credentials(here.broker_peer.local.ufrag, "y" * 24),  # the right name, the wrong password
        [("127.0.0.1", broker.port)],
        0.0,
        tie_breaker=1,
        new_id=lambda: b"twelve bytes",
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for datagram in (
            checks.due(0.0)[0][0],
            known.due(0.0)[0][0],
            b"\x16\xfe\xff" + bytes(10) + b"\x00\x10" + bytes(16),
            media(1, 1),
            b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
            b"GET / HTTP/1.1\r\n\r\n",
        ):
            stranger.sendto(datagram, ("127.0.0.1", broker.port))
        before = broker.counters()["packets_of_nobody"]
        await until(lambda: broker.counters()["packets_of_nobody"] >= before + 6)
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)
    await here.close()


async def test_a_second_connection_from_the_same_socket_does_not_disturb_the_first() -> None:
    broker, client = await two_engines()
    first = await (await call(broker, client)).connected()
    second = await (await call(broker, client)).connected()
    for number, one in enumerate((first, second)):
        assert one.client_peer.send("chat", str(number))
        video = one.client_peer.video
        assert video is not None
        assert video.ssrc is not None
        one.client_peer.send_rtp(media(1, video.ssrc))
    await until(lambda: first.broker_heard.messages and second.broker_heard.messages)
    await until(lambda: first.broker_heard.rtp and second.broker_heard.rtp)
    assert first.broker_heard.messages == [("chat", "0")]
    assert second.broker_heard.messages == [("chat", "1")]
    await second.client_peer.close()
    await until(lambda: second.broker_heard.state is PeerState.CLOSED)
    assert first.client_peer.send("chat", "again")
    await until(lambda: len(first.broker_heard.messages) == 2)
    await first.close()


async def test_peers_are_limited() -> None:
    broker, client = await two_engines()
    _, offer = await client.offer(Handlers(), send_video=True)
    for _ in range(PEERS_MAX):
        await broker.answer(offer, Handlers())
    with pytest.raises(TooManyPeers):
        await broker.answer(offer, Handlers())
    await client.close()
    await broker.close()


async def test_an_answer_that_leads_nowhere_is_refused() -> None:
    broker, client = await two_engines()
    peer, offer = await client.offer(Handlers(), send_video=True)
    _, answer = await broker.answer(offer, Handlers())
    without = "\r\n".join(line for line in answer.split("\r\n") if "candidate" not in line)
    with pytest.raises(SdpError, match="no address"):
        await peer.accept(without)
    with pytest.raises(SdpError, match="lite"):
        await peer.accept(answer.replace("a=ice-lite\r\n", ""))
    await client.close()
    await broker.close()


async def test_hostile_data_ends_its_peer_alone_and_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, client = await two_engines()
    good = await (await call(broker, client)).connected()
    evil = await (await call(broker, await Engine.open_client(channels=CHANNELS))).connected()
    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert evil.client_peer._dtls is not None
        evil.client_peer._dtls.send(b"not SCTP at all")
        await until(lambda: evil.broker_heard.state is PeerState.CLOSED)
    ours = [record for record in caplog.records if record.name == peer_module.logger.name]
    assert len(ours) >= 1
    assert not any(record.exc_info for record in caplog.records)
    assert good.client_peer.send("chat", "still fine")
    await until(lambda: good.broker_heard.messages)
    await evil.client.close()
    await good.close()


async def test_a_handler_may_close_its_peer() -> None:
    broker, client = await two_engines()
    heard = Heard()

    def close_at_once(peer: Peer, state: PeerState, why: str) -> None:
        heard.states.append((state, why))
        if state is PeerState.CONNECTED:
            peer.shut("enough")

    handlers = Handlers(on_state=close_at_once)
    peer, offer = await client.offer(Handlers(), send_video=True)
    _, answer = await broker.answer(offer, handlers)
    await peer.accept(answer)
    await until(lambda: heard.state is PeerState.CLOSED)
    await until(lambda: peer.state is PeerState.CLOSED)
    await client.close()
    await broker.close()
