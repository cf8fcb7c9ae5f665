"""Processes that the demo starts: each is ended by its own id, in reverse order."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

END_S: Final = 5.0
"""How long a process may take to end when asked, before it is killed."""


class StartFailed(Exception):
    """A program did not start; the text says which and what to do."""


@contextlib.contextmanager
def child(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    end_s: float = END_S,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs while the context lasts, its output added to `log`.

    It leads a process group of its own, so that Ctrl-C in this terminal
    reaches only who is meant. Raises StartFailed.
    """
    with open(log, "ab") as output:
        process = start(command, output=output, environment=environment, pass_fds=pass_fds)
    try:
        yield process
    finally:
        end(process, end_s)


def start(
    command: Sequence[str],
    *,
    output: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program without input. Raises StartFailed."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else {**os.environ, **environment},
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except OSError as error:
        raise StartFailed(f"cannot start {command[0]}: {error.strerror}; install it") from None


def end(process: subprocess.Popen[bytes], end_s: float = END_S) -> None:
    """Ask a process to end, wait, and kill it if it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(end_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def wait_until(
    ready: Callable[[], bool],
    process: subprocess.Popen[bytes],
    what: str,
    log: Path,
    seconds: float,
) -> None:
    """Wait for something that a process does at its start. Raises StartFailed."""
    give_up = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None:
            raise StartFailed(f"{what} ended at once (exit {process.returncode}); see {log}")
        if time.monotonic() > give_up:
            raise StartFailed(f"{what} is not ready after {seconds:.0f} s; see {log}")
        time.sleep(0.05)
