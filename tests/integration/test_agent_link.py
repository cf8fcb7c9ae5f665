"""The real agent when its link is cut: the picture stops at once, and comes back by itself."""

from __future__ import annotations

from broker.protocol import EndReason, State
from tests.conftest import StartAgent, StartBroker
from tests.integration.cut import Cut
from tests.integration.protocol_technician import ProtocolTechnician
from tests.support.broker import Broker

ANA = "Ana Ruiz"
LOST = "connection to the broker is lost; your screen is not sent"


def is_paused(technician: ProtocolTechnician) -> bool:
    """Whether the technician was told that a link is down."""
    return technician.session is not None and technician.session.state is State.PAUSED


async def test_a_cut_link_resumes_without_a_new_question(
    broker: Broker, start_agent: StartAgent
) -> None:
    async with Cut.before(broker.port) as (link, url):
        agent = await start_agent(broker, url=url)
        async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
            await agent.allow(ANA)
            await technician.until(lambda t: t.packets > 0)
            link.cut()
            await agent.child.line("nobody sees your screen now")
            await agent.child.line(LOST)
            await technician.until(is_paused)
            await agent.child.type("are you still there?")
            await agent.child.line("not sent yet.*are you still there")
            seen = technician.packets
            link.mend()
            await agent.child.line("connected again; the session goes on")
            await technician.until(lambda t: t.packets > seen)
            await agent.child.line("you: are you still there")
            await technician.until(lambda t: t.heard)
            assert technician.heard == ["are you still there?"]
            assert agent.child.text.count("you allowed Ana Ruiz") == 1


async def test_a_question_that_was_open_is_put_again(
    broker: Broker, start_agent: StartAgent
) -> None:
    async with Cut.before(broker.port) as (link, url):
        agent = await start_agent(broker, url=url)
        async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
            await agent.child.line("allow Ana Ruiz")
            link.cut()
            await agent.child.line("the question about Ana Ruiz no longer stands")
            await agent.child.type("y")
            await agent.child.line("nothing is being asked now")
            printed = len(agent.child.lines)
            link.mend()
            await agent.child.line("allow Ana Ruiz", printed)
            assert technician.packets == 0
            await agent.child.type("y")
            await technician.until(lambda t: t.packets > 0)


async def test_who_is_sent_away_while_the_link_is_cut_does_not_come_back(
    broker: Broker, start_agent: StartAgent
) -> None:
    async with Cut.before(broker.port) as (link, url):
        agent = await start_agent(broker, url=url)
        async with ProtocolTechnician.join(broker, ANA, await agent.code()) as technician:
            await agent.allow(ANA)
            await technician.until(lambda t: t.packets > 0)
            link.cut()
            await agent.child.line(LOST)
            await technician.until(is_paused)  # what was on its way has arrived
            await agent.child.type("d")
            await agent.child.line("you sent Ana Ruiz away")
            seen = technician.packets
            link.mend()
            await technician.until(lambda t: t.ended)
            assert technician.ended
            assert technician.ended.reason is EndReason.PERSON_ENDED
            assert technician.packets == seen


async def test_a_session_that_is_over_is_not_resumed(
    start_broker: StartBroker, start_agent: StartAgent
) -> None:
    broker = await start_broker(resume_s=1)
    async with Cut.before(broker.port) as (link, url):
        agent = await start_agent(broker, url=url)
        first = await agent.code()
        async with ProtocolTechnician.join(broker, ANA, first) as technician:
            await agent.allow(ANA)
            await technician.until(lambda t: t.packets > 0)
            link.cut()
            await technician.until(lambda t: t.ended)
            link.mend()
            await agent.child.line("the session before is over; this is a new one")
            assert await agent.code() != first
