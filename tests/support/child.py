"""A program under test: started, read line by line, written to, ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE_S = 20.0


class Child:
    """One running process; `lines` is all it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._changed = asyncio.Event()
        self.lines: list[str] = []
        self._partial = ""
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Child:
        """Start `python -m …` with extra environment, through `prefix` if given."""
        process = await asyncio.create_subprocess_exec(
            *prefix,
            sys.executable,
            "-m",
            *arguments,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process, arguments[0])

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def text(self) -> str:
        """All that it has printed, with the line it is at."""
        return "\n".join([*self.lines, self._partial])

    async def line(self, pattern: str, after: int = 0, timeout_s: float = LINE_S) -> re.Match[str]:
        """Wait for a match in what it prints, from line number `after` on."""
        return (await self.find(pattern, after, timeout_s))[1]

    async def find(
        self, pattern: str, after: int = 0, timeout_s: float = LINE_S
    ) -> tuple[int, re.Match[str]]:
        """The same, with the number of the line."""
        regex = re.compile(pattern)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._changed.clear()
                    for number, line in enumerate([*self.lines[after:], self._partial], after):
                        found = regex.search(line)
                        if found:
                            return number, found
                    if self._reader.done():
                        raise AssertionError(f"{self._name} ended before {pattern!r}:\n{self.text}")
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{self._name} never printed {pattern!r}:\n{self.text}") from None

    async def type(self, line: str) -> None:
        """Type a line on its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self._process.stdin.drain()

    def close_input(self) -> None:
        """End its standard input, as a terminal window that is closed."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def wait(self, timeout_s: float = LINE_S) -> int:
        """Its exit status, once it has ended."""
        async with asyncio.timeout(timeout_s):
            status = await self._process.wait()
            await self._reader
        return status

    async def end(self) -> None:
        """Make sure that it has ended."""
        self.signal(signal.SIGTERM)
        try:
            await self.wait(10.0)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(65536):
            *complete, self._partial = (self._partial + chunk.decode(errors="replace")).split("\n")
            self.lines += complete
            self._changed.set()
        self._changed.set()
