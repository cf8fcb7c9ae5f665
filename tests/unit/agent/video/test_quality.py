"""When the screen is looked at and encoded: as a table, in virtual time."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.video.quality import (
    KEY_FRAME_PAUSE_S,
    LOOK_PAUSE_S,
    LOOKS,
    REFINE_S,
    Rhythm,
    budget_bps,
    buffer_bits,
    frame_interval_s,
)

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))
FULL_HD = 1920 * 1080
RATE = 4_000_000


def run(
    changes: list[float], seconds: float, *, tells: bool = False
) -> tuple[list[float], list[str]]:
    """Looks and encodings of a screen that changes at these times, and `tells` or not."""
    rhythm, now = Rhythm(), 0.0
    looks: list[float] = []
    made: list[str] = []
    while now < seconds:
        looks.append(now)
        before = looks[-2] if len(looks) > 1 else -1.0
        changed = any(before < change <= now for change in changes)
        refines = rhythm.looked(now).refines(now)
        rhythm = rhythm.looked(now)
        if changed or refines:
            made.append("change" if changed else "refine")
            rhythm = rhythm.encoded(now, changed=changed, key=False)
        now = max(now + 1e-6, next_look(rhythm, changes, now, tells=tells))
    return looks, made


def next_look(rhythm: Rhythm, changes: list[float], now: float, *, tells: bool) -> float:
    """When the screen is looked at after the look at `now`."""
    if not tells:
        return rhythm.next_look(RATE, now, changed=None)
    unless = rhythm.next_look(RATE, now, changed=False)
    change = next((at for at in changes if now < at < unless), None)
    if change is None:
        return unless
    return max(change, rhythm.next_look(RATE, change, changed=True))


@pytest.mark.parametrize("tells", [False, True])
def test_a_change_is_followed_by_its_refinements_and_then_by_nothing(tells: bool) -> None:
    _, made = run([1.0], 5.0, tells=tells)
    assert made == ["change"] + ["refine"] * len(REFINE_S)


@pytest.mark.parametrize("tells", [False, True])
def test_what_keeps_changing_is_not_refined(tells: bool) -> None:
    _, made = run([number / 20 for number in range(1, 100)], 4.9, tells=tells)
    assert "refine" not in made


@pytest.mark.parametrize("tells", [False, True])
def test_no_more_than_thirty_pictures_a_second(tells: bool) -> None:
    _, made = run([number / 200 for number in range(1, 1000)], 4.0, tells=tells)
    assert 110 <= len(made) <= 121


def test_a_change_that_is_told_is_looked_at_at_once() -> None:
    changes = [1.0, 1.0 + REFINE_S[0] + 0.01, 3.3]  # the second one right after a refinement
    looks, _ = run(changes, 5.0, tells=True)
    assert set(changes) <= set(looks)


def test_a_screen_that_says_that_it_rests_is_looked_at_twice_a_second() -> None:
    looks, _ = run([], 10.0, tells=True)
    assert len(looks) == 20


def test_a_screen_that_says_that_it_changes_all_the_time_is_not_read_all_the_time() -> None:
    rhythm = Rhythm().encoded(1.0, changed=True, key=False).looked(2.0)
    assert rhythm.next_look(RATE, 2.0, changed=True) == 2.0 + LOOK_PAUSE_S


def test_the_longer_a_screen_is_quiet_the_less_often_it_is_looked_at() -> None:
    looks, _ = run([1.0], 20.0)
    since = 0.0
    for until_s, pause_s in LOOKS:
        pauses = [
            later - at
            for at, later in pairwise(looks)
            if 1.05 + since < at < 1.0 + min(until_s, 18.0) - 0.1
        ]
        assert sorted(pauses)[len(pauses) // 2] == pytest.approx(pause_s, abs=1e-3)
        since = until_s


@pytest.mark.parametrize(
    ("target", "pictures_s"), [(8_000_000, 30), (1_500_000, 30), (1_000_000, 20), (300_000, 12)]
)
def test_with_little_room_fewer_pictures_are_sent(target: int, pictures_s: int) -> None:
    assert round(1 / frame_interval_s(target)) == pictures_s


def test_key_frames_keep_their_distance() -> None:
    rhythm = Rhythm()
    assert rhythm.next_key() <= 0.0
    rhythm = rhythm.encoded(5.0, changed=False, key=True)
    assert rhythm.next_key() == 5.0 + KEY_FRAME_PAUSE_S


def test_a_key_frame_is_refined_like_a_change() -> None:
    rhythm = Rhythm().encoded(5.0, changed=False, key=True)
    assert not rhythm.refines(5.0)
    assert rhythm.refines(5.0 + REFINE_S[0] + 1e-6)


@pytest.mark.parametrize(
    ("pause_s", "budget"), [(0.001, RATE), (1 / 30, RATE), (0.1, 3 * RATE), (1.0, 30 * RATE)]
)
def test_a_pause_saves_bits_for_the_next_picture(pause_s: float, budget: int) -> None:
    assert budget_bps(RATE, pause_s) == pytest.approx(budget, rel=1e-6)


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(st.integers(1_250_000, 1_950_000), max_size=20), st.booleans())
def test_a_rate_that_wavers_does_not_change_the_buffer(rates: list[int], small: bool) -> None:
    first = current = buffer_bits(FULL_HD, 300_000 if small else 8_000_000, None)
    for rate in rates:
        current = buffer_bits(FULL_HD, rate, current)
    assert current == first


def test_far_fewer_bits_take_a_smaller_buffer_and_many_a_larger() -> None:
    large = buffer_bits(FULL_HD, 8_000_000, None)
    small = buffer_bits(FULL_HD, 500_000, large)
    assert small < large / 4
    assert buffer_bits(FULL_HD, 4_000_000, small) == large
