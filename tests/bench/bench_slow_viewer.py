"""One technician behind a narrow line beside one on this machine: does either suffer?

    make bench-slow_viewer

The slow one's browser is in a network namespace at the end of a veth pair, whose way
there is shaped to 64 kbit/s with at most 300 ms of queue (tc-tbf). Each picture is a
step of the pattern: what is seen, and how old it is then, is read from the picture.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.bench.bench_latency import READ_STEPS
from tests.bench.report import figure, median, p95, report
from tests.support.agent import Agent
from tests.support.broker import Broker
from tests.support.certificate import certificate_for
from tests.support.child import Child
from tests.support.display import xvfb
from tests.support.netns import Host, host
from tests.support.pattern import BITS
from tests.support.technician import Technician, launch

SECONDS = float(os.environ.get("AYUDA_BENCH_SECONDS", "30"))
WIDTH, HEIGHT = 1280, 720
SHOWN = (960, 540)
PERIOD_S = 0.1  # of this pattern: about 400 kbit/s
NARROW = ("rate", "64kbit", "burst", "4000", "latency", "300ms")


class Seen:
    """What one page showed during a while."""

    def __init__(self, ages_ms: list[float], freezes: int) -> None:
        self.ages_ms = ages_ms
        self.freezes = freezes
        self.per_second = len(ages_ms) / SECONDS


async def freezes(page: Page) -> int:
    """How often the picture stood still, as Chromium counts it."""
    quality: int = await page.evaluate(
        "async () => { for (const r of (await globalThis.peer.getStats()).values())"
        " if (r.type === 'inbound-rtp' && r.kind === 'video') return r.freezeCount; return 0; }"
    )
    return quality


async def watch(pages: list[Page], display: str) -> list[Seen]:
    """The pattern for SECONDS, and what each page showed of it."""
    for page in pages:
        await page.evaluate(READ_STEPS, [BITS, *SHOWN, WIDTH, HEIGHT])
    before = [await freezes(page) for page in pages]
    arguments = ["tests.support.pattern", *map(str, SHOWN), str(PERIOD_S)]
    pattern = await Child.start(arguments, {"DISPLAY": display})
    await asyncio.sleep(SECONDS)
    seen = []
    for page, count in zip(pages, before, strict=True):
        steps: dict[str, float] = await page.evaluate("() => globalThis.seenSteps")
        seen.append((steps, await freezes(page) - count))
    await pattern.end()
    drawn = dict(line.split() for line in pattern.lines if len(line.split()) == 2)
    return [
        Seen([at - float(drawn[step]) * 1000 for step, at in steps.items() if step in drawn], count)
        for steps, count in seen
    ]


async def joined(technician: Technician, agent: Agent, code: str) -> Technician:
    """A technician who sees the picture; the page's connection can be asked for its statistics."""
    await technician.context.add_init_script(
        "const Real = RTCPeerConnection; globalThis.RTCPeerConnection = class extends Real {"
        " constructor(...a) { super(...a); globalThis.peer = this; } };"
    )
    await technician.join(code)
    await agent.allow(technician.name)
    await technician.sees_picture()
    return technician


def through(far: Host, directory: Path) -> str:
    """A command that starts Chromium on the other host."""
    script = directory / "chromium"
    script.write_text(f'#!/bin/sh\nexec {" ".join(far.prefix)} /usr/bin/chromium "$@"\n')
    script.chmod(0o755)
    return str(script)


async def main() -> None:
    """Alone, then side by side; print, write."""
    with tempfile.TemporaryDirectory() as name, host() as far:
        directory = Path(name)
        certificate, key = certificate_for(far.our_address, directory / "tls")
        options = ("--host", far.our_address, "--certificate", str(certificate), "--key", str(key))
        broker = Broker(directory / "broker", {}, options)
        await broker.start()
        async with xvfb(WIDTH, HEIGHT) as display, async_playwright() as playwright:
            near_browser = await launch(playwright)
            far_browser = await launch(playwright, executable=through(far, directory))
            agent = await Agent.start(
                broker, display, directory / "device", options=["--ca", str(certificate)]
            )
            fast = await Technician.sign_in(
                near_browser, broker, "Ana Ruiz", ignore_https_errors=True
            )
            await joined(fast, agent, await agent.code())
            (alone,) = await watch([fast.page], display)
            slow = await Technician.sign_in(
                far_browser, broker, "Ben Okoro", ignore_https_errors=True
            )
            await agent.child.type("n")
            await joined(slow, agent, await agent.code())
            far.shape(*NARROW)
            await watch([slow.page], display)  # its way is found to be narrow
            beside, narrow = await watch([fast.page, slow.page], display)
            await agent.child.end()
            await near_browser.close()
            await far_browser.close()
        await broker.process.end()
    figures = [
        figure("fast viewer, pictures a second", "1/s", beside.per_second, peer=alone.per_second),
        figure("fast viewer, freezes", "", beside.freezes, peer=alone.freezes, bar=alone.freezes),
        figure(
            "fast viewer, age of a picture, median",
            "ms",
            median(beside.ages_ms),
            peer=median(alone.ages_ms),
        ),
        figure("slow viewer, pictures a second", "1/s", narrow.per_second),
        figure("slow viewer, age of a picture, median", "ms", median(narrow.ages_ms)),
        figure("slow viewer, age of a picture, p95", "ms", p95(narrow.ages_ms)),
    ]
    report("slow_viewer", figures)


if __name__ == "__main__":
    asyncio.run(main())
