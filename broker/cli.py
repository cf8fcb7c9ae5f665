"""The `ayuda-broker` command: serve, demo, technician, log, doctor."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from broker import doctor, log_cli, people_cli
from broker.config import ConfigError, load
from broker.database import DatabaseFailed
from broker.demo import run as demo

OPTIONS = (
    "host",
    "port",
    "udp_port",
    "data",
    "certificate",
    "key",
    "public_address",
    "public_url",
    "organisation",
)
"""Settings that `serve` takes on the command line."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="ayuda-broker", description="Self-hosted remote assistance: the broker."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands)
    for room in (demo, people_cli, log_cli, doctor):
        room.add_parser(commands)
    arguments = parser.parse_args(argv)
    logging.basicConfig(
        level=os.environ.get("AYUDA_LOG", "INFO").upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        return int(arguments.run(arguments))
    except (ConfigError, DatabaseFailed) as error:
        print(f"ayuda-broker: {error}", file=sys.stderr)
        return 1


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run the broker")
    serve.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    serve.add_argument("--port", type=int, help="TCP port for pages and signalling (8080)")
    serve.add_argument("--udp-port", type=int, help="UDP port for media (same number)")
    serve.add_argument("--data", type=Path, help="folder of the incident log (./var)")
    serve.add_argument("--certificate", type=Path, help="TLS certificate chain, PEM")
    serve.add_argument("--key", type=Path, help="its private key, PEM")
    serve.add_argument(
        "--public-address",
        action="append",
        metavar="IP",
        help="address at which clients reach the UDP port, for containers and NAT; repeatable",
    )
    serve.add_argument("--public-url", metavar="URL", help="what browsers open, behind a proxy")
    serve.add_argument("--organisation", help="name that helped people are shown")
    serve.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML")
    serve.set_defaults(run=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    from broker.app import serve  # the media engine takes a while to load

    given = {name: getattr(arguments, name) for name in OPTIONS}
    settings = load(given, os.environ, arguments.config)
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
