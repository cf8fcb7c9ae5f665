"""A small real desktop on a virtual display, for machines that have none."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import select
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broker.demo.children import StartFailed, child

SIZE: Final = "1920x1080x24"
GROUND: Final = 0x2E4A62
READY_S: Final = 15.0

_TEXT: Final = r"""
n=0
printf 'Printer setup, step by step\n\n'
while :; do
    n=$((n + 1))
    case $((n % 5)) in
    0) note='looking for the printer on the network' ;;
    1) note='found: office-printer-2, second floor' ;;
    2) note='asking it for its paper sizes: A4, A5, Letter' ;;
    3) note='printing a test page' ;;
    4) note='the page is on its way' ;;
    esac
    printf '%s  %05d  %s\n' "$(date +%H:%M:%S)" "$n" "$note"
    sleep 0.5
done
"""

_PROGRAMS: Final = (
    ("openbox", "--sm-disable"),
    ("xterm", "-T", "Printer setup", "-geometry", "90x36+60+60", "-fa", "Monospace", "-fs", "12",
     "-bg", "#fdf6e3", "-fg", "#222222", "-e", "sh", "-c", _TEXT),
    ("xclock", "-update", "1", "-geometry", "320x320+1100+80"),
    ("xeyes", "-geometry", "320x200+1480+80"),
)  # fmt: skip


@contextlib.contextmanager
def virtual_desktop(directory: Path, size: str = SIZE) -> Iterator[str]:
    """A desktop that lasts as long as the context; gives its display, like `:7`.

    Only processes that hold its cookie may use it: while the context lasts,
    XAUTHORITY of this process names it. Raises StartFailed.
    """
    log = directory / "desktop.log"
    cookie = directory / "Xauthority"
    _write_cookie(cookie)
    environment = {"XAUTHORITY": str(cookie)}
    before = os.environ.get("XAUTHORITY")
    with contextlib.ExitStack() as started:
        started.callback(cookie.unlink, missing_ok=True)
        display = started.enter_context(_server(size, cookie, log))
        environment["DISPLAY"] = display
        os.environ["XAUTHORITY"] = str(cookie)
        started.callback(_restore, "XAUTHORITY", before)
        _paint_ground(display)
        for command in _PROGRAMS:
            started.enter_context(child(command, log=log, environment=environment))
        yield display


def is_reachable(display: str) -> bool:
    """Whether an X server answers there and lets us in."""
    if not display:
        return False
    x11 = _Xlib()
    connection = x11.open(display)
    if not connection:
        return False
    x11.close(connection)
    return True


@contextlib.contextmanager
def _server(size: str, cookie: Path, log: Path) -> Iterator[str]:
    """An X server on a display number that it chooses itself."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", size]
    command += ["-auth", str(cookie), "-nolisten", "tcp", "-noreset"]
    with contextlib.ExitStack() as open_ends:
        open_ends.callback(os.close, reader)
        try:
            server = open_ends.enter_context(child(command, log=log, pass_fds=[writer]))
        finally:
            os.close(writer)
        ready, _, _ = select.select([reader], [], [], READY_S)
        number = os.read(reader, 16).strip() if ready else b""
        if not number.isdigit():
            raise StartFailed(f"Xvfb did not start (exit {server.poll()}); see {log}")
        yield f":{number.decode()}"


def _write_cookie(file: Path) -> None:
    """An authority file (Xsecurity(7)) with one entry, good for any display.

    Fields: family (0xffff: any), address, display number, method, data; each
    but the first with its length before it, big-endian.
    """
    fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", secrets.token_bytes(16))
    entry = struct.pack(">H", 0xFFFF)
    entry += b"".join(struct.pack(">H", len(field)) + field for field in fields)
    file.unlink(missing_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(entry)


def _paint_ground(display: str) -> None:
    """Give the root window a plain colour."""
    x11 = _Xlib()
    connection = x11.open(display)
    if not connection:
        raise StartFailed(f"the virtual display {display} does not answer")
    x11.paint_root(connection, GROUND)
    x11.close(connection)


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class _Xlib:
    """The few calls of Xlib that are needed; it is there wherever xterm is."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL("libX11.so.6")
        except OSError:
            raise StartFailed("libX11 is missing; install libx11-6") from None
        self._library.XOpenDisplay.restype = ctypes.c_void_p
        self._library.XDefaultRootWindow.restype = ctypes.c_ulong

    def open(self, display: str) -> ctypes.c_void_p | None:
        """A connection, or None."""
        connection = self._library.XOpenDisplay(display.encode())
        return ctypes.c_void_p(connection) if connection else None

    def paint_root(self, connection: ctypes.c_void_p, colour: int) -> None:
        """Fill the root window, which on a true-colour screen takes 0xRRGGBB."""
        root = ctypes.c_ulong(self._library.XDefaultRootWindow(connection))
        self._library.XSetWindowBackground(connection, root, ctypes.c_ulong(colour))
        self._library.XClearWindow(connection, root)

    def close(self, connection: ctypes.c_void_p) -> None:
        """Send what is queued and disconnect."""
        self._library.XCloseDisplay(connection)
