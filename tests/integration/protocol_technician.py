"""A technician without a browser: speaks the protocol, and counts what arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from broker.protocol import (
    CHAT_MAX_BYTES,
    Answer,
    Chat,
    ChatSince,
    ChatToPeer,
    Decoder,
    Ended,
    Leave,
    Message,
    Offer,
    OfferWanted,
    Said,
    Say,
    Session,
    ToViewer,
    ViewerHello,
    encode,
)
from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer
from tests.support.broker import Broker

WAIT_S = 20.0


class ProtocolTechnician:
    """One signed-in technician in one session."""

    def __init__(self, engine: Engine, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._engine = engine
        self._socket = socket
        self._peer: Peer | None = None
        self._changed = asyncio.Event()
        self._decoder: Decoder[Message] = Decoder(ToViewer)
        self._chat: Decoder[Said | Chat] = Decoder(ChatToPeer, CHAT_MAX_BYTES)
        self.session: Session | None = None
        self.ended: Ended | None = None
        self.packets = 0  # of the picture
        self.said: list[str] = []
        self.heard: list[str] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    @contextlib.asynccontextmanager
    async def join(cls, broker: Broker, name: str, code: str) -> AsyncIterator[ProtocolTechnician]:
        """Sign in, enter the code, open the session's link."""
        token = (await broker.sign_in_link(name)).partition("#")[2]
        engine = await Engine.open_client()
        jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
        async with aiohttp.ClientSession(
            broker.url, cookie_jar=jar, headers={"Origin": broker.url}
        ) as http:
            async with http.post("/api/sign-in", json={"token": token}) as answer:
                assert answer.status == 200, await answer.text()
            async with http.post("/api/codes", json={"code": code}) as answer:
                body = await answer.json()
                assert answer.status == 200, body
            async with http.ws_connect(f"/ws/session/{body['session']}") as socket:
                one = cls(engine, socket)
                await one.send(ViewerHello(1, "test"))
                yield one
                one._reader.cancel()
                await asyncio.gather(one._reader, return_exceptions=True)
        await engine.close()

    async def send(self, message: Message) -> None:
        """Send on the signalling link."""
        await self._socket.send_str(encode(message).decode())

    async def leave(self) -> None:
        """Leave the session."""
        await self.send(Leave())

    def say(self, chat_id: str, text: str) -> None:
        """Send a chat text."""
        assert self._peer is not None
        assert self._peer.send("chat", encode(Say(chat_id, text)).decode())

    async def until(self, condition: Callable[[ProtocolTechnician], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(WAIT_S):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def _read(self) -> None:
        async for frame in self._socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                break
            message = self._decoder.decode(frame.data)
            match message:
                case Session():
                    self.session = message
                case OfferWanted():
                    await self._connect()
                case Answer(sdp):
                    assert self._peer is not None
                    await self._peer.accept(sdp)
                case Ended():
                    self.ended = message
            self._changed.set()

    async def _connect(self) -> None:
        if self._peer is not None:
            await self._peer.close()
        handlers = Handlers(on_channel=self._opened, on_message=self._message, on_rtp=self._packet)
        self._peer, sdp = await self._engine.offer(handlers, send_video=True)
        await self.send(Offer(sdp.replace("a=sendonly", "a=recvonly")))

    def _opened(self, peer: Peer, label: str) -> None:
        peer.send(label, encode(ChatSince(0)).decode())
        self._changed.set()

    def _message(self, peer: Peer, label: str, data: str | bytes) -> None:
        message = self._chat.decode(data)
        if isinstance(message, Said):
            self.said.append(message.id)
        elif isinstance(message, Chat):
            self.heard.append(message.text)
        self._changed.set()

    def _packet(self, peer: Peer, packet: bytes) -> None:
        self.packets += 1
        self._changed.set()
