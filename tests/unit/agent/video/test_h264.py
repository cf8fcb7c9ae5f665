"""The H.264 stream: what a browser needs, the rate that was asked for, no delay."""

from __future__ import annotations

import numpy as np
import pytest

from agent.video import EncodeFailed
from agent.video.h264 import H264Encoder
from broker.rtc.payload.h264 import is_key_frame, split_units
from tests.unit.agent.video.pictures import Decoder, difference, picture, plain, text_like

W, H = 640, 360
ALL = (0, H)


def encoder(buffer_bits: int = 1_000_000) -> H264Encoder:
    return H264Encoder(W, H, buffer_bits=buffer_bits, threads=2)


def kinds(data: bytes) -> list[int]:
    return [unit[0] & 0x1F for unit in split_units(data)]


def test_the_first_frame_is_a_key_frame_and_no_other_unless_asked() -> None:
    made = encoder()
    wanted = {70}
    for number in range(100):
        pixels = picture(text_like(W, H, number % 3))
        data = made.encode(pixels, ALL, key=number in wanted, budget_bps=3_000_000)
        assert is_key_frame(data) is (number in {0} | wanted)
        assert not {5, 7, 8} & set(kinds(data)) or number in {0} | wanted


def test_every_key_frame_brings_its_parameter_sets() -> None:
    made = encoder()
    for _ in range(3):
        data = made.encode(picture(plain(W, H)), ALL, key=True, budget_bps=3_000_000)
        assert kinds(data)[:2] == [7, 8]
        Decoder().frame(data)  # a decoder that joins now can begin


def test_it_is_constrained_baseline_and_its_colours_are_signalled() -> None:
    data = encoder().encode(picture(plain(W, H)), ALL, key=True, budget_bps=3_000_000)
    sps = next(unit for unit in split_units(data) if unit[0] & 0x1F == 7)
    assert sps[1] == 66  # profile_idc: baseline
    assert sps[2] & 0xC0 == 0xC0  # constraint_set0_flag, constraint_set1_flag
    frame = Decoder().frame(data)
    assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited
    assert (frame.color_primaries, frame.color_trc) == (1, 1)


def test_each_picture_comes_out_as_it_goes_in() -> None:
    made, decoder = encoder(4_000_000), Decoder()
    for number in range(5):
        pixels = text_like(W, H, number)
        data = made.encode(picture(pixels), ALL, key=False, budget_bps=60_000_000)
        # Text is thin and chroma is halved: compare what is seen, averaged.
        assert difference(decoder.rgb(data), pixels) < 8
    colours = plain(W, H, (220, 40, 60))
    colours[:, W // 2 :, :3] = (200, 160, 30)
    data = made.encode(picture(colours), ALL, key=False, budget_bps=60_000_000)
    assert difference(decoder.rgb(data), colours) < 2


def test_only_the_rows_that_changed_are_looked_at() -> None:
    made, decoder = encoder(), Decoder()
    pixels = plain(W, H)
    decoder.rgb(made.encode(picture(pixels), ALL, key=False, budget_bps=9_000_000))
    pixels[100:120, :, :3] = 0
    data = made.encode(picture(pixels), (100, 120), key=False, budget_bps=9_000_000)
    assert difference(decoder.rgb(data), pixels) < 2


def test_the_rate_follows_without_a_key_frame() -> None:
    made = encoder()
    sizes: dict[int, list[int]] = {}
    for target in (4_000_000, 500_000, 4_000_000):
        sizes[target] = []
        for number in range(60):
            data = made.encode(picture(text_like(W, H, number)), ALL, key=False, budget_bps=target)
            sizes[target].append(len(data))
            assert is_key_frame(data) is (target == 4_000_000 and number == 0 and len(sizes) == 1)
    fast, slow = (sum(sizes[target][30:]) * 8 for target in (4_000_000, 500_000))
    assert 0.5 * 4_000_000 < fast < 1.3 * 4_000_000  # 30 frames are one second
    assert slow < 2 * 500_000


def test_a_key_frame_stays_within_the_buffer() -> None:
    for buffer_bits in (200_000, 400_000):
        data = encoder(buffer_bits).encode(
            picture(text_like(W, H)), ALL, key=True, budget_bps=8_000_000
        )
        assert len(data) * 8 <= buffer_bits * 1.1


def test_an_unchanged_picture_becomes_sharper_and_then_costs_nothing() -> None:
    made, decoder = encoder(400_000), Decoder()
    pixels = text_like(W, H)
    coarse = decoder.rgb(made.encode(picture(pixels), ALL, key=False, budget_bps=2_000_000))
    data, fine = b"", coarse
    for _ in range(12):
        data = made.encode(picture(pixels), (0, 0), key=False, budget_bps=12_000_000)
        fine = decoder.rgb(data)
    assert difference(fine, pixels) < 0.7 * difference(coarse, pixels)
    assert len(data) < 3000


@pytest.mark.parametrize(("width", "height"), [(641, 360), (640, 361), (17, 17), (3840, 2160)])
def test_any_size_is_made_even(width: int, height: int) -> None:
    made = H264Encoder(width, height, buffer_bits=2_000_000, threads=2)
    assert (made.width, made.height) == (width & ~1, height & ~1)
    pixels = plain(width, height)
    data = made.encode(picture(pixels), (0, height), key=False, budget_bps=8_000_000)
    frame = Decoder().frame(data)
    assert (frame.width, frame.height) == (made.width, made.height)


def test_a_size_that_no_encoder_takes_is_said() -> None:
    with pytest.raises(EncodeFailed, match="does not start for 0 x 100 pixels"):
        H264Encoder(1, 100, buffer_bits=1_000_000, threads=1)


def test_pixels_need_no_copy_that_lasts() -> None:
    """The encoder keeps nothing of the picture: its bytes may be reused at once."""
    made, decoder = encoder(), Decoder()
    shown = picture(plain(W, H, (10, 200, 30)))
    data = made.encode(shown, ALL, key=False, budget_bps=3_000_000)
    shown.pixels[:] = bytes(len(shown.pixels))
    assert abs(int(np.median(decoder.rgb(data)[..., 1])) - 200) < 4
