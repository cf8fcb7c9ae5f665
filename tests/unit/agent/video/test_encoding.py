"""Which pictures become frames: what changed, what was asked for, and nothing else."""

from __future__ import annotations

import pytest

from agent.video import EncodedFrame, EncodeFailed
from agent.video.encoding import Encoding
from agent.video.quality import KEY_FRAME_PAUSE_S, REFINE_S
from tests.unit.agent.video.pictures import Decoder, Pixels, difference, picture, plain, text_like

W, H = 320, 240
RATE = 4_000_000


class Desk:
    """A screen in virtual time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.encoding = Encoding()
        self.pixels: Pixels = text_like(W, H)
        self.target = RATE

    def look(self, pause_s: float = 0.04) -> EncodedFrame | None:
        self.now += pause_s
        return self.encoding.look(picture(self.pixels), self.target, self.now)

    def settle(self) -> list[EncodedFrame]:
        """Look until nothing is to be refined any more."""
        frames = [self.look() for _ in range(int((REFINE_S[-1] + 0.5) / 0.04))]
        return [frame for frame in frames if frame is not None]


def test_the_first_picture_is_a_key_frame_with_its_time_and_size() -> None:
    desk = Desk()
    frame = desk.look()
    assert frame is not None
    assert (frame.key, frame.width, frame.height, frame.captured_at) == (True, W, H, desk.now)


def test_nothing_is_encoded_when_nothing_changed() -> None:
    desk = Desk()
    desk.look()
    desk.settle()
    assert [desk.look() for _ in range(100)] == [None] * 100


def test_a_picture_that_stays_is_refined_a_few_times() -> None:
    desk, decoder = Desk(), Decoder()
    desk.target = 300_000  # too few bits for a sharp first picture
    first = desk.look()
    assert first is not None
    coarse = difference(decoder.rgb(first.data), desk.pixels)
    frames = desk.settle()
    assert len(frames) == len(REFINE_S)
    assert not any(frame.key for frame in frames)
    fine = [difference(decoder.rgb(frame.data), desk.pixels) for frame in frames]
    assert fine[-1] < coarse


def test_a_change_is_encoded_and_seen() -> None:
    desk, decoder = Desk(), Decoder()
    for frame in (desk.look(), *desk.settle()):
        assert frame is not None
        decoder.rgb(frame.data)
    desk.pixels = desk.pixels.copy()
    desk.pixels[100:130, 50:200, :3] = (0, 0, 255)
    changed = desk.look()
    assert changed is not None
    assert not changed.key
    assert difference(decoder.rgb(changed.data)[105:125, 60:190], desk.pixels[105:125, 60:190]) < 6


def test_a_key_frame_comes_when_asked_for_though_nothing_changed() -> None:
    desk = Desk()
    desk.look()
    desk.settle()
    desk.encoding.want_key_frame()
    frame = desk.look()
    assert frame is not None
    assert frame.key
    assert all(not later.key for later in desk.settle())


def test_many_wishes_for_a_key_frame_give_few() -> None:
    desk = Desk()
    desk.look()
    keys = 0
    for _ in range(50):
        desk.encoding.want_key_frame()
        frame = desk.look(0.02)
        keys += frame is not None and frame.key
    assert keys <= 1.0 / KEY_FRAME_PAUSE_S + 1


@pytest.mark.parametrize("size", [(400, 300), (W, H + 2), (321, 241)])
def test_another_size_begins_a_new_stream(size: tuple[int, int]) -> None:
    desk = Desk()
    desk.look()
    desk.pixels = plain(*size)
    frame = desk.look()
    assert frame is not None
    assert frame.key
    assert (frame.width, frame.height) == (size[0] & ~1, size[1] & ~1)
    assert Decoder().frame(frame.data).width == frame.width


def test_a_rate_far_lower_begins_anew_and_one_a_little_lower_does_not() -> None:
    desk = Desk()
    desk.pixels = text_like(1280, 720)
    desk.look()
    desk.target = 3_000_000
    desk.pixels = text_like(1280, 720, 2)
    little = desk.look()
    desk.target = 400_000
    desk.pixels = text_like(1280, 720, 3)
    far = desk.look()
    assert little is not None
    assert far is not None
    assert (little.key, far.key) == (False, True)
    assert len(far.data) * 8 < 1280 * 720


def test_a_screen_too_small_to_show_is_said() -> None:
    with pytest.raises(EncodeFailed, match="too small"):
        Encoding().look(picture(plain(8, 8)), RATE, 1.0)
