"""The bell that wakes the camera."""

from __future__ import annotations

import os
import threading
import time

from agent.video.bell import Bell

LONG_S = 30.0


def test_a_ring_before_the_wait_is_heard_once() -> None:
    bell = Bell()
    for _ in range(100_000):  # more than any buffer takes
        bell.ring()
    bell.wait(LONG_S)
    before = time.monotonic()
    bell.wait(0.05)
    assert time.monotonic() - before >= 0.05
    bell.close()


def test_a_ring_wakes_who_waits() -> None:
    bell = Bell()
    waiting = threading.Thread(target=bell.wait)
    waiting.start()
    bell.ring()
    waiting.join(LONG_S)
    assert not waiting.is_alive()
    bell.close()


def test_another_descriptor_wakes_too() -> None:
    bell = Bell()
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    bell.wait(LONG_S, read_end)
    os.close(read_end)
    os.close(write_end)
    bell.close()


def test_ringing_a_closed_bell_is_no_mistake() -> None:
    bell = Bell()
    bell.close()
    bell.ring()
