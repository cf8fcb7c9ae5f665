"""The agent's media connection: the picture and the chat, and the switch of the picture.

The switch is `open_gate` and `close_gate`: the screen is captured only while
the gate is open and the connection is up, and `close_gate` returns when capture
has stopped. All else, which may wait for the network, is done in order by one
task, `run`. A connection that fails is made again with growing pauses, or at
once when the broker asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from agent.publish import Publisher
from agent.video.pipeline import Camera
from broker.protocol import MediaFailure
from broker.rtc.engine import Engine
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.sdp import SdpError

logger = logging.getLogger(__name__)

CONNECT_S: Final = 8.0
"""UDP that has not connected in this time does not get through."""

CLOSED_S: Final = 0.3
"""A broker that closes the connection may say within this that the session is over."""

RETRY_FIRST_S: Final = 2.0
RETRY_MAX_S: Final = 10.0
ANSWERS_MAX: Final = 8
"""Answers of the broker that may wait; older ones answer offers that are gone."""


class Media:
    """At most one peer at a time. All callables are called on the loop."""

    def __init__(
        self,
        *,
        display: str,
        send_offer: Callable[[str], bool],
        on_up: Callable[[], None],
        on_failed: Callable[[MediaFailure, str], None],
        on_capturing: Callable[[], None],
        on_channel: Callable[[], None],
        on_message: Callable[[str | bytes], None],
    ) -> None:
        self._send_offer = send_offer
        self._on_up = on_up
        self._on_failed = on_failed
        self._on_capturing = on_capturing
        self._on_channel = on_channel
        self._on_message = on_message
        self._camera = Camera(display, on_failed=self._capture_failed)
        self._engine: Engine | None = None
        self._peer: Peer | None = None
        self._publisher: Publisher | None = None
        self._offered: deque[Peer] = deque()  # whose answer is still to come
        self._answers: deque[str] = deque(maxlen=ANSWERS_MAX)
        self._leaving: list[Peer] = []
        self._wanted = False
        self._gate_open = False
        self._work = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._failures = 0
        self.capturing = False
        """Whether the screen is read and sent now."""

    # ── the switch ───────────────────────────────────────────────────────────

    def open_gate(self) -> None:
        """The screen may be sent, as soon as there is a connection."""
        self._gate_open = True
        self._follow_gate()

    def close_gate(self) -> None:
        """The screen may not be sent. On return, capture has stopped."""
        self._gate_open = False
        self._stop_capture()

    def _follow_gate(self) -> None:
        publisher = self._publisher
        if not self._gate_open or publisher is None or self.capturing:
            return
        publisher.resume()
        self._camera.start(publisher.send)
        self.capturing = True
        self._on_capturing()

    def _stop_capture(self) -> None:
        if not self.capturing:
            return
        self.capturing = False
        if self._publisher is not None:
            self._publisher.pause()
        self._camera.stop()
        self._on_capturing()

    # ── what the broker wants ────────────────────────────────────────────────

    def want(self) -> None:
        """Make the connection (again)."""
        self._wanted = True
        self._work.set()

    def answer(self, sdp: str) -> None:
        """The broker's answer to the oldest offer without one."""
        self._answers.append(sdp)
        self._work.set()

    def refused(self) -> None:
        """The broker does not answer that offer; wait until it wants another."""
        if self._offered and self._offered.popleft() is self._peer:
            self._part()

    def drop(self) -> None:
        """The link is down: no answer comes, and the broker closes its end."""
        self._offered.clear()
        self._answers.clear()
        self._wanted = False
        self._part()

    def say(self, text: str) -> bool:
        """Send on the chat channel; False if it is not open."""
        return self._peer is not None and self._peer.send("chat", text)

    async def close(self) -> None:
        """Close everything; `run` must have ended."""
        self.close_gate()
        self.drop()
        await self._close_left()
        if self._engine is not None:
            await self._engine.close()

    # ── the task ─────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Do what may wait, one thing after the other."""
        while True:
            await self._work.wait()
            self._work.clear()
            await self._close_left()
            while self._answers:
                await self._accept(self._answers.popleft())
            if self._wanted:
                self._wanted = False
                await self._offer()

    async def _offer(self) -> None:
        self._part()
        await self._close_left()
        try:
            if self._engine is None:
                self._engine = await Engine.open_client()
            peer, sdp = await self._engine.offer(self._handlers(), send_video=True)
        except OSError as error:
            logger.warning("no media connection: %s", error)
            self._fail(MediaFailure.NO_UDP)
            return
        self._peer = peer
        if self._send_offer(sdp):
            self._offered.append(peer)
        else:
            self._part()  # the link broke meanwhile; the broker will want another

    async def _accept(self, sdp: str) -> None:
        peer = self._offered.popleft() if self._offered else None
        if peer is None or peer is not self._peer:
            return  # its offer was given up
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(CONNECT_S, self._fail, MediaFailure.NO_UDP)
        try:
            await peer.accept(sdp)
        except SdpError as error:
            logger.warning("the broker's answer is no use: %s", error)
            self._fail(MediaFailure.NO_CODEC)

    async def _close_left(self) -> None:
        while self._leaving:
            await self._leaving.pop().close()

    # ── one peer ─────────────────────────────────────────────────────────────

    def _handlers(self) -> Handlers:
        return Handlers(
            on_state=self._state,
            on_message=self._message,
            on_rtp=_ignore_packet,
            on_rtcp=self._rtcp,
            on_channel=self._channel,
        )

    def _state(self, peer: Peer, state: PeerState, why: str) -> None:
        if peer is not self._peer:
            return
        if state is PeerState.CONNECTED:
            self._connected(peer)
        elif state in (PeerState.LOST, PeerState.CLOSED):
            logger.info("the media connection is %s: %s", state.value, why)
            failure = MediaFailure.LOST if self._publisher else MediaFailure.NO_UDP
            self._part()
            wait_s = CLOSED_S if state is PeerState.CLOSED else 0.0
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(wait_s, self._fail, failure)

    def _connected(self, peer: Peer) -> None:
        if self._publisher is not None:
            return
        if peer.video is None:
            self._fail(MediaFailure.NO_CODEC)
            return
        self._stop_timers()
        self._failures = 0
        self._publisher = Publisher(
            peer,
            on_key_frame_wanted=self._camera.request_key_frame,
            on_rate=self._camera.set_rate,
        )
        self._on_up()
        self._follow_gate()

    def _rtcp(self, peer: Peer, packet: bytes) -> None:
        if peer is self._peer and self._publisher is not None:
            self._publisher.on_rtcp(peer, packet)

    def _channel(self, peer: Peer, label: str) -> None:
        if peer is self._peer and label == "chat":
            self._on_channel()

    def _message(self, peer: Peer, label: str, data: str | bytes) -> None:
        if peer is self._peer and label == "chat":
            self._on_message(data)

    # ── ends ─────────────────────────────────────────────────────────────────

    def _part(self) -> None:
        """Let go of the peer, if there is one; capture ends first."""
        self._stop_capture()
        self._stop_timers()
        if self._peer is not None:
            self._leaving.append(self._peer)
            self._peer = None
            self._publisher = None
            self._work.set()

    def _fail(self, failure: MediaFailure, why: str = "") -> None:
        """The connection does not work: try again after a growing pause.

        `why` is a sentence, if there is more to say than `failure` does.
        """
        self._part()
        pause = min(RETRY_MAX_S, RETRY_FIRST_S * 2.0**self._failures)
        self._failures = min(self._failures + 1, 8)
        self._retry = asyncio.get_running_loop().call_later(pause, self.want)
        self._on_failed(failure, why)

    def _capture_failed(self, why: str) -> None:
        self._fail(MediaFailure.CAPTURE, why)

    def _stop_timers(self) -> None:
        for timer in (self._deadline, self._retry):
            if timer is not None:
                timer.cancel()
        self._deadline = self._retry = None


def _ignore_packet(peer: Peer, packet: bytes) -> None:
    """The broker sends no picture to an agent."""
