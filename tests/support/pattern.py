"""A window with a known pattern that changes: run it as a program on a display.

    python -m tests.support.pattern WIDTH HEIGHT [PERIOD_S]

It covers WIDTH x HEIGHT pixels at the top left. The upper half is sixteen cells,
black or white: the step's number in binary, highest bit first. The lower half is
four colours side by side, which move one place to the right at each step.

With a period it steps by itself; without, a line on standard input is the number
to show. After each change is on the screen it prints `NUMBER UNIX_TIME`.
"""

from __future__ import annotations

import ctypes
import sys
import time

BITS = 16
COLOURS = (0xD02020, 0x20A020, 0x2040D0, 0xE0C020)


class _Attributes(ctypes.Structure):
    """XSetWindowAttributes, as far as override_redirect."""

    _fields_ = (
        ("background_pixmap", ctypes.c_ulong),
        ("background_pixel", ctypes.c_ulong),
        ("border_pixmap", ctypes.c_ulong),
        ("border_pixel", ctypes.c_ulong),
        ("bit_gravity", ctypes.c_int),
        ("win_gravity", ctypes.c_int),
        ("backing_store", ctypes.c_int),
        ("backing_planes", ctypes.c_ulong),
        ("backing_pixel", ctypes.c_ulong),
        ("save_under", ctypes.c_int),
        ("event_mask", ctypes.c_long),
        ("do_not_propagate_mask", ctypes.c_long),
        ("override_redirect", ctypes.c_int),
        ("colormap", ctypes.c_ulong),
        ("cursor", ctypes.c_ulong),
    )


CW_OVERRIDE_REDIRECT = 1 << 9


class Window:
    """The window, by libX11."""

    def __init__(self, width: int, height: int) -> None:
        self._width, self._height = width, height
        x = ctypes.CDLL("libX11.so.6")
        for name in ("XOpenDisplay", "XCreateGC", "XDefaultVisual"):
            getattr(x, name).restype = ctypes.c_void_p
        x.XDefaultRootWindow.restype = x.XCreateWindow.restype = ctypes.c_ulong
        self._display = ctypes.c_void_p(x.XOpenDisplay(None))
        if not self._display:
            raise SystemExit("no display")
        root = ctypes.c_ulong(x.XDefaultRootWindow(self._display))
        attributes = _Attributes(override_redirect=1)
        self._window = ctypes.c_ulong(
            x.XCreateWindow(
                self._display,
                root,
                0,
                0,
                width,
                height,
                0,
                0,
                0,
                None,
                ctypes.c_ulong(CW_OVERRIDE_REDIRECT),
                ctypes.byref(attributes),
            )
        )
        self._gc = ctypes.c_void_p(x.XCreateGC(self._display, self._window, 0, None))
        x.XMapRaised(self._display, self._window)
        x.XSync(self._display, 0)
        self._x = x

    def show(self, number: int) -> float:
        """Draw one step; returns the time at which the server had drawn it."""
        cell = self._width // BITS
        half = self._height // 2
        for place in range(BITS):
            bit = number >> (BITS - 1 - place) & 1
            self._fill(0xFFFFFF if bit else 0, place * cell, 0, cell, half)
        quarter = self._width // len(COLOURS)
        for place in range(len(COLOURS)):
            colour = COLOURS[(place - number) % len(COLOURS)]
            self._fill(colour, place * quarter, half, quarter, self._height - half)
        self._x.XSync(self._display, 0)
        return time.time()

    def _fill(self, colour: int, x: int, y: int, width: int, height: int) -> None:
        self._x.XSetForeground(self._display, self._gc, ctypes.c_ulong(colour))
        self._x.XFillRectangle(self._display, self._window, self._gc, x, y, width, height)


def main() -> None:
    """Show steps until standard input ends, or for ever with a period."""
    window = Window(int(sys.argv[1]), int(sys.argv[2]))
    if len(sys.argv) > 3:
        _run(window, float(sys.argv[3]))
    print(f"0 {window.show(0):.6f}", flush=True)
    for line in sys.stdin:
        number = int(line)
        print(f"{number} {window.show(number):.6f}", flush=True)


def _run(window: Window, period_s: float) -> None:
    start = time.monotonic()
    number = 0
    while True:
        number += 1
        time.sleep(max(0.0, start + number * period_s - time.monotonic()))
        shown = number % (1 << BITS)
        print(f"{shown} {window.show(shown):.6f}", flush=True)


if __name__ == "__main__":
    main()
