"""What changed is found, all of it, and nothing is found where nothing changed."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.video.changes import changed_rows
from tests.unit.agent.video.pictures import picture, plain

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))


def test_without_a_picture_before_everything_changed() -> None:
    assert changed_rows(None, picture(plain(40, 30))) == (0, 30)


@pytest.mark.parametrize("size", [(41, 30), (40, 31), (30, 40)])
def test_another_size_changes_everything(size: tuple[int, int]) -> None:
    assert changed_rows(picture(plain(40, 30)), picture(plain(*size))) == (0, size[1])


def test_equal_pictures_have_no_changed_rows() -> None:
    assert changed_rows(picture(plain(40, 30)), picture(plain(40, 30))) is None


@settings(max_examples=100 * SOAK, deadline=None)
@given(
    width=st.integers(16, 50),
    height=st.integers(16, 50),
    points=st.lists(st.tuples(st.integers(0, 49), st.integers(0, 49)), min_size=1, max_size=4),
)
def test_the_band_is_as_small_as_holds_every_change(
    width: int, height: int, points: list[tuple[int, int]]
) -> None:
    before, after = plain(width, height), plain(width, height)
    rows = [y % height for _, y in points]
    for (x, _), row in zip(points, rows, strict=True):
        after[row, x % width, 0] = 7
    assert changed_rows(picture(before), picture(after)) == (min(rows), max(rows) + 1)
