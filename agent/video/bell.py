"""A bell for one thread, that it can hear while it waits for a file descriptor too."""

from __future__ import annotations

import contextlib
import select
import socket


class Bell:
    """Rung by any thread, heard by one. A ring before the wait is not lost."""

    def __init__(self) -> None:
        self._ear, self._rope = socket.socketpair()
        self._ear.setblocking(False)
        self._rope.setblocking(False)

    def ring(self) -> None:
        """Wake who waits; rings that nobody has heard yet count as one."""
        with contextlib.suppress(OSError):  # it is full of rings, or closed
            self._rope.send(b"\0")

    def wait(self, timeout_s: float | None = None, other: int | None = None) -> None:
        """Return once it rings, or `other` is readable, or the time is over."""
        waited = [self._ear.fileno(), *([] if other is None else [other])]
        select.select(waited, [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(64):
                pass

    def close(self) -> None:
        """Rings are heard by nobody from now on."""
        self._ear.close()
        self._rope.close()
