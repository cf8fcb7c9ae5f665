"""The signalling link to the broker: opened, proven, kept, and made again.

A link that breaks is tried again with growing, random pauses for as long as the
broker would still resume the session; then it is over. Whoever owns the link is
told at once when it breaks, before anything else is tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import ssl
import time
from collections.abc import Callable
from typing import Final, Literal, NoReturn
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI, WebSocketException

from agent.device import DeviceKey
from broker.protocol import (
    SIGNALLING_MAX_BYTES,
    VERSION,
    AgentHello,
    AgentWelcome,
    Challenge,
    Decoder,
    DeviceFacts,
    Ended,
    Language,
    Message,
    ProtocolError,
    Refusal,
    Refused,
    ToAgent,
    encode,
)

logger = logging.getLogger(__name__)

RESUME_S: Final = 60.0
"""So long a broken link is tried again; the broker keeps a session as long."""

FIRST_TRY_S: Final = 8.0
"""So long a broker that was never reached is tried."""

PING_S: Final = 5.0
"""A ping goes out so often, and must be answered within as long."""

OPEN_S: Final = 8.0
HELLO_S: Final = 10.0
CLOSE_S: Final = 1.0
QUEUE_MAX: Final = 64
"""Messages that may wait to be sent; with more the link counts as broken."""

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 10.0

STOPPED_BY: Final = frozenset({Refusal.VERSION, Refusal.BAD_PROOF, Refusal.REPLACED})
"""Refusals that trying again cannot change."""


class LinkOver(Exception):
    """The link is over for good; `key` and `values` name its sentence."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


class LinkBroken(Exception):
    """This connection is broken; the text says how, another may work."""


class _AnyChallenge(Struct):
    """The part of a challenge that no version may change."""

    type: Literal["challenge"]
    version: int


def pause_s(attempt: int, draw: Callable[[], float]) -> float:
    """How long to wait before a try, in seconds; `attempt` counts from 0.

    Doubles from half a second to ten; of that a random half, so that the
    agents of a restarted broker do not come back all at once. `draw` gives a
    number from 0 to 1.
    """
    longest = min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0 ** min(attempt, 16))
    return longest * (0.5 + 0.5 * draw())


def endpoint(broker: str) -> str:
    """The WebSocket address of a broker's http(s) address."""
    scheme, _, rest = broker.partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest.rstrip('/')}/ws/agent"


