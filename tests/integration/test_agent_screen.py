"""A real X display that tells of its changes, and one that does not."""

from __future__ import annotations

import asyncio
import select

import pytest

from agent.screen import CaptureFailed
from agent.screen.x11 import X11Screen
from tests.support.child import Child
from tests.support.display import xvfb

TOLD_S = 5.0


async def told(screen: X11Screen) -> bool:
    """Whether the screen says within a while that it changed, where `fileno` promises it."""
    descriptor = screen.fileno()
    assert descriptor is not None
    if not screen.changed():
        await asyncio.to_thread(select.select, [descriptor], [], [], TOLD_S)
    return bool(screen.changed())


async def test_what_is_drawn_is_told_each_time_and_rest_is_not(display: str) -> None:
    window = await Child.start(["tests.support.pattern", "640", "360"], {"DISPLAY": display})
    await window.line("^0 ")
    await asyncio.sleep(0.5)  # until it is on the screen
    screen = X11Screen(display)
    screen.grab()
    assert screen.changed() is False
    for step in range(1, 6):
        await window.type(str(step))
        assert await told(screen)
        await window.line(f"^{step} ")
        before = screen.grab()
        assert screen.grab().pixels == before.pixels
        await asyncio.sleep(0.1)
        assert screen.changed() is False
    screen.close()
    await window.end()


async def test_the_pointers_moves_are_told(display: str) -> None:
    screen = X11Screen(display)
    before = screen.grab()
    move = await asyncio.create_subprocess_exec(
        "xdotool", "mousemove_relative", "40", "30", env={"DISPLAY": display, "PATH": "/usr/bin"}
    )
    assert await told(screen)
    assert await move.wait() == 0
    assert screen.grab().pixels != before.pixels
    screen.close()


async def test_a_display_without_these_extensions_is_read_all_the_same() -> None:
    async with xvfb(640, 360, "-extension", "DAMAGE") as display:
        screen = X11Screen(display)
        assert (screen.changed(), screen.fileno()) == (None, None)
        assert (screen.grab().width, screen.grab().height) == (640, 360)
        screen.close()


async def test_a_display_that_is_gone_is_said() -> None:
    async with xvfb() as display:
        screen = X11Screen(display)
        screen.grab()
    assert screen.changed() is None
    with pytest.raises(CaptureFailed, match="cannot be read"):
        screen.grab()
    screen.close()
