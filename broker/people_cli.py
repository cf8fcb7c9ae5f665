"""`ayuda-broker technician`: add technicians, make sign-in links, list them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

import msgspec

from broker.config import load
from broker.database import Database
from broker.people.accounts import LEVELS, ROLES, BadAccount
from broker.people.sign_in import People


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `technician` and its own commands."""
    technician = commands.add_parser("technician", help="add technicians, make sign-in links")
    verbs = technician.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=Path("var"), help="the broker's folder")

    add = verbs.add_parser(
        "add", parents=[common], help="print a one-time sign-in link for a (new) technician"
    )
    add.add_argument("name", help="the name that helped people are shown")
    add.add_argument("--role", choices=ROLES, default="technician")
    add.add_argument("--level", type=int, choices=LEVELS, default=1)
    add.add_argument("--organisation", help="shown beside the name (the broker's setting)")
    add.add_argument("--url", help="address of the broker, as browsers open it")
    add.set_defaults(run=lambda arguments: asyncio.run(_add(arguments)))

    everybody = verbs.add_parser("list", parents=[common], help="all technicians")
    everybody.set_defaults(run=lambda arguments: asyncio.run(_list(arguments)))


async def _add(arguments: argparse.Namespace) -> int:
    organisation = arguments.organisation or load({}, os.environ).organisation
    database = await asyncio.to_thread(Database.open, arguments.data)
    try:
        account, token = await People(database).add(
            arguments.name, organisation, arguments.role, arguments.level
        )
    except BadAccount as error:
        print(f"ayuda-broker: {error}", file=sys.stderr)
        return 2
    finally:
        await database.close()
    print(f"{account.name}, {account.organisation} ({account.role}, level {account.level})")
    print("This link signs in once, within 24 hours. Give it to nobody else:")
    print(f"{arguments.url or _url(arguments.data)}/sign-in#{token}")
    return 0


async def _list(arguments: argparse.Namespace) -> int:
    database = await asyncio.to_thread(Database.open, arguments.data)
    try:
        accounts = await People(database).everybody()
    finally:
        await database.close()
    for account in accounts:
        print(f"{account.id}  {account.name}  {account.organisation}  {account.role}")
    return 0


def _url(data: Path) -> str:
    """The address that the running broker wrote down, or the default one."""
    try:
        written = msgspec.json.decode((data / "broker.json").read_bytes(), type=dict[str, str])
        return written["url"]
    except (OSError, msgspec.DecodeError, KeyError):
        return "http://127.0.0.1:8080"
