"""The command `ayuda-agent`: reads the options, checks them, runs the agent."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import ssl
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent.app import Agent, Options
from agent.device import KEY_FILE, DeviceKey, KeyUnusable, facts, state_directory
from agent.link import is_this_computer
from agent.locale import Texts, language_of
from agent.screen import CaptureFailed, open_screen
from agent.ui import Stop
from agent.ui.text import TextUi

USAGE_ERROR: Final = 2


class Unusable(Exception):
    """An option that cannot be used; the text says which and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0 ended normally, 1 lost, 2 usage."""
    args = _parser().parse_args(arguments)
    texts = Texts(args.lang or language_of(os.environ))
    try:
        options = _options(args, texts)
    except Unusable as error:
        print(f"ayuda-agent: {error}", file=sys.stderr)
        return USAGE_ERROR
    return asyncio.run(_run(options, texts))


async def _run(options: Options, texts: Texts) -> int:
    ui = TextUi(texts)
    agent = Agent(options, ui, draw=random.random, new_id=lambda: str(uuid.uuid4()))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, agent.wish, Stop("signal"))
    return await agent.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ayuda-agent",
        description="Ask for help: shows this screen to the technician whom you allow.",
    )
    parser.add_argument("--broker", required=True, metavar="URL", help="address of the broker")
    parser.add_argument(
        "--text", action="store_true", required=True, help="use the terminal (the only way yet)"
    )
    parser.add_argument(
        "--ca", type=Path, metavar="FILE", help="authority of the broker's certificate, as PEM"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="where the device key is kept")
    parser.add_argument("--name", help="what the technician is told that you are called")
    parser.add_argument("--lang", choices=("en", "es"), help="language of this terminal")
    parser.add_argument("--display", metavar=":N", help="the display to show, instead of $DISPLAY")
    return parser


def _options(args: argparse.Namespace, texts: Texts) -> Options:
    broker = _broker(args.broker, texts)
    trust = _trust(args.ca, texts) if broker.startswith("https:") else None
    directory = args.state or state_directory(os.environ, Path.home())
    try:
        key = DeviceKey.load(directory)
    except KeyUnusable as error:
        raise Unusable(texts("usage.state", file=directory / KEY_FILE, cause=str(error))) from None
    display = _display(args.display, texts)
    return Options(
        broker=broker,
        key=key,
        facts=facts(_size(display, texts), args.name),
        language=texts.language,
        trust=trust,
        display=display,
    )


def _broker(address: str, texts: Texts) -> str:
    """The broker's address without a path, if it may be used."""
    try:
        url = urlsplit(address)
        host, port = url.hostname, url.port
    except ValueError:  # a port or an IPv6 address that is none
        host, port = None, None
        url = urlsplit("")
    if url.scheme not in ("http", "https") or not host or url.path.strip("/") or url.query:
        raise Unusable(texts("usage.url", url=address))
    if url.scheme == "http" and not is_this_computer(host):
        raise Unusable(texts("usage.plain_http", url=address))
    name = f"[{host}]" if ":" in host else host
    return f"{url.scheme}://{name}" + (f":{port}" if port else "")


def _trust(file: Path | None, texts: Texts) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        cause = getattr(error, "strerror", None) or str(error)
        raise Unusable(texts("usage.ca", file=file, cause=cause)) from None


def _display(chosen: str | None, texts: Texts) -> str:
    if chosen is None and os.environ.get("XDG_SESSION_TYPE") == "wayland":
        raise Unusable(texts("usage.wayland"))
    return chosen or os.environ.get("DISPLAY", "")


def _size(display: str, texts: Texts) -> str:
    try:
        screen = open_screen(display)
        try:
            picture = screen.grab()
        finally:
            screen.close()
    except CaptureFailed as error:
        raise Unusable(texts("usage.display", cause=str(error))) from None
    return f"{picture.width}x{picture.height}"


if __name__ == "__main__":
    sys.exit(main())
