"""Runs of datagrams: everything goes, in order, within the kernel's limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.segments import RUN_MAX_BYTES, SEGMENTS_MAX, runs, split


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([5], [[5]]),
        ([5, 5, 5], [[5, 5, 5]]),
        ([5, 5, 3], [[5, 5, 3]]),
        ([5, 5, 3, 5], [[5, 5, 3], [5]]),
        ([3, 5, 5], [[3], [5, 5]]),
        ([5, 3, 3], [[5, 3], [3]]),
        ([5, 0, 5], [[5], [0], [5]]),
        ([1200] * 60, [[1200] * 54, [1200] * 6]),
        ([10] * 70, [[10] * 64, [10] * 6]),
        ([70_000, 1], [[70_000], [1]]),
    ],
)
def test_datagrams_are_grouped_as_the_kernel_takes_them(
    sizes: list[int], expected: list[list[int]]
) -> None:
    grouped = runs([bytes(size) for size in sizes])
    assert [[len(data) for data in run] for run in grouped] == expected


@given(st.lists(st.integers(0, 2000) | st.just(1200), max_size=300))
def test_nothing_is_lost_moved_or_too_large(sizes: list[int]) -> None:
    datagrams = [bytes([number & 0xFF]) * size for number, size in enumerate(sizes)]
    seen: list[bytes] = []
    for run in runs(datagrams):
        seen += run
        first = len(run[0])
        assert len(run) <= SEGMENTS_MAX
        assert len(run) == 1 or sum(map(len, run)) <= RUN_MAX_BYTES
        assert all(len(data) == first for data in run[:-1])
        assert len(run[-1]) <= first
        if len(run) > 1:  # as the receiver's kernel would give it back
            assert split(b"".join(run), first) == list(run)
    assert seen == datagrams
