"""Colours are BT.709, and converting a band gives what converting everything would."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.video.convert import Converter
from tests.unit.agent.video.pictures import Pixels, picture, plain, text_like

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
W, H = 160, 120


def planes(pixels: Pixels, width: int = W, height: int = H) -> Pixels:
    frame = Converter(width, height, threads=1).update(picture(pixels), (0, pixels.shape[0]))
    return np.asarray(frame.to_ndarray(), np.uint8)


@pytest.mark.parametrize(
    ("colour", "y", "cb", "cr"),
    [  # ITU-R BT.709-6 §3, limited range
        ((0, 0, 0), 16, 128, 128),
        ((255, 255, 255), 235, 128, 128),
        ((255, 0, 0), 63, 102, 240),
        ((0, 255, 0), 173, 42, 26),
        ((0, 0, 255), 32, 240, 118),
        ((128, 128, 128), 126, 128, 128),
    ],
)
def test_colours_are_bt709_in_limited_range(
    colour: tuple[int, int, int], y: int, cb: int, cr: int
) -> None:
    flat = planes(plain(W, H, colour)).reshape(-1)
    luma, chroma = flat[: W * H], flat[W * H :]
    assert abs(int(np.median(luma)) - y) <= 1
    assert abs(int(np.median(chroma[: len(chroma) // 2])) - cb) <= 1
    assert abs(int(np.median(chroma[len(chroma) // 2 :])) - cr) <= 1


@pytest.mark.parametrize("size", [(161, 120), (160, 121), (161, 121)])
def test_an_odd_last_line_is_left_out(size: tuple[int, int]) -> None:
    assert np.array_equal(planes(text_like(*size)), planes(text_like(*size)[:H, :W]))


@settings(max_examples=60 * SOAK, deadline=None)
@given(begin=st.integers(0, H - 1), count=st.integers(1, H), seed=st.integers(0, 99))
def test_a_band_is_converted_as_in_the_whole_picture(begin: int, count: int, seed: int) -> None:
    before, after = text_like(W, H, seed), text_like(W, H, seed)
    rows = begin, min(H, begin + count)
    after[rows[0] : rows[1]] = text_like(W, H, seed + 1)[rows[0] : rows[1]]
    converter = Converter(W, H, threads=2)
    converter.update(picture(before), (0, H))
    frame = converter.update(picture(after), rows)
    assert np.array_equal(np.asarray(frame.to_ndarray()), planes(after))


def test_nothing_changed_gives_the_frame_as_it_was() -> None:
    converter = Converter(W, H, threads=1)
    first = np.asarray(converter.update(picture(text_like(W, H)), (0, H)).to_ndarray()).copy()
    again = converter.update(picture(text_like(W, H)), (0, 0)).to_ndarray()
    assert np.array_equal(first, again)
