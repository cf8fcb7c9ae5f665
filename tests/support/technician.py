"""A technician in a real browser, by what a person sees and presses."""

from __future__ import annotations

import os
import re
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, Playwright, expect

from tests.support.broker import Broker

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
LIVE_MS = 20_000


async def launch(playwright: Playwright, *extra: str, executable: str = CHROMIUM) -> Browser:
    """Debian's Chromium, headless, perhaps by a command that leads to it."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    return await playwright.chromium.launch(
        executable_path=executable, args=[*FLAGS, *root, *extra]
    )


class Technician:
    """One signed-in browser tab."""

    def __init__(self, broker: Broker, context: BrowserContext, page: Page, name: str) -> None:
        self.broker = broker
        self.context = context
        self.page = page
        self.name = name
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._on_console)

    @classmethod
    async def sign_in(
        cls, browser: Browser, broker: Broker, name: str, *, locale: str = "en-GB", **context: Any
    ) -> Technician:
        """A fresh browser context, signed in by a one-time link."""
        fresh = await browser.new_context(
            locale=locale, viewport={"width": 1440, "height": 900}, **context
        )
        technician = cls(broker, fresh, await fresh.new_page(), name)
        await technician.follow(await broker.sign_in_link(name))
        return technician

    async def follow(self, link: str) -> None:
        """Open a sign-in link and arrive at the console."""
        await self.page.goto(link)
        button = self.page.get_by_role("button", name=re.compile("sign in|iniciar|entrar", re.I))
        await button.or_(self.by("code-input")).first.wait_for()
        if await button.count() and not await self.by("code-input").count():
            await button.first.click()
        await expect(self.by("code-input")).to_be_visible()

    def by(self, testid: str) -> Any:
        """The element with this handle."""
        return self.page.get_by_test_id(testid)

    async def enter(self, code: str) -> None:
        """Type a code and join."""
        await self.by("code-input").fill(code)
        await self.by("join").click()

    async def join(self, code: str) -> str:
        """Enter a right code; the session's id once its page is open."""
        await self.enter(code)
        await self.page.wait_for_url("**/session/*")
        return self.page.url.rsplit("/", 1)[-1]

    async def sees_picture(self) -> None:
        """Wait until frames of the person's screen arrive."""
        await self.page.wait_for_function(
            """() => { const v = document.querySelector('[data-testid=screen]');
                       return v && v.videoWidth > 0 && v.getVideoPlaybackQuality
                         && v.getVideoPlaybackQuality().totalVideoFrames > 0; }""",
            timeout=LIVE_MS,
        )

    async def frames(self) -> int:
        """How many frames the picture has shown."""
        count: int = await self.page.evaluate(
            "() => document.querySelector('[data-testid=screen]')"
            ".getVideoPlaybackQuality().totalVideoFrames"
        )
        return count

    async def pixel(self, x: float, y: float) -> tuple[int, int, int]:
        """The colour at a place of the picture, given as fractions of its size."""
        rgba: list[int] = await self.page.evaluate(
            """([x, y]) => {
                const v = document.querySelector('[data-testid=screen]');
                const c = new OffscreenCanvas(v.videoWidth, v.videoHeight);
                const g = c.getContext('2d');
                g.drawImage(v, 0, 0);
                return [...g.getImageData(x * v.videoWidth, y * v.videoHeight, 1, 1).data];
            }""",
            [x, y],
        )
        return rgba[0], rgba[1], rgba[2]

    async def say(self, text: str) -> None:
        """Write a chat text and send it."""
        await self.by("chat-input").fill(text)
        await self.by("chat-send").click()

    async def wait_status(self, words: str, timeout_ms: int = LIVE_MS) -> None:
        """Wait until the page says how the session stands, in these words."""
        await expect(self.by("status")).to_contain_text(re.compile(words, re.I), timeout=timeout_ms)

    async def close(self) -> None:
        """Close the browser context, tabs and all."""
        await self.context.close()

    def _on_console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)
