"""An X11 display: read through mss, and looked at only when the X server says that it changed.

The DAMAGE extension tells of what is drawn, XFIXES of another pointer's shape, XInput 2 of
its moves (of nothing that is typed or pressed). So a change is read as soon as it is drawn,
and a screen that rests costs nothing.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Final

import xcffib
import xcffib.damage
import xcffib.xfixes
import xcffib.xinput

from agent.screen import Picture
from agent.screen.portable import PortableScreen

logger = logging.getLogger(__name__)

EVENTS_MAX: Final = 4096
"""Events read at one time; the X server sends one of damage until it is read again."""

_ALL_MASTER_DEVICES: Final = 1
_NO_REGION: Final = 0


class X11Screen:
    """A display whose server tells of its changes, as long as it does."""

    def __init__(self, display: str) -> None:
        self._screen = PortableScreen(display)
        self._changed = True
        self._server: xcffib.Connection | None = None
        try:
            self._listen(display)
        except (xcffib.XcffibException, KeyError) as error:
            self._deaf(error)

    def grab(self) -> Picture:
        """The picture now. Raises CaptureFailed."""
        if self._server is not None:
            self.changed()
            # What is drawn from here on is told anew, so that nothing falls between.
            try:
                self._damage.Subtract(self._drawn, _NO_REGION, _NO_REGION, is_checked=True).check()
            except xcffib.XcffibException as error:
                self._deaf(error)
        self._changed = False
        return self._screen.grab()

    def changed(self) -> bool | None:
        """Whether something was drawn or the pointer moved since `grab`; None: nobody knows."""
        if self._server is None:
            return None
        try:
            for _ in range(EVENTS_MAX):
                if self._server.poll_for_event() is None:
                    break
                self._changed = True
        except xcffib.XcffibException as error:
            self._deaf(error)
            return None
        return self._changed

    def fileno(self) -> int | None:
        """Readable when there is news for `changed`; None: there never is."""
        return None if self._server is None else self._server.get_file_descriptor()

    def close(self) -> None:
        """Disconnect."""
        self._screen.close()
        self._disconnect()

    def _listen(self, display: str) -> None:
        server = self._server = xcffib.connect(display=display or None)
        root = server.get_setup().roots[server.pref_screen].root
        self._damage = server(xcffib.damage.key)
        self._damage.QueryVersion(1, 1).reply()
        self._drawn = server.generate_id()
        self._damage.Create(
            self._drawn, root, xcffib.damage.ReportLevel.NonEmpty, is_checked=True
        ).check()
        fixes = server(xcffib.xfixes.key)
        fixes.QueryVersion(4, 0).reply()
        shapes = xcffib.xfixes.CursorNotifyMask.DisplayCursor
        fixes.SelectCursorInput(root, shapes, is_checked=True).check()
        pointers = server(xcffib.xinput.key)
        pointers.XIQueryVersion(2, 2).reply()
        moves = xcffib.xinput.EventMask.synthetic(
            _ALL_MASTER_DEVICES, 1, [xcffib.xinput.XIEventMask.RawMotion]
        )
        pointers.XISelectEvents(root, 1, [moves], is_checked=True).check()

    def _deaf(self, error: Exception) -> None:
        """Without word from the server, the screen has to be looked at again and again."""
        logger.info("the display does not tell of its changes (%s)", error or type(error).__name__)
        self._disconnect()

    def _disconnect(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(xcffib.XcffibException):
                server.disconnect()
