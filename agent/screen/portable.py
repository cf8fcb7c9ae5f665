"""The whole display through mss: X11 by shared memory, Windows and macOS as they can.

Cost at 1920 x 1080 on X11: 3 ms a picture, pointer included.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Final

import mss
from mss.exception import ScreenShotError

from agent.screen import CaptureFailed, Picture

SIZE_CHECK_S: Final = 1.0
"""mss keeps the size that it found when it was opened; a fresh one tells of a change."""

TRIES: Final = 3
"""A picture can fail because the display is being resized at that moment."""


_TROUBLE: Final = (ScreenShotError, OSError, AssertionError, ValueError)
# mss asserts that each request has an answer; a display that is gone gives none.


class PortableScreen:
    """All monitors together as one picture."""

    def __init__(self, display: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._now = now
        self._mss = self._open()
        self._area = self._mss.monitors[0]
        self._checked_at = now()

    def grab(self) -> Picture:
        """The picture now. Raises CaptureFailed."""
        if self._now() - self._checked_at >= SIZE_CHECK_S:
            self._follow_size()
        for _ in range(TRIES - 1):
            try:
                return self._take()
            except _TROUBLE:
                self._reopen()
        try:
            return self._take()
        except _TROUBLE as error:
            raise self._failed(error) from None

    def changed(self) -> bool | None:
        """None: it cannot tell."""
        return None

    def fileno(self) -> int | None:
        """None: it cannot tell."""
        return None

    def close(self) -> None:
        """Disconnect."""
        _close(self._mss)

    def _take(self) -> Picture:
        shot = self._mss.grab(self._area)
        return Picture(shot.width, shot.height, shot.raw)

    def _follow_size(self) -> None:
        self._checked_at = self._now()
        fresh = self._open()
        if fresh.monitors[0] == self._area:
            _close(fresh)
        else:
            self._replace(fresh)

    def _reopen(self) -> None:
        self._replace(self._open())

    def _replace(self, fresh: mss.MSS) -> None:
        _close(self._mss)
        self._mss, self._area = fresh, fresh.monitors[0]

    def _open(self) -> mss.MSS:
        """A connection whose pointer, if it can be read, is in the picture."""
        try:
            return self._connect(with_pointer=True)
        except _TROUBLE:
            pass  # a display without the XFixes extension cannot tell its pointer
        try:
            return self._connect(with_pointer=False)
        except _TROUBLE as error:
            raise self._failed(error) from None

    def _connect(self, *, with_pointer: bool) -> mss.MSS:
        if sys.platform != "linux":
            return mss.MSS()
        screen = mss.MSS(display=self._display or None, with_cursor=with_pointer)
        try:
            area = screen.monitors[0]
            # Whether the pointer can be read shows with the first picture.
            screen.grab((area["left"], area["top"], area["left"] + 1, area["top"] + 1))
        except _TROUBLE:
            _close(screen)
            raise
        return screen

    def _failed(self, error: Exception) -> CaptureFailed:
        where = f"display {self._display}" if self._display else "default display"
        cause = str(error).splitlines()[0] if str(error) else "it does not answer any more"
        return CaptureFailed(
            f"the {where} cannot be read ({cause}); check that it is running "
            "and that this user may see it"
        )


def _close(screen: mss.MSS) -> None:
    with contextlib.suppress(*_TROUBLE):  # a connection that is lost already
        screen.close()
