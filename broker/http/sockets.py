"""A WebSocket as a session's link: bounded both ways, never waited for.

What is sent goes through a bounded queue and one writer task; a client that
does not read until the queue is full loses its link, and so does one that
sends nothing, not even a pong, for `HEARTBEAT_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import WSCloseCode, WSMsgType, web

from broker.http.guard import SENTENCES
from broker.http.identity import COOKIE
from broker.protocol import (
    SIGNALLING_MAX_BYTES,
    VERSION,
    Message,
    ProtocolError,
    Refusal,
    Refused,
    encode,
    hello_version,
)

QUEUE_MAX = 128
HEARTBEAT_S = 6.0
"""A ping goes out so often; no pong within half of it ends the link."""

HELLO_S = 10.0
CLOSE_S = 2.0


class LinkRefused(Exception):
    """The client gets one `refused` message, then the link closes."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(reason.value)
        self.refused = Refused(reason, _sentence(reason, detail), fatal=True)


class SocketLink:
    """One client's link; satisfies `sessions.ports.Link`."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            max_msg_size=SIGNALLING_MAX_BYTES,
            timeout=CLOSE_S,
            compress=False,
        )
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(QUEUE_MAX)
        self._writer: asyncio.Task[None] | None = None

    @property
    def cookie(self) -> str:
        """The session cookie that the link was opened with; "" for agents."""
        return self._request.cookies.get(COOKIE, "")

    @property
    def response(self) -> web.WebSocketResponse:
        """What the handler of the request returns."""
        return self._socket

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Accept the WebSocket; on leaving, send what is queued and close it."""
        await self._socket.prepare(self._request)
        self._writer = asyncio.create_task(self._write(), name="link writer")
        try:
            yield
        except LinkRefused as refused:
            self.send(refused.refused)
        except ProtocolError as error:
            self.send(LinkRefused(Refusal.BAD_MESSAGE, str(error)).refused)
        finally:
            self.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._writer, CLOSE_S)

    async def hello(self) -> str:
        """The first frame, if it is a hello of our version.

        Raises LinkRefused, ProtocolError.
        """
        try:
            message = await self._socket.receive(timeout=HELLO_S)
        except TimeoutError:
            raise ProtocolError("no hello arrived") from None
        if message.type is not WSMsgType.TEXT:
            raise ProtocolError("the first message is not a hello")
        frame: str = message.data
        version = hello_version(frame)
        if version != VERSION:
            which = "program" if version < VERSION else "broker"
            raise LinkRefused(Refusal.VERSION, f"The {which} is the older one.")
        return frame

    async def frames(self) -> AsyncIterator[str]:
        """Text frames until the link closes. Raises ProtocolError on binary ones."""
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                raise ProtocolError("signalling is text")
            yield message.data

    def send(self, message: Message) -> None:
        """Queue a message; see the file's first lines for a full queue."""
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._drop()

    def close(self) -> None:
        """Close once all that is queued is sent."""
        try:
            self._queue.put_nowait(None)
        except asyncio.QueueFull:
            self._drop()

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    async def _write(self) -> None:
        try:
            while (message := await self._queue.get()) is not None:
                await self._socket.send_str(encode(message).decode())
            await self._socket.close()
        except (ConnectionError, RuntimeError):
            pass  # the client went away; the reader notices too
        except asyncio.CancelledError:
            await self._abort()

    async def _abort(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(
                self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"too slow"), CLOSE_S
            )


def _sentence(reason: Refusal, detail: str) -> str:
    return f"{SENTENCES[reason]} {detail}".strip()
