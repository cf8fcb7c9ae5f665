"""The command `demo`: broker, technician, desktop and agent on this machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from broker.demo.children import StartFailed, end
from broker.demo.desktop import is_reachable, virtual_desktop
from broker.demo.house import House, house

DATA: Final = Path("var/demo")

_HOW_TO: Final = """
  1. Open this link in a browser on this machine; it signs the technician in, once:

       {link}

  2. Type the code that appears below into the console, and join.
  3. Come back here and answer the question. Nothing is shown before you say yes.

  The screen shown is {screen}. Logs are in {data}/.
  q and Enter, or Ctrl-C, ends everything that this demo started.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser(
        "demo", help="show a whole session on this machine, on a virtual desktop if need be"
    )
    parser.add_argument("--check", action="store_true", help="play the technician, and report")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR", help=f"default {DATA}")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo to its end; the exit code."""
    with _stopped_once():
        try:
            return _run(args)
        except StartFailed as error:
            print(f"demo: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130


def _run(args: argparse.Namespace) -> int:
    data: Path = args.data
    data.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as started:
        display, screen = _display(started, data)
        running = started.enter_context(house(data, args.host, args.port))
        known = {row["id"] for row in running.incidents()}
        command = running.agent_command(display, data / "agent")
        try:
            if args.check:
                from broker.demo.check import check  # needs what only tests install

                return check(running, command, display)
            link = running.sign_in_link()
            print(_HOW_TO.format(link=link, screen=screen, data=data), flush=True)
            return _talk(command)
        finally:
            _print_incidents(running, known)


def _display(started: contextlib.ExitStack, data: Path) -> tuple[str, str]:
    """The display to show, and what to call it."""
    display = os.environ.get("DISPLAY", "")
    # Under Wayland, DISPLAY leads to XWayland, which cannot read the screen.
    if os.environ.get("XDG_SESSION_TYPE") != "wayland" and is_reachable(display):
        return display, f"your own ({display})"
    display = started.enter_context(virtual_desktop(data))
    return display, f"a small virtual desktop ({display}), since this machine shows none"


def _talk(command: list[str]) -> int:
    """Let the person talk with the agent, whose terminal is this one."""
    try:
        agent = subprocess.Popen(command)  # in this process group: it reads this terminal
    except OSError as error:
        raise StartFailed(f"cannot start the agent: {error.strerror}") from None
    try:
        return agent.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        end(agent)  # Ctrl-C has told it already, which does no harm


def _print_incidents(running: House, known: set[str]) -> None:
    """Print what was recorded of this run."""
    for row in reversed(running.incidents()):
        if row["id"] not in known:
            print(f"\nThe incident as recorded:\n\n{running.command('log', 'show', row['id'])}")


@contextlib.contextmanager
def _stopped_once() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind this process as Ctrl-C does; and what unwinds,
    ending all that was started, is not interrupted again."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
