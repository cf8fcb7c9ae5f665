"""A terminal's lines, in and out, without ever making the event loop wait.

Neither a person who types nothing nor a stopped terminal (Ctrl-S) may hold up
the signal that ends a session. So input is read when there is some, and output
is written when it fits; what does not fit waits in a bounded buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
from collections.abc import Callable

LINE_MAX = 16 * 1024
"""Longest line, in bytes; the rest of a longer one is dropped."""

OUTPUT_MAX = 256 * 1024
"""Bytes that may wait to be shown; newer ones are dropped while it is full."""

CHUNK = 512
"""Bytes written at once: POSIX lets a pipe that polls writable take this many
(PIPE_BUF is at least 512) without waiting."""

LAST_WORDS_S = 0.5
"""How long closing waits for output to fit."""


class Terminal:
    """Standard input and output, or any two descriptors like them.

    `on_line` gets each line without its end; `on_closed` is called once, when
    no more lines can come or nothing can be shown any more.
    """

    def __init__(
        self,
        *,
        on_line: Callable[[str], None],
        on_closed: Callable[[], None],
        input_fd: int = 0,
        output_fd: int = 1,
    ) -> None:
        self._on_line = on_line
        self._on_closed = on_closed
        self._input = input_fd
        self._output = output_fd
        self._typed = b""
        self._waiting = bytearray()
        self._writing = False
        self._reading = False
        self._closed = False
        self.echoes = os.isatty(input_fd)
        """Whether the person's own Enter ends the line of a question."""

    def open(self) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(self._input, self._readable)
        except (OSError, ValueError):
            # A file or /dev/null cannot be waited on (epoll_ctl(2), EPERM), and
            # holds no answer to a question that is not asked yet.
            loop.call_soon(self._end)
            return
        self._reading = True

    def write(self, text: str) -> None:
        """Show text, now or as soon as it fits."""
        data = text.encode("utf-8", "replace")
        if len(self._waiting) + len(data) <= OUTPUT_MAX:
            self._waiting += data
        if not self._writing:
            self._writable()

    def forget_typed(self) -> None:
        """Drop what was typed up to now: it cannot answer what comes next.

        A pipe has a program at its other end, which answers what it has read.
        """
        if self.echoes:
            with contextlib.suppress(termios.error):
                termios.tcflush(self._input, termios.TCIFLUSH)

    async def close(self) -> None:
        """Show what still fits, and let go of both descriptors."""
        loop = asyncio.get_running_loop()
        self._closed = True
        self._stop_reading()
        give_up = loop.time() + LAST_WORDS_S
        while self._waiting and loop.time() < give_up:
            await asyncio.sleep(0.02)
            self._writable()
        if self._writing:
            loop.remove_writer(self._output)
            self._writing = False

    def _readable(self) -> None:
        try:
            data = os.read(self._input, 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # EIO: the terminal is gone
        if not data:
            self._end()
            return
        *lines, rest = (self._typed + data).split(b"\n")
        self._typed = rest[:LINE_MAX]
        for line in lines:
            if self._closed:
                return
            self._on_line(line[:LINE_MAX].decode("utf-8", "replace").rstrip("\r"))

    def _writable(self) -> None:
        try:
            while self._waiting and _fits(self._output):
                written = os.write(self._output, self._waiting[:CHUNK])
                del self._waiting[:written]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._waiting.clear()
            asyncio.get_running_loop().call_soon(self._end)
        self._watch_output()

    def _watch_output(self) -> None:
        loop = asyncio.get_running_loop()
        if self._waiting and not self._writing:
            loop.add_writer(self._output, self._writable)
            self._writing = True
        elif self._writing and not self._waiting:
            loop.remove_writer(self._output)
            self._writing = False

    def _end(self) -> None:
        self._stop_reading()
        if not self._closed:
            self._closed = True
            self._on_closed()

    def _stop_reading(self) -> None:
        if self._reading:
            asyncio.get_running_loop().remove_reader(self._input)
            self._reading = False


def _fits(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))
