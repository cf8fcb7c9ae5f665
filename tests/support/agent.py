"""A real agent process with its terminal, driven as its person would."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.broker import Broker
from tests.support.child import Child


class Agent:
    """One agent on one display."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self._read_to = 0

    @classmethod
    async def start(
        cls,
        broker: Broker,
        display: str,
        state: Path,
        *,
        url: str | None = None,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Agent:
        """Start it; `prefix` may put it into a network namespace."""
        arguments = ["agent.cli", "--broker", url or broker.url, "--text", "--state", str(state)]
        child = await Child.start(
            [*arguments, *options], {"DISPLAY": display, **(environment or {})}, prefix
        )
        return cls(child)

    async def code(self) -> str:
        """The next code it shows: twelve digits."""
        found = await self.next_line(r"code: ([0-9 ]{15})")
        return found.replace(" ", "")

    async def next_line(self, pattern: str, timeout_s: float = 20.0) -> str:
        """Wait for something that it has not printed when it was last asked."""
        number, found = await self.child.find(pattern, self._read_to, timeout_s)
        self._read_to = number + 1
        return found[1] if found.groups() else found[0]

    async def allow(self, name: str) -> None:
        """Answer yes to the question about this technician."""
        await self._asked(name)
        await self.child.type("y")

    async def deny(self, name: str) -> None:
        """Answer no to the question about this technician."""
        await self._asked(name)
        await self.child.type("n")

    async def _asked(self, name: str) -> None:
        # The question stands on a line that is not ended yet; the answer ends it.
        number, _ = await self.child.find(rf"allow {name}.*\? \[y/N\]", self._read_to)
        self._read_to = number

    async def quit(self) -> None:
        """End the session with the one key."""
        await self.child.type("q")

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.child.signal(signal.SIGKILL)
        await self.child.wait()
