"""What changed from one picture to the next. Pure.

Cost at 1920 x 1080: 0.7 ms if nothing did, and 1 ms more if something did.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.screen import Picture
from agent.video import Rows


def changed_rows(before: Picture | None, after: Picture) -> Rows | None:
    """The band of rows outside of which nothing differs; None if nothing does.

    Against no picture, or one of another size, everything differs.
    """
    if before is None or (before.width, before.height) != (after.width, after.height):
        return 0, after.height
    if before.pixels == after.pixels:  # one memcmp
        return None
    differs = np.flatnonzero((_rows(before) != _rows(after)).any(axis=1))
    return int(differs[0]), int(differs[-1]) + 1


def _rows(picture: Picture) -> NDArray[Any]:
    """The picture as one line of machine words a row."""
    word = np.uint32 if picture.width % 2 else np.uint64
    return np.frombuffer(picture.pixels, word).reshape(picture.height, -1)
