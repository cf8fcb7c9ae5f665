"""The link proves who it is, comes back by itself, and knows when it is over."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agent.device import DeviceKey
from agent.link import (
    PAUSE_MAX_S,
    QUEUE_MAX,
    Link,
    LinkOver,
    endpoint,
    is_this_computer,
    pause_s,
)
from broker.protocol import (
    AgentHello,
    AgentWelcome,
    Challenge,
    Code,
    Decoder,
    DeviceFacts,
    End,
    Ended,
    EndReason,
    FromAgent,
    Message,
    NewCode,
    Offer,
    Refusal,
    Refused,
    ToAgent,
    encode,
)

FACTS = DeviceFacts("desk-7", "Eva", "Debian", "1920x1080", "ayuda-agent 0")
NONCE = bytes(range(32))
CODE = Code("123456789012", 300.0)

Script = Callable[["Broker", ServerConnection], Awaitable[None]]


class Broker:
    """The broker's end of a link, on a real socket; `scripts` play one connection each."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = list(scripts)
        self.hellos: list[AgentHello] = []
        self.heard: list[Message] = []
        self.decoder: Decoder[Message] = Decoder(FromAgent)

    async def __call__(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await self.scripts.pop(0)(self, socket)

    async def greet(self, socket: ServerConnection, *messages: Message) -> None:
        await tell(socket, Challenge(1, base64.b64encode(NONCE).decode()))
        hello = self.decoder.decode(await socket.recv())
        assert isinstance(hello, AgentHello)
        self.hellos.append(hello)
        for message in messages:
            await tell(socket, message)

    async def hear(self, socket: ServerConnection) -> None:
        async for frame in socket:
            self.heard.append(self.decoder.decode(frame))


async def tell(socket: ServerConnection, message: Message) -> None:
    await socket.send(encode(message).decode())


class Owner:
    """Whoever owns the link: remembers what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[ToAgent | str] = []
        self.welcome = asyncio.Event()

    def hear(self, message: ToAgent) -> None:
        self.told.append(message)
        if isinstance(message, AgentWelcome):
            self.welcome.set()

    def link(
        self, port: int, directory: Path, resume_s: float = 5.0, first_try_s: float = 5.0
    ) -> Link:
        return Link(
            f"http://127.0.0.1:{port}",
            DeviceKey.load(directory),
            FACTS,
            "en",
            trust=None,
            on_message=self.hear,
            on_down=lambda: self.told.append("down"),
            draw=lambda: 0.0,
            resume_s=resume_s,
            first_try_s=first_try_s,
        )


@asynccontextmanager
async def broker(*scripts: Script) -> AsyncIterator[tuple[Broker, int]]:
    one = Broker(*scripts)
    async with serve(one, "127.0.0.1", 0, close_timeout=0.1) as server:
        yield one, next(iter(server.sockets)).getsockname()[1]


async def welcome_then_end(one: Broker, socket: ServerConnection) -> None:
    await one.greet(socket, AgentWelcome("s1", False), CODE, Ended(EndReason.NOBODY_CAME))


async def test_it_proves_its_key_and_passes_messages_on(tmp_path: Path) -> None:
    owner = Owner()
    async with broker(welcome_then_end) as (one, port):
        await owner.link(port, tmp_path).run()
    (hello,) = one.hellos
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(hello.device_key))
    public.verify(base64.b64decode(hello.proof), b"ayuda-agent:" + NONCE)
    assert (hello.version, hello.facts, hello.resume) == (1, FACTS, None)
    assert owner.told == [
        AgentWelcome("s1", False),
        CODE,
        Ended(EndReason.NOBODY_CAME),
        "down",
    ]


async def test_a_broken_link_is_told_first_and_then_resumed(tmp_path: Path) -> None:
    async def welcome_and_break(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", False))
        socket.transport.abort()

    async def resume_and_end(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", True), Ended(EndReason.TECHNICIAN_ENDED))

    owner = Owner()
    async with broker(welcome_and_break, resume_and_end) as (one, port):
        await owner.link(port, tmp_path).run()
    assert [hello.resume for hello in one.hellos] == [None, "s1"]
    assert one.hellos[0].device_key == one.hellos[1].device_key
    assert owner.told[:3] == [AgentWelcome("s1", False), "down", AgentWelcome("s1", True)]


async def test_a_broker_that_stays_away_ends_it(tmp_path: Path) -> None:
    owner = Owner()
    stopped = asyncio.Event()

    async def welcome_and_stop(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", False))
        stopped.set()

    async with broker(welcome_and_stop) as (_, port):
        running = asyncio.create_task(owner.link(port, tmp_path, resume_s=1.0).run())
        await stopped.wait()
    with pytest.raises(LinkOver) as over:
        await running
    assert over.value.key == "link.over"
    assert owner.told == [AgentWelcome("s1", False), "down"]


async def test_nobody_there_is_said_soon(tmp_path: Path, unused_tcp_port: int) -> None:
    with pytest.raises(LinkOver) as over:
        await Owner().link(unused_tcp_port, tmp_path, first_try_s=0.5).run()
    assert over.value.key == "link.unreachable"
    assert "refused" in str(over.value.values["cause"]).lower()


@pytest.mark.parametrize(
    ("first", "key"),
    [
        (b'{"type":"challenge","version":2,"nonce":"AA==","new":"field"}', "link.version"),
        (b'{"type":"challenge","version":0}', "link.version"),
        (b'{"type":"challenge","version":1,"nonce":"AA==","new":"field"}', "link.bad_language"),
        (b'{"type":"challenge","version":1,"nonce":"AAA"}', "link.bad_language"),
        (encode(CODE), "link.bad_language"),
        (b"hello", "link.bad_language"),
        (b"\xff\xfe", "link.bad_language"),
    ],
)
async def test_a_broker_of_another_language_is_not_tried_again(
    tmp_path: Path, first: bytes, key: str
) -> None:
    async def speak(one: Broker, socket: ServerConnection) -> None:
        await socket.send(first)
        await socket.wait_closed()

    async with broker(speak) as (_, port):
        with pytest.raises(LinkOver) as over:
            await Owner().link(port, tmp_path).run()
    assert over.value.key == key


@pytest.mark.parametrize("reason", [Refusal.VERSION, Refusal.BAD_PROOF, Refusal.REPLACED])
async def test_a_refusal_that_will_not_change_ends_it(tmp_path: Path, reason: Refusal) -> None:
    async def refuse(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, Refused(reason, "no", fatal=True))

    async with broker(refuse) as (_, port):
        with pytest.raises(LinkOver) as over:
            await Owner().link(port, tmp_path).run()
    assert over.value.values == {"why": reason}


async def test_another_refusal_is_tried_again(tmp_path: Path) -> None:
    async def refuse(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, Refused(Refusal.STOPPING, "no", fatal=True))

    async with broker(refuse, welcome_then_end) as (one, port):
        await Owner().link(port, tmp_path).run()
    assert len(one.hellos) == 2


@pytest.mark.parametrize(
    "frame", ['{"type":"code","code":"12"}', "[]", "nonsense", '{"type":"unheard-of"}']
)
async def test_a_message_out_of_the_language_takes_the_link_down(
    tmp_path: Path, frame: str
) -> None:
    async def babble(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", False))
        await socket.send(frame)
        await socket.wait_closed()

    owner = Owner()
    async with broker(babble) as (_, port):
        with pytest.raises(LinkOver) as over:
            await owner.link(port, tmp_path).run()
    assert over.value.key == "link.bad_language"
    assert owner.told[-1] == "down"


async def test_closing_sends_what_is_queued(tmp_path: Path) -> None:
    async def listen(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", False))
        await one.hear(socket)

    owner = Owner()
    async with broker(listen) as (one, port):
        link = owner.link(port, tmp_path)
        assert not link.send(End())  # not up yet
        running = asyncio.create_task(link.run())
        await owner.welcome.wait()
        assert link.send(NewCode())
        assert link.send(End())
        link.close()
        await running
        assert not link.send(End())
    assert one.heard == [NewCode(), End()]


async def test_a_broker_that_does_not_read_counts_as_gone(tmp_path: Path) -> None:
    async def sleep(one: Broker, socket: ServerConnection) -> None:
        await one.greet(socket, AgentWelcome("s1", False))
        socket.transport.pause_reading()
        await socket.wait_closed()

    owner = Owner()
    async with broker(sleep) as (_, port):
        link = owner.link(port, tmp_path, resume_s=0.1)
        running = asyncio.create_task(link.run())
        await owner.welcome.wait()
        sent = 0
        while link.send(Offer("v=0" + "x" * 60_000)):
            sent += 1
            if sent % QUEUE_MAX == 0:
                await asyncio.sleep(0.01)
            assert sent < 10_000
        with pytest.raises(LinkOver):
            await running
    assert owner.told[-1] == "down"


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pauses_grow_from_half_a_second_to_ten_with_chance(attempt: int, draw: float) -> None:
    pause = pause_s(attempt, lambda: draw)
    assert 0.25 <= pause <= PAUSE_MAX_S
    assert pause_s(attempt + 1, lambda: draw) >= pause


@pytest.mark.parametrize(
    ("broker_url", "socket_url"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws/agent"),
        ("https://help.example.org/", "wss://help.example.org/ws/agent"),
        ("https://[::1]:8443", "wss://[::1]:8443/ws/agent"),
    ],
)
def test_the_endpoint_follows_the_address(broker_url: str, socket_url: str) -> None:
    assert endpoint(broker_url) == socket_url


@pytest.mark.parametrize(
    ("host", "this"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("127.0.0.1.example.org", False),
        ("localhost.example.org", False),
        ("192.168.1.2", False),
        ("", False),
    ],
)
def test_only_this_computer_needs_no_tls(host: str, this: bool) -> None:
    assert is_this_computer(host) is this
