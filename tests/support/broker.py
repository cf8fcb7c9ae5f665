"""A real broker process on free ports, and its command line."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.child import Child


class Broker:
    """One data folder, and the broker process that serves it."""

    def __init__(
        self,
        data: Path,
        environment: Mapping[str, str],
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        self.data = data
        self.url = ""
        self.port = 0
        self.udp_port = 0
        self._environment = environment
        self._options = options
        self._prefix = prefix
        self.process: Child

    async def start(self) -> None:
        """Start it, on the ports it had before if it had any."""
        arguments = ["broker.cli", "serve", "--data", str(self.data), *self._options]
        arguments += ["--port", str(self.port), "--udp-port", str(self.udp_port)]
        self.process = await Child.start(arguments, self._environment, self._prefix)
        found = await self.process.line(r"listening on (\S+:(\d+)) \(udp (\d+)\)")
        self.url, self.port, self.udp_port = found[1], int(found[2]), int(found[3])

    async def kill(self) -> None:
        """End it as a power cut would."""
        self.process.signal(signal.SIGKILL)
        await self.process.wait()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run `ayuda-broker … --data DIR`; its exit status and output."""
        child = await Child.start(["broker.cli", *arguments, "--data", str(self.data)])
        status = await child.wait(60.0)
        return status, "\n".join(child.lines)

    async def sign_in_link(self, name: str) -> str:
        """A one-time link for a technician of this name."""
        status, text = await self.command("technician", "add", name, "--organisation", "Example")
        assert status == 0, text
        return text.splitlines()[-1]

    async def incidents(self) -> list[dict[str, Any]]:
        """What the incident log lists, newest first."""
        status, text = await self.command("log", "list", "--json")
        assert status == 0, text
        rows: list[dict[str, Any]] = json.loads(text.splitlines()[-1])
        return rows

    async def events(self, incident: str) -> list[dict[str, Any]]:
        """One incident's events, in order."""
        status, text = await self.command("log", "show", incident, "--json")
        assert status == 0, text
        events: list[dict[str, Any]] = json.loads(text.splitlines()[-1])["events"]
        return events

    async def kinds(self, incident: str) -> list[str]:
        """The kinds of an incident's events, in order."""
        return [event["kind"] for event in await self.events(incident)]

    async def ended(self, incident: str, timeout_s: float = 15.0) -> dict[str, Any]:
        """The incident's list entry, once it has ended."""
        async with asyncio.timeout(timeout_s):
            while True:
                row = next(row for row in await self.incidents() if row["id"] == incident)
                if row["state"] == "ended":
                    return row
                await asyncio.sleep(0.3)

    async def verified(self) -> None:
        """Assert that the log's chain verifies."""
        status, text = await self.command("log", "verify")
        assert status == 0, text


def code_of(text: str) -> str:
    """The latest code in an agent's output, twelve digits."""
    codes: list[str] = re.findall(r"code: ([0-9 ]{15})", text)
    return codes[-1].replace(" ", "")
