"""The agent on a host of its own, over TLS, with a cable that can be pulled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.conftest import SignIn, StartAgent, StartBroker
from tests.support.agent import Agent
from tests.support.broker import Broker
from tests.support.certificate import certificate_for
from tests.support.child import Child
from tests.support.netns import Host, host

ANA = "Ana Ruiz"
CUT_S = 10.0


@pytest.fixture
def far() -> Iterator[Host]:
    """Where the agent is."""
    with host() as made:
        yield made


async def start(
    far: Host, tmp_path: Path, start_broker: StartBroker, start_agent: StartAgent
) -> tuple[Broker, Agent]:
    """A broker with a certificate, and an agent on the other host that trusts it."""
    certificate, key = certificate_for(far.our_address, tmp_path / "tls")
    broker = await start_broker(
        *("--host", far.our_address, "--certificate", str(certificate), "--key", str(key))
    )
    assert broker.url.startswith("https://")
    options = ["--ca", str(certificate)]
    return broker, await start_agent(broker, options=options, prefix=far.prefix)


async def test_a_link_cut_for_ten_seconds_comes_back_without_a_new_question(
    far: Host,
    tmp_path: Path,
    display: str,
    start_broker: StartBroker,
    start_agent: StartAgent,
    sign_in: SignIn,
) -> None:
    broker, agent = await start(far, tmp_path, start_broker, start_agent)
    moving = ["tests.support.pattern", "640", "360", "0.1"]
    pattern = await Child.start(moving, {"DISPLAY": display})
    technician = await sign_in(broker, ANA, ignore_https_errors=True)
    session = await technician.join(await agent.code())
    await agent.allow(ANA)
    await technician.sees_picture()
    far.cut()
    await technician.wait_status("paused")
    await expect(technician.by("veil")).to_contain_text("lost its connection")
    await agent.next_line("nobody sees your screen now")
    await asyncio.sleep(CUT_S)
    far.mend()
    await technician.wait_status("live", timeout_ms=40_000)
    await agent.next_line("Ana Ruiz .* can see your screen now", 40.0)
    await expect(technician.by("veil")).to_be_hidden(timeout=20_000)
    before = await technician.frames()
    await asyncio.sleep(2.0)
    assert await technician.frames() > before
    await technician.say("still here")
    await agent.next_line("Ana Ruiz: still here")
    kinds = await broker.kinds(session)
    assert kinds.count("consent-asked") == 1
    states = [
        (event["data"]["who"], event["data"]["state"])
        for event in await broker.events(session)
        if event["kind"] == "connection"
    ]
    assert ("person", "lost") in states
    assert states[-1] == ("person", "back")
    await broker.verified()
    await pattern.end()


async def test_a_link_that_stays_cut_ends_the_session_on_both_sides(
    far: Host,
    tmp_path: Path,
    start_broker: StartBroker,
    start_agent: StartAgent,
    sign_in: SignIn,
) -> None:
    broker, agent = await start(far, tmp_path, start_broker, start_agent)
    technician = await sign_in(broker, ANA, ignore_https_errors=True)
    session = await technician.join(await agent.code())
    (cookie,) = await technician.context.cookies()
    assert cookie["secure"]
    await agent.allow(ANA)
    await technician.sees_picture()
    far.cut()
    await agent.next_line("nobody sees your screen now")
    await technician.wait_status("ended", timeout_ms=90_000)
    await expect(technician.by("veil")).to_contain_text("did not come back")
    assert (await broker.ended(session))["reason"] == "person-lost"
    await agent.next_line("so the session is over", 90.0)
