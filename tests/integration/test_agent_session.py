"""The real agent with the real broker: consent, picture, chat, and every way it ends."""

from __future__ import annotations

import asyncio
import signal

from broker.protocol import EndReason, State
from tests.conftest import StartAgent, StartBroker
from tests.integration.protocol_technician import ProtocolTechnician
from tests.support.broker import Broker

ANA = "Ana Ruiz"
SEEN = r"Ana Ruiz \(Example\) can see your screen now; q and Enter stops it"
UNSEEN = "nobody sees your screen now"


async def test_the_picture_flows_after_the_yes_and_stops_at_q(
    broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await technician.until(lambda t: t.session and t.session.state is State.ASKED)
        assert technician.packets == 0
        await agent.allow(r"Ana Ruiz \(Example\)")
        await agent.child.line(SEEN)
        await technician.until(lambda t: t.packets > 0)
        await agent.quit()
        await agent.child.line(UNSEEN)
        await technician.until(lambda t: t.ended)
        assert technician.ended
        assert technician.ended.reason is EndReason.PERSON_ENDED
        assert await agent.child.wait() == 0
        stopped = technician.packets
        await asyncio.sleep(0.5)
        assert technician.packets == stopped


async def test_nothing_flows_after_a_no(broker: Broker, start_agent: StartAgent) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.deny(ANA)
        await technician.until(lambda t: t.ended)
        assert technician.ended
        assert technician.ended.reason is EndReason.DECLINED
        assert await agent.child.wait() == 0
        assert technician.packets == 0
        assert "can see your screen" not in agent.child.text


async def test_chat_goes_both_ways_and_counts_when_recorded(
    broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.allow(ANA)
        await technician.until(lambda t: t.packets > 0)
        technician.say("text-from-ana", "what do you see?\x1b[2J")
        await agent.child.line(r"Ana Ruiz: what do you see\?$")
        await technician.until(lambda t: t.said == ["text-from-ana"])
        await agent.child.type("a printer, señora")
        await technician.until(lambda t: "a printer, señora" in t.heard)
        await agent.child.line("you: a printer, señora")


async def test_who_is_sent_away_sees_nothing_more_and_the_other_stays(
    broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as ana:
        await agent.allow(ANA)
        await ana.until(lambda t: t.packets > 0)
        await agent.child.type("n")
        async with ProtocolTechnician.join(broker, "Ben Okoro", await agent.code()) as ben:
            await agent.allow("Ben Okoro")
            await ben.until(lambda t: t.packets > 0)
            await agent.child.line(r"Ana Ruiz \(Example\) and Ben Okoro \(Example\) can see")
            await agent.child.type("d")
            await agent.child.line("send whom away")
            await agent.child.type("1")
            await ana.until(lambda t: t.ended)
            await agent.child.line(r"^\S+ Ben Okoro \(Example\) can see your screen now")
            seen = ben.packets
            await ben.until(lambda t: t.packets > seen)


async def test_a_technician_whose_link_drops_sees_nothing_until_it_is_back(
    broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.allow(ANA)
        await technician.until(lambda t: t.packets > 0)
    await agent.child.line(UNSEEN)
    await agent.child.line("connection of Ana Ruiz is down")


async def test_a_killed_broker_stops_the_picture_and_a_new_one_gives_a_new_code(
    broker: Broker, start_agent: StartAgent
) -> None:
    agent = await start_agent(broker)
    first = await agent.code()
    async with ProtocolTechnician.join(broker, ANA, first) as technician:
        await agent.allow(ANA)
        await agent.child.line(SEEN)
        await technician.until(lambda t: t.packets > 0)
        await broker.kill()
        await agent.child.line(UNSEEN)
        await agent.child.line("connection to the broker is lost; your screen is not sent")
    await broker.start()
    await agent.child.line("the session before is over")
    assert await agent.code() != first
    assert agent.child.text.count("can see your screen now") == 1


async def test_a_closed_terminal_ends_the_session(broker: Broker, start_agent: StartAgent) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.allow(ANA)
        await technician.until(lambda t: t.packets > 0)
        agent.child.close_input()
        await agent.child.line("nobody can answer here any more")
        await technician.until(lambda t: t.ended)
        assert await agent.child.wait() == 0


async def test_a_signal_ends_the_session_as_q_does(broker: Broker, start_agent: StartAgent) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.allow(ANA)
        await technician.until(lambda t: t.packets > 0)
        agent.child.signal(signal.SIGTERM)
        await technician.until(lambda t: t.ended)
        assert technician.ended
        assert technician.ended.reason is EndReason.PERSON_ENDED
        assert await agent.child.wait() == 0


async def test_a_withdrawn_question_is_taken_back(broker: Broker, start_agent: StartAgent) -> None:
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as ana:
        await agent.allow(ANA)
        await ana.until(lambda t: t.packets > 0)
        await agent.child.type("n")
        async with ProtocolTechnician.join(broker, "Ben Okoro", await agent.code()) as ben:
            await agent.child.line("allow Ben Okoro")
            await ben.leave()
            await agent.child.line("the question about Ben Okoro no longer stands")
            await agent.child.type("y")
            await agent.child.line("nothing is being asked now")
            assert ben.packets == 0


async def test_without_udp_the_person_is_told_why_nothing_is_seen(
    start_broker: StartBroker, start_agent: StartAgent
) -> None:
    # 192.0.2.0/24 belongs to nobody (RFC 5737): no packet to it comes back.
    broker = await start_broker("--public-address", "192.0.2.1")
    agent = await start_agent(broker)
    async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
        await agent.allow(ANA)
        await agent.child.line("UDP does not reach the broker")
        await technician.until(lambda t: t.session and t.session.person_trouble)
        assert "can see your screen" not in agent.child.text
