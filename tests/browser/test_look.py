"""How pages look and read: contrast in both schemes, narrow windows, screen readers, focus."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.conftest import SignIn, StartAgent
from tests.support.broker import Broker
from tests.support.look import faults
from tests.support.technician import Technician

ANA = "Ana Ruiz"
WIDE, NARROW = (1440, 900), (390, 844)


async def assert_good_everywhere(technician: Technician) -> None:
    """The page as it stands has no fault in either scheme, wide or narrow."""
    page = technician.page
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width, height in (WIDE, NARROW):
            await page.set_viewport_size({"width": width, "height": height})
            assert await faults(page) == [], f"{page.url}, {scheme}, {width} pixels"


@pytest.mark.parametrize("locale", ["en-GB", "es-ES"])
async def test_pages_are_legible_in_light_and_dark_wide_and_narrow(
    broker: Broker, sign_in: SignIn, locale: str
) -> None:
    technician = await sign_in(broker, ANA, locale=locale)
    for path in ("/", "/sign-in", "/console", "/incidents", "/session/x"):
        await technician.page.goto(broker.url + path)
        await technician.page.wait_for_load_state("networkidle")
        await assert_good_everywhere(technician)


async def test_a_session_is_legible_in_light_and_dark_wide_and_narrow(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    session = await technician.join(await agent.code())
    await technician.wait_status("deciding")
    await assert_good_everywhere(technician)
    await agent.allow(ANA)
    await technician.sees_picture()
    await technician.say("a long word: " + "w" * 80)
    await expect(technician.by("chat-log").locator("[data-state=sent]")).to_have_count(1)
    await assert_good_everywhere(technician)
    await technician.page.goto(f"{broker.url}/console")
    await expect(technician.by("session-row")).to_have_count(1)
    await assert_good_everywhere(technician)
    await technician.page.go_back()
    await technician.sees_picture()
    await agent.quit()
    await technician.wait_status("ended")
    await assert_good_everywhere(technician)
    for path in (f"/incidents/{session}", "/incidents"):
        await technician.page.goto(broker.url + path)
        await technician.page.wait_for_load_state("networkidle")
        await assert_good_everywhere(technician)


async def test_a_screen_reader_hears_each_reason_once_and_not_its_seconds(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    await technician.join(await agent.code())
    await expect(technician.by("said")).to_contain_text("is being asked whether")
    await technician.page.evaluate(
        """() => {
            globalThis.heard = [];
            for (const live of document.querySelectorAll('[role=status], [role=alert]'))
              new MutationObserver(() => heard.push(live.textContent))
                .observe(live, {childList: true, characterData: true, subtree: true});
        }"""
    )
    veil = technician.by("veil")
    await expect(veil).not_to_have_text(await veil.text_content())  # the seconds go on
    assert await technician.page.evaluate("heard") == []
    await agent.allow(ANA)
    await expect(technician.by("said")).to_have_text("The picture is here.")
    await expect(technician.page.locator("body")).to_match_aria_snapshot(
        """
        - link "Skip to content"
        - banner:
          - link "Ayuda"
          - navigation "Main":
            - link "Console"
            - link "Incidents"
        - main:
          - heading [level=1]
          - status: Live
          - button "1:1"
          - button "Full screen"
          - status: The picture is here.
          - group "The person's screen"
          - paragraph
          - complementary:
            - region "Participants":
              - heading "Participants" [level=2]
              - list:
                - listitem: /helped person/
                - listitem: Ana Ruiz (you) Example watching
            - region "Chat":
              - heading "Chat" [level=2]
              - log "Chat"
              - textbox "Message"
              - button "Send"
            - button "Invite a colleague"
            - button "Leave"
            - button "End session"
        """
    )


async def test_the_focus_is_never_lost(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    await technician.join(await agent.code())
    await agent.allow(ANA)
    await technician.sees_picture()
    end, keyboard = technician.by("end-session"), technician.page.keyboard
    await end.focus()
    await keyboard.press("Enter")
    await expect(technician.by("end-confirm")).to_be_focused()
    await keyboard.press("Escape")
    await expect(end).to_be_focused()
    await technician.by("chat-input").focus()
    await agent.quit()
    await technician.wait_status("ended")
    await expect(technician.page.locator("#stage")).to_be_focused()
    await keyboard.press("Tab")
    await expect(technician.page.get_by_role("link", name="See the incident")).to_be_focused()
