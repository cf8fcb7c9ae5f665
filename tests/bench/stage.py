"""One machine with a broker, an agent on a virtual display, and a browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct
from playwright.async_api import Browser, async_playwright

from tests.support.broker import Broker
from tests.support.display import xvfb
from tests.support.technician import launch


class Stage(Struct, frozen=True):
    """What a benchmark plays on."""

    broker: Broker
    display: str
    browser: Browser
    directory: Path


@contextlib.asynccontextmanager
async def stage(width: int = 1920, height: int = 1080) -> AsyncIterator[Stage]:
    """Everything that a session needs, but the agent."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        broker = Broker(directory / "broker", {})
        await broker.start()
        try:
            async with xvfb(width, height) as display, async_playwright() as playwright:
                browser = await launch(playwright)
                yield Stage(broker, display, browser, directory)
                await browser.close()
        finally:
            await broker.process.end()
