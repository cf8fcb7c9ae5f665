"""Reading the screen: the interface of every platform, and the choice among them."""

from __future__ import annotations

import sys
from typing import Protocol

from msgspec import Struct


class CaptureFailed(Exception):
    """The screen cannot be read; the text says why and what to do, for a person."""


class Picture(Struct, frozen=True):
    """What the screen shows: rows from the top, four bytes a pixel (blue, green, red, unused)."""

    width: int
    height: int
    pixels: bytearray


class Screen(Protocol):
    """One display, the pointer included. Used by one thread from beginning to end."""

    def grab(self) -> Picture:
        """The picture now; its size may differ from the one before. Raises CaptureFailed."""
        ...

    def changed(self) -> bool | None:
        """Whether it may show something else than at the last grab; None: it cannot tell."""
        ...

    def fileno(self) -> int | None:
        """Readable when there is news for `changed`; None: it cannot tell."""
        ...

    def close(self) -> None:
        """Let go of the display."""
        ...


def open_screen(display: str) -> Screen:
    """The best way to read this display here; "" is the default one. Raises CaptureFailed."""
    if sys.platform == "linux":  # each platform's way loads its libraries
        from agent.screen.x11 import X11Screen

        return X11Screen(display)
    from agent.screen.portable import PortableScreen

    return PortableScreen(display)
