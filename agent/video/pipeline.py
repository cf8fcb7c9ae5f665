"""The camera: a thread that looks at the screen and encodes what changed.

Nothing queues. One frame at most is on its way to the loop, and the screen is
read again only when that one was taken and the sender has room: a slow network
lowers the frame rate and adds no delay.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from agent.screen import CaptureFailed, Screen, open_screen
from agent.video import EncodedFrame, EncodeFailed
from agent.video.bell import Bell
from agent.video.encoding import Encoding
from broker.rtc.bandwidth import START_BPS

T = TypeVar("T")

STOP_S: Final = 1.0
"""A display that does not answer for this long is not waited for when stopping."""

Taker = Callable[[EncodedFrame], float]
"""Takes a frame; returns for how many seconds no other is wanted."""


class Camera:
    """The picture of one display, while it is wanted. All callables come on the loop.

    `on_failed` gets a sentence when the screen cannot be read or encoded; capture
    has stopped by then. A camera can be started again.
    """

    def __init__(
        self,
        display: str,
        *,
        on_failed: Callable[[str], None],
        open_display: Callable[[str], Screen] = open_screen,
    ) -> None:
        self._display = display
        self._on_failed = on_failed
        self._open_display = open_display
        self._target_bps = START_BPS
        self._run: _Run | None = None

    def start(self, on_frame: Taker) -> None:
        """Begin, with a key frame; does nothing while it runs."""
        if self._run is not None:
            return
        loop = asyncio.get_running_loop()
        run = _Run(
            lambda: self._open_display(self._display),
            lambda frame: loop.call_soon_threadsafe(self._taken, run, on_frame, frame),
            lambda why: loop.call_soon_threadsafe(self._failed, run, why),
        )
        run.target_bps = self._target_bps
        self._run = run
        run.start()

    def stop(self) -> None:
        """On return the screen is read no more, and `on_frame` called no more."""
        run, self._run = self._run, None
        if run is not None:
            run.stop()

    def request_key_frame(self) -> None:
        """Somebody must be able to begin to decode: a key frame comes soon."""
        if self._run is not None:
            self._run.want_key_frame()

    def set_rate(self, target_bps: int) -> None:
        """Use at most so many bits a second from now on."""
        self._target_bps = target_bps
        if self._run is not None:
            self._run.target_bps = target_bps

    def _taken(self, run: _Run, on_frame: Taker, frame: EncodedFrame) -> None:
        if run is not self._run:
            return  # stopped while the frame was on its way
        pause_s = 0.0
        try:
            pause_s = on_frame(frame)
        finally:
            run.go_on(pause_s)

    def _failed(self, run: _Run, why: str) -> None:
        if run is self._run:
            self._run = None
            self._on_failed(why)


class _Run(threading.Thread):
    """One run of the camera: owns the screen and the encoder from start to stop."""

    def __init__(
        self,
        open_display: Callable[[], Screen],
        on_frame: Callable[[EncodedFrame], object],
        on_failed: Callable[[str], object],
    ) -> None:
        super().__init__(name="camera", daemon=True)
        self.target_bps = START_BPS
        self._open_display = open_display
        self._on_frame = on_frame
        self._on_failed = on_failed
        self._reading = threading.Lock()  # held while the screen is read
        self._bell = Bell()
        self._lock = threading.Lock()  # guards what follows
        self._stopped = False
        self._key_wanted = False
        self._in_flight = False
        self._not_before = 0.0

    # ── from the loop ────────────────────────────────────────────────────────

    def stop(self) -> None:
        """Read no more; waits for a picture that is being read, not for its encoding."""
        with self._lock:
            self._stopped = True
        self._bell.ring()
        if self._reading.acquire(timeout=STOP_S):
            self._reading.release()

    def want_key_frame(self) -> None:
        """A key frame is wanted, without waiting for a change."""
        with self._lock:
            self._key_wanted = True
        self._bell.ring()

    def go_on(self, pause_s: float) -> None:
        """The frame in flight has been taken."""
        with self._lock:
            self._in_flight = False
            self._not_before = time.monotonic() + pause_s
        self._bell.ring()

    # ── the thread ───────────────────────────────────────────────────────────

    def run(self) -> None:
        """Look, encode, hand over, until stopped or failed."""
        why = "the camera stopped by a mistake of its own; see the agent's log"
        try:
            screen = self._open_display()
            try:
                self._film(screen)
            finally:
                screen.close()
        except (CaptureFailed, EncodeFailed) as error:
            why = str(error)
        finally:
            self._bell.close()
            if not self._stopped:
                self._tell(self._on_failed, why)

    def _film(self, screen: Screen) -> None:
        encoding = Encoding()
        while self._wait(screen, encoding):
            with self._reading:
                if self._stopped:
                    return
                now = time.monotonic()
                picture = screen.grab()
            frame = encoding.look(picture, self.target_bps, now)
            if frame is not None:
                with self._lock:
                    self._in_flight = True
                self._tell(self._on_frame, frame)

    def _wait(self, screen: Screen, encoding: Encoding) -> bool:
        """Wait until the screen is to be read; False when stopped."""
        while not self._stopped:
            with self._lock:
                if self._key_wanted:
                    self._key_wanted = False
                    encoding.want_key_frame()
                in_flight, not_before = self._in_flight, self._not_before
            if in_flight:
                self._bell.wait()
                continue
            now, changed = time.monotonic(), screen.changed()
            look_at = max(not_before, encoding.next_look(self.target_bps, now, changed=changed))
            if now >= look_at:
                return True
            self._bell.wait(look_at - now, None if changed else screen.fileno())
        return False

    def _tell(self, tell: Callable[[T], object], value: T) -> None:
        try:
            tell(value)
        except RuntimeError:  # the loop has been closed, and we with it
            self._stopped = True
