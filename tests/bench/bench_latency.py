"""Glass to glass: from a change on the display to the same change in the browser.

    make bench-latency

One machine, one clock. A window steps through a binary pattern and notes when the
X server had drawn each step; the page notes when it first read each step from the
picture. The same window, browser and reading measure noVNC with x11vnc.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import AsyncIterator

from playwright.async_api import Page

from tests.bench.report import figure, median, p95, report
from tests.bench.stage import Stage, stage
from tests.support.agent import Agent
from tests.support.child import Child
from tests.support.pattern import BITS
from tests.support.technician import Technician

SECONDS = float(os.environ.get("AYUDA_BENCH_SECONDS", "20"))
PERIOD_S = 0.25
WIDTH, HEIGHT = 1920, 1080
SMALL = (640, 360)
MEDIAN_BAR_MS = 80.0
NOVNC = "/usr/share/novnc"

READ_STEPS = """
([bits, width, height, screenWidth, screenHeight]) => {
  const source = document.querySelector('[data-testid=screen], canvas');
  const video = source instanceof HTMLVideoElement;
  const canvas = new OffscreenCanvas(bits, 1);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  globalThis.seenSteps = {};
  const read = () => {
    const w = (video ? source.videoWidth : source.width) * (width / screenWidth);
    const h = (video ? source.videoHeight : source.height) * (height / screenHeight);
    context.drawImage(source, 0, h * 0.2, w, h * 0.1, 0, 0, bits, 1);
    const data = context.getImageData(0, 0, bits, 1).data;
    let number = 0;
    for (let place = 0; place < bits; place++) number = number * 2 + (data[place * 4] > 127);
    globalThis.seenSteps[number] ??= performance.timeOrigin + performance.now();
    video ? source.requestVideoFrameCallback(read) : requestAnimationFrame(read);
  };
  read();
}
"""


async def measure(page: Page, display: str, width: int, height: int) -> list[float]:
    """Milliseconds from drawn to seen, for each step that was seen."""
    await page.evaluate(READ_STEPS, [BITS, width, height, WIDTH, HEIGHT])
    arguments = ["tests.support.pattern", str(width), str(height), str(PERIOD_S)]
    pattern = await Child.start(arguments, {"DISPLAY": display})
    await asyncio.sleep(SECONDS)
    await pattern.end()
    await asyncio.sleep(1.0)
    seen: dict[str, float] = await page.evaluate("() => globalThis.seenSteps")
    drawn = [re.fullmatch(r"(\d+) ([0-9.]+)", line) for line in pattern.lines]
    steps = {found[1]: float(found[2]) * 1000 for found in drawn if found}
    late = [seen[number] - at for number, at in steps.items() if number in seen]
    print(f"  {len(late)} of {len(steps)} steps seen")
    return late[2:]


async def ours(on: Stage, width: int, height: int) -> list[float]:
    """The whole way through agent, broker and session page."""
    agent = await Agent.start(on.broker, on.display, on.directory / f"device{width}")
    technician = await Technician.sign_in(on.browser, on.broker, "Ana Ruiz")
    try:
        await technician.join(await agent.code())
        await agent.allow("Ana Ruiz")
        await technician.sees_picture()
        return await measure(technician.page, on.display, width, height)
    finally:
        await technician.close()
        await agent.child.end()


@contextlib.asynccontextmanager
async def novnc(display: str) -> AsyncIterator[str]:
    """x11vnc on this display behind websockify; the address of noVNC's page."""
    vnc, web = _free_port(), _free_port()
    commands = (
        f"x11vnc -display {display} -rfbport {vnc} -localhost -shared -forever -nopw",
        f"websockify --web {NOVNC} 127.0.0.1:{web} 127.0.0.1:{vnc}",
    )
    servers = [
        await asyncio.create_subprocess_exec(
            *command.split(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        await asyncio.sleep(3.0)
        yield f"http://127.0.0.1:{web}/vnc_lite.html?scale=true"
    finally:
        for server in servers:
            await _end(server)


async def theirs(on: Stage, width: int, height: int) -> list[float]:
    """The same change through noVNC."""
    async with novnc(on.display) as url:
        page = await on.browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(url)
        await page.wait_for_function(f"() => document.querySelector('canvas')?.width >= {WIDTH}")
        late = await measure(page, on.display, width, height)
        await page.close()
        return late


async def main() -> None:
    """Measure, print, write."""
    figures = []
    async with stage(WIDTH, HEIGHT) as on:
        for name, (width, height) in {
            "640x360 of 1920x1080": SMALL,
            "all of 1920x1080": (WIDTH, HEIGHT),
        }.items():
            print(f"{name}: ours, then noVNC")
            mine, other = await ours(on, width, height), await theirs(on, width, height)
            label = f"glass to glass, {name} changes"
            figures += [
                figure(
                    f"{label}, median", "ms", median(mine), peer=median(other), bar=MEDIAN_BAR_MS
                ),
                figure(f"{label}, p95", "ms", p95(mine), peer=p95(other)),
            ]
    report("latency", figures)


async def _end(server: asyncio.subprocess.Process) -> None:
    """End it, by force if it does not listen (x11vnc at times)."""
    server.terminate()
    try:
        await asyncio.wait_for(server.wait(), 5.0)
    except TimeoutError:
        server.kill()
        await server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    asyncio.run(main())
