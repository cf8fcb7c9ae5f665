"""The pictures of the documentation, taken from a real session.

They go to var/screenshots; `make screenshots` puts them into docs/images.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from broker.demo.desktop import virtual_desktop
from tests.conftest import SignIn, StartAgent
from tests.support.broker import Broker


@pytest.fixture
def directory() -> Path:
    """Where the pictures go."""
    found = Path("var/screenshots")
    found.mkdir(parents=True, exist_ok=True)
    return found


async def test_a_session_and_its_incident_as_technicians_see_them(
    tmp_path: Path, directory: Path, broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    with virtual_desktop(tmp_path) as display:
        agent = await start_agent(broker, display=display, options=["--name", "eva"])
        technician = await sign_in(broker, "Ana Ruiz")
        session = await technician.join(await agent.code())
        await agent.allow("Ana Ruiz")
        await technician.sees_picture()
        await technician.say("Good morning! Which window does not answer?")
        await agent.next_line("Good morning")
        await agent.child.type("The clock stands still, I think.")
        await expect(technician.by("chat-log")).to_contain_text("stands still")
        await expect(technician.by("stats")).to_contain_text("1920×1080")
        await expect(technician.by("participants")).to_contain_text("watching")
        page = technician.page
        await page.screenshot(path=directory / "session.png")
        await page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        await page.screenshot(path=directory / "session-dark.png")
        await page.set_viewport_size({"width": 390, "height": 844})
        await page.screenshot(path=directory / "session-narrow.png", full_page=True)
        await page.set_viewport_size({"width": 1440, "height": 900})
        await page.emulate_media(color_scheme="light")
        await agent.quit()
        await technician.wait_status("ended")
        await page.screenshot(path=directory / "ended.png")
        await page.goto(f"{broker.url}/incidents/{session}")
        await expect(technician.by("timeline")).to_contain_text("stands still")
        await page.screenshot(path=directory / "incident.png")
        await page.goto(f"{broker.url}/incidents")
        await expect(technician.by("incident-row")).to_have_count(1)
        await page.screenshot(path=directory / "incidents.png")
        await page.goto(f"{broker.url}/console")
        await expect(technician.by("sessions")).to_contain_text("No sessions")
        await page.screenshot(path=directory / "console.png")
        await page.goto(broker.url)
        await page.screenshot(path=directory / "help.png")
        assert await page.get_by_role("heading", level=1).inner_text() == "Get help"
