"""A benchmark's table on the terminal, and the same as JSON under var/bench."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, to_builtins

DIRECTORY = Path("var/bench")


class Figure(Struct, frozen=True):
    """One measured figure; `bar` is what `ours` should stay at or under."""

    figure: str
    unit: str
    ours: float
    peer: float | None = None
    ratio: float | None = None
    bar: float | None = None
    ok: bool | None = None


def figure(
    name: str, unit: str, ours: float, *, peer: float | None = None, bar: float | None = None
) -> Figure:
    """A figure with its ratio to the peer's and whether it holds its bar."""
    return Figure(
        figure=name,
        unit=unit,
        ours=round(ours, 2),
        peer=None if peer is None else round(peer, 2),
        ratio=None if not peer else round(ours / peer, 3),
        bar=bar,
        ok=None if bar is None else ours <= bar,
    )


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that one in twenty exceeds."""
    return sorted(values)[min(len(values) - 1, round(0.95 * (len(values) - 1)))]


def report(name: str, figures: Sequence[Figure]) -> None:
    """Print the table and write var/bench/NAME.json."""
    head = ("figure", "unit", "ours", "peer", "ratio", "bar", "ok")
    rows = [head, *(tuple(_cell(value) for value in to_builtins(f).values()) for f in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    content = [*(to_builtins(f) for f in figures), {"machine": machine}]
    (DIRECTORY / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return str(value)
