"""The demo from a terminal: shows how to begin, ends what it started, prints the incident."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """The demo on a terminal of its own, as a person starts it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.shown = ""
        arguments = ["-m", "broker.cli", "demo", "--data", str(data), *options]
        environment = {**os.environ, "LC_ALL": "C", "TERM": "dumb"}
        environment.pop("DISPLAY", None)
        self.pid, self.keyboard = os.forkpty()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, *arguments], environment)

    def until(self, pattern: str) -> re.Match[str]:
        while (found := re.search(pattern, self.shown)) is None:
            self.shown += os.read(self.keyboard, 4096).decode(errors="replace")
        return found

    def exit_code(self) -> int:
        try:
            while data := os.read(self.keyboard, 4096):
                self.shown += data.decode(errors="replace")
        except OSError:
            pass  # EIO: nobody has the terminal open any more
        os.close(self.keyboard)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize(
    "stop",
    [
        lambda demo: os.write(demo.keyboard, b"\x03"),
        lambda demo: os.write(demo.keyboard, b"q\n"),
        lambda demo: os.kill(demo.pid, signal.SIGTERM),
    ],
    ids=["ctrl-c", "q", "sigterm"],
)
def test_the_demo_ends_what_it_started_and_prints_the_incident(
    tmp_path: Path, stop: Callable[[Terminal], object]
) -> None:
    demo = Terminal(tmp_path)
    demo.until(r"http://127\.0\.0\.1:\d+/sign-in#\S{20,}")
    demo.until(r"code: (\d{3} ){3}\d{3}")
    started = psutil.Process(demo.pid).children(recursive=True)
    assert {"Xvfb", "openbox", "xterm"} <= {one.name() for one in started}
    stop(demo)
    assert demo.exit_code() == 0, demo.shown
    assert "The incident as recorded" in demo.shown
    assert "person-ended" in demo.shown
    psutil.wait_procs(started, timeout=10)
    left = [one for one in started if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    assert not left


def test_the_check_sees_everything(tmp_path: Path) -> None:
    demo = Terminal(tmp_path, "--check")
    assert demo.exit_code() == 0, demo.shown
    assert "Everything was there." in demo.shown
    assert "first picture" in demo.shown


def test_a_broker_that_cannot_start_is_said(tmp_path: Path) -> None:
    demo = Terminal(tmp_path, "--port", "1", "--host", "192.0.2.1")
    assert demo.exit_code() == 1
    assert re.search(r"demo: the broker ended at once .*broker\.log", demo.shown)
