"""Pages without a session: sign-in, languages, keyboard, empty states."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Browser, Route, expect

from tests.conftest import SignIn
from tests.support.broker import Broker


async def test_the_first_page_tells_a_worried_person_what_to_do(
    browser: Browser, broker: Broker
) -> None:
    page = await browser.new_page(locale="en-GB")
    await page.goto(broker.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Get help")
    await expect(page.locator("#command")).to_have_text(f"ayuda-agent --broker {broker.url} --text")
    await expect(page.get_by_text("Did they call you?")).to_be_visible()


async def test_pages_speak_the_browsers_language_and_switch(
    browser: Browser, broker: Broker
) -> None:
    page = await browser.new_page(locale="es-ES")
    await page.goto(broker.url)
    await expect(page.locator("html")).to_have_attribute("lang", "es")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pedir ayuda")
    await page.get_by_test_id("language").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Get help")
    await page.goto(f"{broker.url}/?lang=es")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Pedir ayuda")


async def test_a_sign_in_link_works_once(broker: Broker, browser: Browser, sign_in: SignIn) -> None:
    link = await broker.sign_in_link("Ana Ruiz")
    first = await sign_in(broker)
    await first.follow(link)
    second = await browser.new_page(locale="en-GB")
    await second.goto(link)
    await second.get_by_test_id("sign-in").click()
    await expect(second.get_by_role("status")).to_contain_text("used or is too old")
    assert first.errors == []


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    broker: Broker, sign_in: SignIn
) -> None:
    technician = await sign_in(broker)
    (cookie,) = await technician.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"


async def test_who_is_not_signed_in_is_led_to_sign_in_and_back(
    browser: Browser, broker: Broker
) -> None:
    page = await browser.new_page(locale="en-GB")
    await page.goto(f"{broker.url}/incidents")
    assert page.url == f"{broker.url}/sign-in?next=/incidents"
    await expect(page.get_by_role("status")).to_contain_text("one-time link")
    link = await broker.sign_in_link("Ana Ruiz")
    await page.goto(link.replace("/sign-in#", "/sign-in?next=%2Fincidents#"))
    await page.get_by_test_id("sign-in").click()
    await page.wait_for_url(f"{broker.url}/incidents")


@pytest.mark.parametrize("away", ["https://example.org/", "//example.org/", "/sign-in"])
async def test_sign_in_never_leads_to_another_site(
    browser: Browser, broker: Broker, away: str
) -> None:
    page = await browser.new_page(locale="en-GB")
    link = await broker.sign_in_link("Ana Ruiz")
    await page.goto(link.replace("/sign-in#", f"/sign-in?next={away}#"))
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_test_id("code-input")).to_be_visible()
    assert page.url.startswith(broker.url)


async def test_signing_out_ends_the_browser_session(broker: Broker, sign_in: SignIn) -> None:
    technician = await sign_in(broker)
    await technician.page.get_by_role("button", name="Sign out").click()
    await technician.page.wait_for_url(f"{broker.url}/")
    await technician.page.goto(f"{broker.url}/console")
    assert "/sign-in" in technician.page.url


async def test_a_code_entered_before_the_page_is_ready_is_not_lost(
    broker: Broker, sign_in: SignIn
) -> None:
    technician = await sign_in(broker)
    go_on = asyncio.Event()

    async def slowly(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await technician.page.route("**/js/console.js", slowly)
    await technician.page.goto(f"{broker.url}/console", wait_until="commit")
    await technician.by("code-input").fill("123456789012")
    await technician.by("code-input").press("Enter")
    await expect(technician.by("join")).to_be_disabled()
    go_on.set()
    await technician.by("join").click()
    await expect(technician.by("code-note")).to_contain_text("not right")


async def test_a_code_can_be_pasted_in_any_form(broker: Broker, sign_in: SignIn) -> None:
    technician = await sign_in(broker)
    await technician.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await technician.page.evaluate("navigator.clipboard.writeText('the code is 123-456 789012.')")
    await technician.by("code-input").focus()
    await technician.page.keyboard.press("Control+v")
    await expect(technician.by("code-input")).to_have_value("123 456 789 012")
    await technician.page.keyboard.press("Enter")
    await expect(technician.by("code-note")).to_contain_text("not right")
    await technician.enter("12")
    await expect(technician.by("code-note")).to_contain_text("twelve digits; this has 2")


async def test_empty_lists_say_what_comes_next(broker: Broker, sign_in: SignIn) -> None:
    technician = await sign_in(broker)
    await expect(technician.by("sessions")).to_contain_text("No sessions now")
    await technician.page.goto(f"{broker.url}/incidents")
    await expect(technician.by("status")).to_contain_text("No incidents yet")
    await technician.page.goto(f"{broker.url}/incidents/unheardof")
    await expect(technician.by("status")).to_contain_text("no such incident")


async def test_shortcuts_are_listed_by_a_question_mark(broker: Broker, sign_in: SignIn) -> None:
    technician = await sign_in(broker)
    await technician.page.goto(f"{broker.url}/incidents")
    await expect(technician.by("status")).to_contain_text("No incidents yet")
    await technician.page.keyboard.press("?")
    await expect(technician.page.get_by_role("dialog")).to_contain_text("Next, previous")
    await technician.page.keyboard.press("Escape")
    await technician.page.keyboard.press("/")
    await expect(technician.by("search")).to_be_focused()
    assert [e for e in technician.errors if "404" not in e] == []


async def test_a_page_whose_sign_in_has_ended_leads_back_to_sign_in(
    broker: Broker, sign_in: SignIn
) -> None:
    technician = await sign_in(broker)
    await expect(technician.by("sessions")).to_contain_text("No sessions now")
    await technician.context.clear_cookies()
    await broker.kill()
    await expect(technician.by("status")).to_contain_text("Reconnecting")
    await broker.start()
    await technician.page.wait_for_url("**/sign-in?next=*")
