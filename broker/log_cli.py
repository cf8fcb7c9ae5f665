"""`ayuda-broker log`: list, show, verify and export the incident log."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from broker.database import FILE_NAME, Database, DatabaseFailed
from broker.incidents import export
from broker.incidents.store import IncidentStore

LIST_MAX = 1000


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `log` and its own commands."""
    log = commands.add_parser("log", help="read and verify the incident log")
    verbs = log.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data", type=Path, default=Path("var"), help="the broker's folder")
    common.add_argument("--json", action="store_true", help="for machines")

    listing = verbs.add_parser("list", parents=[common], help="incidents, newest first")
    listing.add_argument("query", nargs="*", help="words that must be found in each")
    listing.set_defaults(run=_with_store(_list))

    show = verbs.add_parser("show", parents=[common], help="one incident with its timeline")
    show.add_argument("incident")
    show.set_defaults(run=_with_store(_show))

    verify = verbs.add_parser("verify", parents=[common], help="prove that nothing was changed")
    verify.add_argument("--export", type=Path, metavar="FILE", help="an exported incident instead")
    verify.set_defaults(run=_run_verify)

    out = verbs.add_parser("export", parents=[common], help="events as JSON lines")
    out.add_argument("--incident", help="this incident alone, verifiable on its own")
    out.set_defaults(run=_with_store(_export))


def _with_store(
    verb: Callable[[argparse.Namespace, IncidentStore], Awaitable[int]],
) -> Callable[[argparse.Namespace], int]:
    async def run(arguments: argparse.Namespace) -> int:
        file = arguments.data / FILE_NAME
        if not file.exists():
            raise DatabaseFailed(f"there is no incident log at {file}. Give its folder by --data.")
        database = await asyncio.to_thread(Database.open, arguments.data)
        try:
            return await verb(arguments, IncidentStore(database))
        finally:
            await database.close()

    return lambda arguments: asyncio.run(run(arguments))


async def _list(arguments: argparse.Namespace, store: IncidentStore) -> int:
    rows = await store.search(query=" ".join(arguments.query), limit=LIST_MAX)
    print(export.rows_json(rows) if arguments.json else export.rows_text(rows))
    return 0


async def _show(arguments: argparse.Namespace, store: IncidentStore) -> int:
    found = await store.get(arguments.incident)
    if found is None:
        print(f"there is no incident {arguments.incident}; see `log list`", file=sys.stderr)
        return 1
    print(export.incident_json(*found) if arguments.json else export.incident_text(*found))
    return 0


async def _export(arguments: argparse.Namespace, store: IncidentStore) -> int:
    events = await store.events(arguments.incident)
    if arguments.incident and not events:
        print(f"there is no incident {arguments.incident}; see `log list`", file=sys.stderr)
        return 1
    for event in events:
        print(export.event_line(event))
    return 0


def _run_verify(arguments: argparse.Namespace) -> int:
    if arguments.export is not None:
        return _verify_export(arguments)
    return _with_store(_verify)(arguments)


async def _verify(arguments: argparse.Namespace, store: IncidentStore) -> int:
    found = await store.verify()
    print(export.verification_json(found) if arguments.json else export.verification_text(found))
    return 0 if found.ok else 1


def _verify_export(arguments: argparse.Namespace) -> int:
    try:
        found = export.verify_lines(arguments.export.read_bytes().splitlines())
    except OSError as error:
        print(f"cannot read {arguments.export}: {error.strerror}", file=sys.stderr)
        return 1
    print(export.verification_json(found) if arguments.json else export.verification_text(found))
    return 0 if found.ok else 1
