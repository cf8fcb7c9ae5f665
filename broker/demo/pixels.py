"""What a display shows now, at a grid of points."""

from __future__ import annotations

from typing import Final

import mss
from msgspec import Struct

GRID: Final = (64, 36)
"""Columns and rows of points that are compared."""


class Sample(Struct, frozen=True):
    """Brightness, 0 to 255, at the middle of each cell of the grid, by rows."""

    size: tuple[int, int]
    points: tuple[float, ...]


def brightness_of_display(display: str) -> Sample:
    """Look at a display."""
    with mss.MSS(display=display) as screen:
        shot = screen.grab(screen.monitors[0])
    width, height, pixels = shot.width, shot.height, shot.raw  # BGRA
    columns, rows = GRID
    points = []
    for row in range(rows):
        y = int((row + 0.5) * height / rows)
        for column in range(columns):
            at = 4 * (y * width + int((column + 0.5) * width / columns))
            points.append(0.114 * pixels[at] + 0.587 * pixels[at + 1] + 0.299 * pixels[at + 2])
    return Sample((width, height), tuple(points))
