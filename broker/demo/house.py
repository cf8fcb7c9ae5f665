"""The demo's broker and agent, as processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from broker.demo.children import StartFailed, child, end, wait_until

BROKER_READY_S: Final = 30.0
TECHNICIAN: Final = "Ana Ruiz"
ORGANISATION: Final = "Example Org"

_LISTENING: Final = re.compile(r"listening on (https?://\S+)")
_BROKER: Final = (sys.executable, "-m", "broker.cli")
_AGENT: Final = (sys.executable, "-m", "agent.cli")


class House:
    """A running broker: its address, its data, and its commands."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data

    def sign_in_link(self) -> str:
        """A one-time link for the demo's technician. Raises StartFailed."""
        options = ["--organisation", ORGANISATION, "--url", self.url]
        lines = self.command("technician", "add", TECHNICIAN, *options).splitlines()
        if not lines:
            raise StartFailed("no technician could be made; see the lines above")
        return lines[-1].strip()

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents, newest first."""
        found: list[dict[str, Any]] = json.loads(self.command("log", "list", "--json") or "[]")
        return found

    def command(self, *arguments: str) -> str:
        """What one command of the broker prints; its errors go to the terminal."""
        done = subprocess.run(
            [*_BROKER, *arguments, "--data", str(self.data)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**_environment(), "AYUDA_LOG": "WARNING"},
            check=False,
            start_new_session=True,
        )
        return done.stdout.decode("utf-8", "replace")

    def agent_command(self, display: str, state: Path) -> list[str]:
        """The command line of the person's agent."""
        options = ["--text", "--state", str(state), "--display", display]
        return [*_AGENT, "--broker", self.url, *options]


@contextlib.contextmanager
def house(data: Path, host: str, port: int) -> Iterator[House]:
    """A broker that runs while the context lasts. Raises StartFailed."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "broker.log"
    start_of_run = log.stat().st_size if log.exists() else 0
    command = [*_BROKER, "serve", "--host", host, "--port", str(port), "--data", str(data)]
    with child(command, log=log, environment=_environment()) as process:

        def address() -> re.Match[str] | None:
            with open(log, "rb") as stream:
                stream.seek(start_of_run)
                return _LISTENING.search(stream.read().decode("utf-8", "replace"))

        wait_until(lambda: address() is not None, process, "the broker", log, BROKER_READY_S)
        listening = address()
        assert listening is not None
        yield House(listening[1], data)


class PlayedAgent:
    """An agent whose terminal is two pipes: lines are typed, output is awaited."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = open(log, "wb")  # noqa: SIM115 (closed in `close`)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(),
            start_new_session=True,
        )
        self._shown = ""
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="agent output", daemon=True)
        self._reader.start()

    def type(self, line: str) -> None:
        """Type one line. Raises StartFailed if nobody reads it."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise StartFailed("the agent has ended; see what it said") from None

    def shown(self, pattern: str, seconds: float) -> re.Match[str] | None:
        """Wait until the agent has shown something; None if it does not in time."""
        give_up = time.monotonic() + seconds
        with self._news:
            while (found := re.search(pattern, self._shown)) is None:
                left = give_up - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    return re.search(pattern, self._shown)
                self._news.wait(left)
        return found

    def exit_code(self, seconds: float) -> int | None:
        """Wait for its end; None if it does not come in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def transcript(self) -> str:
        """All that it has shown."""
        with self._news:
            return self._shown

    def close(self) -> None:
        """End it, if it has not ended."""
        end(self._process)
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while data := os.read(self._process.stdout.fileno(), 4096):
            with self._news:
                self._shown += data.decode("utf-8", "replace")
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def _environment() -> dict[str, str]:
    """Ours, such that a child finds the same packages, installed or not."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
