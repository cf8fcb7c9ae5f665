"""Whole sessions: a real agent on a real display, a technician in a real browser."""

from __future__ import annotations

import asyncio
import re
import sqlite3

import pytest
from playwright.async_api import expect

from broker.database import FILE_NAME
from tests.conftest import SignIn, StartAgent, StartBroker
from tests.support.agent import Agent
from tests.support.broker import Broker
from tests.support.child import Child
from tests.support.pattern import COLOURS
from tests.support.technician import Technician

ANA, BEN = "Ana Ruiz", "Ben Okoro"


def near(one: tuple[int, int, int], rgb: int, tolerance: int = 24) -> bool:
    """Whether a decoded colour is the one that was drawn, up to coding noise."""
    wanted = (rgb >> 16, rgb >> 8 & 0xFF, rgb & 0xFF)
    return all(abs(a - b) <= tolerance for a, b in zip(one, wanted, strict=True))


def wrong(code: str) -> str:
    """The same request with another secret."""
    return code[:6] + f"{(int(code[6:]) + 1) % 10**6:06}"


async def together(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> tuple[Agent, Technician, str]:
    """Ana sees the person's screen: both sides, and the session's id."""
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    session = await technician.join(await agent.code())
    await agent.allow(ANA)
    await technician.sees_picture()
    return agent, technician, session


async def until_colours(technician: Technician, step: int) -> None:
    """Wait until the lower half shows the four colours as this step has them."""
    wanted = [COLOURS[(place - step) % 4] for place in range(4)]
    async with asyncio.timeout(10.0):
        while True:
            seen = [await technician.pixel((2 * place + 1) / 8, 0.75) for place in range(4)]
            if all(near(one, rgb) for one, rgb in zip(seen, wanted, strict=True)):
                return


async def test_the_pixels_that_arrive_are_the_ones_displayed(
    broker: Broker, display: str, start_agent: StartAgent, sign_in: SignIn
) -> None:
    pattern = await Child.start(["tests.support.pattern", "1280", "720"], {"DISPLAY": display})
    await pattern.line("^0 ")
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    session = await technician.join(await agent.code())
    await technician.wait_status("deciding")
    await agent.allow(ANA)
    await technician.sees_picture()
    for step in (0, 1, 2, 3, 6):
        await pattern.type(str(step))
        await until_colours(technician, step)
    assert await technician.page.evaluate(
        "() => { const v = document.querySelector('[data-testid=screen]');"
        " return [v.videoWidth, v.videoHeight]; }"
    ) == [1280, 720]
    await technician.wait_status("live")
    await expect(technician.by("participants")).to_contain_text("watching")
    await agent.quit()
    await technician.wait_status("ended")
    await expect(technician.by("veil")).to_contain_text("The person ended the session")
    row = await broker.ended(session)
    assert row["reason"] == "person-ended"
    await broker.verified()
    assert technician.errors == []
    await pattern.end()


async def test_chat_goes_both_ways_and_is_in_the_incident(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, session = await together(broker, start_agent, sign_in)
    await technician.say("¿Qué ves? <b>now</b>")
    mine = technician.by("chat-log").locator(".mine")
    await expect(mine).to_contain_text("¿Qué ves? <b>now</b>")
    await expect(mine).to_have_attribute("data-state", "sent")
    await agent.next_line(r"Ana Ruiz: ¿Qué ves\? <b>now</b>")
    await agent.child.type("a blue window")
    await expect(technician.by("chat-log").locator(".theirs")).to_contain_text("a blue window")
    await technician.by("end-session").click()
    await technician.by("end-confirm").click()
    await technician.wait_status("ended")
    assert await agent.child.wait() == 0
    await broker.ended(session)
    texts = [e["data"]["text"] for e in await broker.events(session) if e["kind"] == "chat"]
    assert texts == ["¿Qué ves? <b>now</b>", "a blue window"]
    await technician.page.get_by_role("link", name="See the incident").click()
    await expect(technician.by("timeline")).to_contain_text("a blue window")
    await expect(technician.by("timeline")).to_contain_text("The person said yes to Ana Ruiz")
    await technician.page.goto(f"{broker.url}/incidents?q=blue")
    await expect(technician.by("incident-row")).to_have_count(1)
    assert technician.errors == []


async def test_chat_that_could_not_be_recorded_is_shown_as_failed_and_can_be_sent_again(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, session = await together(broker, start_agent, sign_in)
    async with asyncio.timeout(10.0):
        while (await broker.kinds(session)).count("picture") < 2:
            pass  # what the picture's start has to record comes first
    somebody = sqlite3.connect(broker.data / FILE_NAME)
    somebody.execute("BEGIN IMMEDIATE")  # holds the log, so that nothing can be written
    await technician.say("is anybody there?")
    mine = technician.by("chat-log").locator(".mine")
    await expect(mine).to_have_attribute("data-state", "sending")
    await expect(mine).to_have_attribute("data-state", "failed", timeout=30_000)
    await expect(mine).to_contain_text("could not be recorded")
    assert "is anybody there?" not in agent.child.text
    somebody.rollback()
    somebody.close()
    await mine.get_by_role("button", name="Try again").click()
    await expect(mine).to_have_attribute("data-state", "sent")
    await agent.next_line(r"Ana Ruiz: is anybody there\?")
    assert (await broker.kinds(session)).count("chat") == 1


async def test_without_a_log_there_is_no_session_and_unrecorded_chat_is_shown_as_failed(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, session = await together(broker, start_agent, sign_in)
    await technician.by("invite").click()
    await expect(technician.by("invite-code")).to_have_text(re.compile(r"^(\d{3} ?){4}$"))
    code = (await technician.by("invite-code").inner_text()).replace(" ", "")
    await technician.page.keyboard.press("Escape")
    colleague = await sign_in(broker, BEN)
    somebody = sqlite3.connect(broker.data / FILE_NAME)
    somebody.execute("BEGIN IMMEDIATE")
    await agent.child.type("n")  # a new code must be recorded before it is shown
    await technician.say("too late")
    await colleague.enter(code)
    await expect(technician.by("veil")).to_contain_text(
        "incident log could not be written", timeout=30_000
    )
    await expect(colleague.by("code-note")).to_contain_text("over", timeout=30_000)
    await agent.next_line("could not write its record")
    mine = technician.by("chat-log").locator(".mine")
    await expect(mine).to_have_attribute("data-state", "failed")
    somebody.rollback()
    somebody.close()
    assert (await broker.ended(session, 30.0))["reason"] == "log-failed"
    assert "chat" not in await broker.kinds(session)
    await broker.verified()


async def test_a_no_shows_nothing_and_is_said(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    session = await technician.join(await agent.code())
    await agent.deny(ANA)
    await technician.wait_status("ended")
    await expect(technician.by("veil")).to_contain_text("The person said no")
    assert await technician.frames() == 0
    kinds = await broker.kinds(session)
    assert "joined" not in kinds
    assert "picture" not in kinds


async def test_three_wrong_secrets_burn_the_code(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    code = await agent.code()
    note = technician.by("code-note")
    for _ in range(2):
        await technician.enter(wrong(code))
        await expect(note).to_contain_text("not right")
        await expect(technician.by("join")).to_be_enabled()
    await technician.enter(wrong(code))
    await expect(note).to_contain_text("three times")
    await agent.next_line("entered the code wrongly three times")
    await expect(technician.by("join")).to_be_enabled()
    await technician.enter(code)
    await expect(note).to_contain_text("three times")
    await agent.child.type("n")
    await technician.join(await agent.code())
    await technician.wait_status("deciding")


async def test_a_code_cannot_be_used_twice(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    first, second = await sign_in(broker, ANA), await sign_in(broker, BEN)
    code = await agent.code()
    await first.join(code)
    await second.enter(code)
    await expect(second.by("code-note")).to_contain_text("used already")


async def test_an_expired_code_says_so_on_both_sides(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker(code_lifetime_s=1)
    technician = await sign_in(broker, ANA)
    agent = await start_agent(broker)
    code = await agent.code()
    await agent.next_line("the code has expired")
    await technician.enter(code)
    await expect(technician.by("code-note")).to_contain_text("too old")


async def test_of_two_technicians_with_one_code_exactly_one_wins(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    both = [await sign_in(broker, ANA), await sign_in(broker, BEN)]
    code = await agent.code()
    for technician in both:
        await technician.by("code-input").fill(code)
    await asyncio.gather(*(technician.by("join").click() for technician in both))
    winners: list[Technician] = []
    losers: list[Technician] = []
    for technician in both:
        done = technician.page.locator("[data-testid=veil], [data-testid=code-note]:not(:empty)")
        await done.first.wait_for()
        (winners if "/session/" in technician.page.url else losers).append(technician)
    assert (len(winners), len(losers)) == (1, 1)
    await expect(losers[0].by("code-note")).to_contain_text("used already")


async def test_two_technicians_see_the_same_session_and_each_is_asked_for(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    ana, ben = await sign_in(broker, ANA), await sign_in(broker, BEN)
    session = await ana.join(await agent.code())
    await agent.allow(ANA)
    await ana.sees_picture()
    await ana.by("invite").click()
    await expect(ana.by("invite-code")).to_have_text(re.compile(r"^(\d{3} ?){4}$"))
    code = (await ana.by("invite-code").inner_text()).replace(" ", "")
    assert await ben.join(code) == session
    await ben.wait_status("live")
    assert await ben.frames() == 0
    await agent.allow(BEN)
    await ben.sees_picture()
    await expect(ana.by("participants")).to_contain_text(BEN)
    await ana.page.keyboard.press("Escape")
    await ben.say("hello both")
    await expect(ana.by("chat-log")).to_contain_text("hello both")
    await ana.by("leave").click()
    await ana.wait_status("ended")
    await ben.wait_status("live")
    kinds = await broker.kinds(session)
    assert kinds.count("consent-answered") == 2


async def test_a_killed_agent_is_said_and_ends_the_session_when_it_stays_away(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker(resume_s=4)
    agent, technician, session = await together(broker, start_agent, sign_in)
    await agent.kill()
    await technician.wait_status("paused")
    await expect(technician.by("veil")).to_contain_text("lost its connection")
    await technician.wait_status("ended")
    await expect(technician.by("veil")).to_contain_text("did not come back")
    assert (await broker.ended(session))["reason"] == "person-lost"


async def test_a_closed_tab_comes_back_without_a_new_question(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, session = await together(broker, start_agent, sign_in)
    await technician.say("before the tab closed")
    await expect(technician.by("chat-log").locator("[data-state=sent]")).to_have_count(1)
    url = technician.page.url
    await technician.page.close()
    await agent.next_line("nobody sees your screen now")
    again = Technician(broker, technician.context, await technician.context.new_page(), ANA)
    await again.page.goto(url)
    await again.sees_picture()
    await expect(again.by("chat-log")).to_contain_text("before the tab closed")
    assert (await broker.kinds(session)).count("consent-asked") == 1


async def test_signing_out_in_one_tab_stops_the_picture_in_another(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, _ = await together(broker, start_agent, sign_in)
    console = await technician.context.new_page()
    await console.goto(f"{broker.url}/console")
    await console.get_by_role("button", name="Sign out").click()
    await agent.next_line("nobody sees your screen now")
    await expect(technician.by("veil")).to_contain_text("You are signed out")


async def test_a_tab_that_stays_closed_ends_the_session(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker(resume_s=2)
    agent, technician, session = await together(broker, start_agent, sign_in)
    await technician.page.close()
    assert await agent.child.wait() == 0
    assert (await broker.ended(session))["reason"] == "technician-lost"


async def test_a_killed_broker_loses_no_acknowledged_chat_and_tells_the_truth_afterwards(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent, technician, session = await together(broker, start_agent, sign_in)
    for number in range(20):
        await technician.say(f"line {number}")
    await expect(technician.by("chat-log").locator("[data-state=sent]").first).to_be_visible()
    await broker.kill()
    await technician.wait_status("reconnecting")
    sent = await technician.by("chat-log").locator("[data-state=sent] .text").all_inner_texts()
    await agent.next_line("nobody sees your screen now")
    await broker.start()
    row = await broker.ended(session)
    assert row["reason"] == "broker-killed"
    events = await broker.events(session)
    recorded = [e["data"]["text"] for e in events if e["kind"] == "chat"]
    assert recorded[: len(sent)] == sent
    assert len(sent) >= 1
    await broker.verified()
    await expect(technician.by("veil")).to_contain_text("broker broke off", timeout=20_000)


async def test_a_browser_that_udp_does_not_reach_is_told_what_to_do(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker("--public-address", "127.0.0.99")
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    await technician.join(await agent.code())
    await agent.allow(ANA)
    veil = technician.by("veil")
    await expect(veil).to_contain_text(re.compile("UDP"), timeout=30_000)
    await expect(veil).to_contain_text(re.compile("firewall|network"))
    await agent.next_line("UDP", 30.0)


async def test_a_browser_without_webrtc_is_told_which_one_to_use(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker)
    technician = await sign_in(broker, ANA)
    await technician.context.add_init_script("delete globalThis.RTCPeerConnection")
    await technician.join(await agent.code())
    await expect(technician.by("veil")).to_contain_text("H.264 over WebRTC")


async def test_a_second_window_of_the_same_technician_replaces_the_first(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    _, technician, _ = await together(broker, start_agent, sign_in)
    second = Technician(broker, technician.context, await technician.context.new_page(), ANA)
    await second.page.goto(technician.page.url)
    await second.sees_picture()
    await expect(technician.by("veil")).to_contain_text("another window")


async def test_a_whole_session_in_spanish(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    agent = await start_agent(broker, options=["--lang", "es"])
    technician = await sign_in(broker, ANA, locale="es-ES")
    await technician.join(await agent.code())
    await technician.wait_status("decidiendo")
    await agent.next_line(r"¿permitir que Ana Ruiz \(Example\) vea tu pantalla\? \[s/N\]")
    await agent.child.type("s")
    await technician.sees_picture()
    await technician.wait_status("en directo")
    await agent.quit()
    await expect(technician.by("veil")).to_contain_text("La persona terminó la sesión")


@pytest.mark.parametrize("key", ["c", "f", "e"])
async def test_the_session_page_is_usable_by_keyboard(
    broker: Broker, start_agent: StartAgent, sign_in: SignIn, key: str
) -> None:
    _, technician, _ = await together(broker, start_agent, sign_in)
    await technician.page.keyboard.press(key)
    if key == "c":
        await expect(technician.by("chat-input")).to_be_focused()
        await technician.page.keyboard.type("by keyboard")
        await technician.page.keyboard.press("Enter")
        await expect(technician.by("chat-log")).to_contain_text("by keyboard")
        await technician.page.keyboard.press("Escape")
        await expect(technician.page.locator("#stage")).to_be_focused()
    if key == "f":
        await expect(technician.page.locator("#actual")).to_have_attribute("aria-pressed", "true")
    if key == "e":
        await expect(technician.by("end-confirm")).to_be_focused()
        await technician.page.keyboard.press("Enter")
        await technician.wait_status("ended")


async def test_a_session_over_ipv6_alone(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker("--host", "::1")
    await together(broker, start_agent, sign_in)


async def test_clients_are_sent_to_the_address_that_the_operator_states(
    start_broker: StartBroker, start_agent: StartAgent, sign_in: SignIn
) -> None:
    broker = await start_broker("--public-address", "127.0.0.1", "--public-address", "::1")
    await together(broker, start_agent, sign_in)
