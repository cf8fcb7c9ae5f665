"""How long until the first picture: from the code entered, and from consent.

make bench-first_picture
"""

from __future__ import annotations

import asyncio
import os
import time

from tests.bench.report import figure, median, p95, report
from tests.bench.stage import Stage, stage
from tests.support.agent import Agent
from tests.support.child import Child
from tests.support.technician import Technician

ROUNDS = int(os.environ.get("AYUDA_BENCH_ROUNDS", "10"))
CONSENT_BAR_MS = 1000.0

FIRST_FRAME = """
() => new Promise((resolve) => {
  const video = document.querySelector('[data-testid=screen]');
  video.requestVideoFrameCallback(() => resolve(performance.timeOrigin + performance.now()));
})
"""


async def one_round(on: Stage, technician: Technician, number: int) -> tuple[float, float]:
    """Milliseconds from join and from consent to the first decoded frame."""
    agent = await Agent.start(on.broker, on.display, on.directory / f"device{number}")
    try:
        code = await agent.code()
        await technician.page.goto(f"{on.broker.url}/console")
        await technician.by("code-input").fill(code)
        entered = time.time()
        await technician.by("join").click()
        await technician.page.wait_for_url("**/session/*")
        await technician.wait_status("deciding")
        frame = asyncio.create_task(technician.page.evaluate(FIRST_FRAME))
        await agent.child.line(r"allow .*\? \[y/N\]")
        consented = time.time()
        await agent.child.type("y")
        shown = await asyncio.wait_for(frame, 20.0)
        return shown - entered * 1000, shown - consented * 1000
    finally:
        await agent.child.end()


async def main() -> None:
    """Measure, print, write."""
    async with stage() as on:
        pattern = ["tests.support.pattern", "1920", "1080", "0.1"]
        moving = await Child.start(pattern, {"DISPLAY": on.display})
        technician = await Technician.sign_in(on.browser, on.broker, "Ana Ruiz")
        rounds = [await one_round(on, technician, number) for number in range(ROUNDS + 1)][1:]
        await moving.end()
    entered = [one for one, _ in rounds]
    consented = [two for _, two in rounds]
    report(
        "first_picture",
        [
            figure("code entered to first picture, median", "ms", median(entered)),
            figure("code entered to first picture, p95", "ms", p95(entered)),
            figure("consent to first picture, median", "ms", median(consented), bar=CONSENT_BAR_MS),
            figure("consent to first picture, p95", "ms", p95(consented), bar=CONSENT_BAR_MS),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