def is_this_computer(host: str) -> bool:
    """Whether a host name can only be this computer (RFC 6761 §6.3)."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Link:
    """One agent's link. Its owner runs `run` and is called back on the loop.

    `on_message` gets every message, `on_down` is called once for each time the
    link was up. `clock` gives monotonic seconds, `draw` numbers from 0 to 1.
    """

    def __init__(
        self,
        broker: str,
        key: DeviceKey,
        facts: DeviceFacts,
        language: Language,
        *,
        trust: ssl.SSLContext | None,
        on_message: Callable[[ToAgent], None],
        on_down: Callable[[], None],
        draw: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        resume_s: float = RESUME_S,
        first_try_s: float = FIRST_TRY_S,
    ) -> None:
        self._broker = broker
        self._key = key
        self._facts = facts
        self._language: Language = language
        self._trust = trust
        self._on_message = on_message
        self._on_down = on_down
        self._draw = draw
        self._clock = clock
        self._resume_s = resume_s
        self._first_try_s = first_try_s
        self._decoder: Decoder[ToAgent] = Decoder(ToAgent)
        self._socket: ClientConnection | None = None
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE_MAX)
        self._session: str | None = None
        self._up = False
        self._up_since: float | None = None
        self._ended = False

    @property
    def up(self) -> bool:
        """Whether messages reach the broker now."""
        return self._up

    def send(self, message: Message) -> bool:
        """Queue a message; False if the link is down."""
        if not self._up:
            return False
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._break()  # the broker does not read
            return False
        return True

    def close(self) -> None:
        """Close once all that is queued is sent; then `run` returns."""
        self._ended = True
        if self._up:
            with contextlib.suppress(asyncio.QueueFull):
                self._queue.put_nowait(None)
                return
        self._break()

    async def run(self) -> None:
        """Keep the link up until the session ends or `close` is called.

        Raises LinkOver when it cannot be up (any more).
        """
        give_up = self._clock() + self._first_try_s
        attempt = 0
        while True:
            cause = ""
            try:
                await self._connect()
            except LinkBroken as broken:
                cause = str(broken)
                logger.info("link: %s", cause)
            if self._ended:
                return
            if self._up_since is not None:
                give_up = self._clock() + self._resume_s
                # A broker that takes and drops links is not asked twice a second.
                if self._clock() - self._up_since > PAUSE_MAX_S:
                    attempt = 0
                self._up_since = None
            pause = pause_s(attempt, self._draw)
            attempt += 1
            if self._clock() + pause >= give_up:
                self._give_up(cause)
            await asyncio.sleep(pause)

    # ── one connection ───────────────────────────────────────────────────────

    async def _connect(self) -> None:
        """Make one connection and read it to its end. Raises LinkBroken, LinkOver."""
        url = urlsplit(self._broker)
        try:
            async with connect(
                endpoint(self._broker),
                ssl=self._trust if url.scheme == "https" else None,
                proxy=None if is_this_computer(url.hostname or "") else True,
                compression=None,
                user_agent_header=None,
                open_timeout=OPEN_S,
                ping_interval=PING_S,
                ping_timeout=PING_S,
                close_timeout=CLOSE_S,
                max_size=SIGNALLING_MAX_BYTES,
                max_queue=32,
            ) as socket:
                self._socket = socket
                await self._greet(socket)
                await self._converse(socket)
        except ConnectionClosed as closed:
            said = closed.rcvd.reason if closed.rcvd else ""
            raise LinkBroken(said or "the connection closed") from None
        except ssl.SSLCertVerificationError as error:
            raise LinkOver(
                "link.certificate", broker=self._broker, cause=error.verify_message
            ) from None
        except TimeoutError:
            raise LinkBroken("no answer in time") from None
        except (InvalidHandshake, InvalidURI) as error:
            raise LinkBroken(f"no WebSocket there: {error}") from None
        except (OSError, WebSocketException, EOFError, ImportError) as error:
            raise LinkBroken(_cause(error)) from None  # ImportError: a SOCKS proxy
        finally:
            self._socket = None

    async def _greet(self, socket: ClientConnection) -> None:
        """Prove the device and wait to be welcome."""
        async with asyncio.timeout(HELLO_S):
            challenge = self._challenge(await socket.recv())
            try:
                proof = self._key.proof(challenge.nonce)
            except ValueError as error:
                self._strange(str(error))
            hello = AgentHello(
                version=VERSION,
                product=self._facts.agent,
                device_key=self._key.public,
                proof=proof,
                facts=self._facts,
                language=self._language,
                resume=self._session,
            )
            await socket.send(encode(hello).decode())
            message = self._decode(await socket.recv())
        if isinstance(message, Refused):
            self._refused(message)
        if not isinstance(message, AgentWelcome):
            self._strange(f"{type(message).__name__} instead of a welcome")
        self._session = message.session
        self._queue = asyncio.Queue(QUEUE_MAX)
        self._up = True
        self._up_since = self._clock()
        self._on_message(message)

    async def _converse(self, socket: ClientConnection) -> None:
        """Pass messages on, both ways, until the connection ends."""
        writer = asyncio.create_task(self._write(socket), name="link writer")
        try:
            async for frame in socket:
                message = self._decode(frame)
                self._ended = self._ended or isinstance(message, Ended)
                if isinstance(message, Refused) and message.fatal:
                    self._refused(message)
                self._on_message(message)
        finally:
            self._up = False
            self._on_down()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def _write(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (message := await self._queue.get()) is not None:
                await socket.send(encode(message).decode())
            await socket.close()

    def _challenge(self, frame: str | bytes) -> Challenge:
        try:
            version = msgspec.json.decode(frame, type=_AnyChallenge).version
        except (msgspec.DecodeError, UnicodeError) as error:
            self._strange(str(error))
        if version != VERSION:
            raise LinkOver("link.version", ours=VERSION, theirs=version)
        message = self._decode(frame)
        if not isinstance(message, Challenge):
            self._strange("no challenge")
        return message

    def _decode(self, frame: str | bytes) -> ToAgent:
        try:
            return self._decoder.decode(frame)
        except ProtocolError as error:
            self._strange(str(error))

    # ── ends ─────────────────────────────────────────────────────────────────

    def _refused(self, message: Refused) -> NoReturn:
        if message.reason in STOPPED_BY:
            raise LinkOver("link.refused", why=message.reason)
        raise LinkBroken(message.message)

    def _strange(self, cause: str) -> NoReturn:
        raise LinkOver("link.bad_language", broker=self._broker, cause=cause)

    def _give_up(self, cause: str) -> NoReturn:
        if self._session is None:
            raise LinkOver("link.unreachable", broker=self._broker, cause=cause)
        raise LinkOver("link.over", seconds=round(self._resume_s), cause=cause)

    def _break(self) -> None:
        """Cut the connection without the closing handshake."""
        if self._socket is not None and (transport := self._socket.transport) is not None:
            transport.abort()


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)  # asyncio has words of its own, with addresses
    return str(error) or type(error).__name__
