"""Signalling: strict, bounded, versioned, and fair about whose session it is."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import StartBroker
from tests.support.broker import Broker
from tests.support.raw_agent import raw_agent
from tests.support.raw_technician import signed_in


async def test_an_agent_gets_a_session_and_a_code(broker: Broker) -> None:
    async with raw_agent(broker) as agent:
        await agent.hello()
        assert (await agent.until("agent-welcome"))["resumed"] is False
        assert (await agent.until("session"))["state"] == "waiting"
        assert len((await agent.until("code"))["code"]) == 12


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 2}, "version"),
        ({"version": 0}, "version"),
        ({"proof": "AAAA"}, "bad-proof"),
        ({"device_key": "AAAA"}, "bad-proof"),
        ({"extra": 1}, "bad-message"),
        ({"language": "fr"}, "bad-message"),
        ({"type": "end"}, "bad-message"),
        ({"facts": {"host": "x" * 300}}, "bad-message"),
    ],
)
async def test_a_wrong_hello_is_answered_with_its_reason(
    broker: Broker, changes: dict[str, Any], reason: str
) -> None:
    async with raw_agent(broker) as agent:
        await agent.hello(**changes)
        refused = await agent.until("refused")
        assert refused["reason"] == reason
        assert refused["fatal"] is True
        assert len(refused["message"]) > 20
        assert (await agent.receive())["type"] == "closed"
    assert await broker.incidents() == []


async def test_a_proof_for_one_challenge_is_none_for_another(broker: Broker) -> None:
    key = Ed25519PrivateKey.generate()
    async with raw_agent(broker, key) as first, raw_agent(broker, key) as second:
        heard = await first.until("challenge")
        await second.hello(proof=first.proof(heard["nonce"]))
        assert (await second.until("refused"))["reason"] == "bad-proof"


@pytest.mark.parametrize(
    "frame",
    ["", "{", "[]", '{"type":"nothing"}', '{"type":"decide"}', '{"type":"hello","version":1}'],
)
async def test_nonsense_in_the_middle_ends_that_link_only(broker: Broker, frame: str) -> None:
    key = Ed25519PrivateKey.generate()
    async with raw_agent(broker, key) as agent:
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
        await agent.until("code")
        await agent.socket.send_str(frame)
        assert (await agent.until("refused"))["reason"] == "bad-message"
    async with raw_agent(broker, key) as again:
        await again.hello(resume=session)
        assert (await again.until("agent-welcome"))["resumed"] is True


async def test_frames_that_are_too_large_or_binary_end_the_link(broker: Broker) -> None:
    for send in ("large", "binary"):
        async with raw_agent(broker) as agent:
            await agent.hello()
            await agent.until("code")
            if send == "large":
                await agent.socket.send_str('{"type":"end"}' + " " * 200_000)
            else:
                await agent.socket.send_bytes(b'{"type":"end"}')
            while (message := await agent.receive())["type"] != "closed":
                assert message["type"] == "refused"


async def test_a_session_is_resumed_by_its_own_device_only(broker: Broker) -> None:
    key = Ed25519PrivateKey.generate()
    async with raw_agent(broker, key) as agent:
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
    async with raw_agent(broker) as stranger:
        await stranger.hello(resume=session)
        welcome = await stranger.until("agent-welcome")
        assert welcome["resumed"] is False
        assert welcome["session"] != session
    async with raw_agent(broker, key) as again:
        await again.hello(resume=session)
        assert (await again.until("agent-welcome")) == {
            "type": "agent-welcome",
            "session": session,
            "resumed": True,
        }


async def test_after_the_time_to_resume_it_is_over(start_broker: StartBroker) -> None:
    broker = await start_broker(resume_s=0.5)
    key = Ed25519PrivateKey.generate()
    async with raw_agent(broker, key) as agent:
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
    row = await broker.ended(session)
    assert row["reason"] == "person-lost"
    async with raw_agent(broker, key) as late:
        await late.hello(resume=session)
        assert (await late.until("agent-welcome"))["resumed"] is False


async def test_a_newer_link_of_the_same_device_replaces_the_older(broker: Broker) -> None:
    key = Ed25519PrivateKey.generate()
    async with raw_agent(broker, key) as older:
        await older.hello()
        session = (await older.until("agent-welcome"))["session"]
        async with raw_agent(broker, key) as newer:
            await newer.hello(resume=session)
            assert (await newer.until("agent-welcome"))["resumed"] is True
            assert (await older.until("refused"))["reason"] == "replaced"


async def test_a_request_that_nobody_answers_ends_by_itself(start_broker: StartBroker) -> None:
    broker = await start_broker(wait_s=0.5)
    async with raw_agent(broker) as agent:
        await agent.hello()
        assert (await agent.until("ended"))["reason"] == "nobody-came"
        assert (await agent.receive())["type"] == "closed"


async def test_an_undecided_question_ends_by_itself(start_broker: StartBroker) -> None:
    broker = await start_broker(ask_s=0.5)
    async with raw_agent(broker) as agent, signed_in(broker, "Ana Ruiz") as technician:
        await agent.hello()
        code = (await agent.until("code"))["code"]
        async with technician.post(f"{broker.url}/api/codes", json={"code": code}) as answer:
            assert answer.status == 200
        assert (await agent.until("ask"))["technician"]["name"] == "Ana Ruiz"
        assert (await agent.until("ended"))["reason"] == "not-answered"


async def test_stopping_the_broker_ends_sessions_with_the_true_reason(broker: Broker) -> None:
    async with raw_agent(broker) as agent:
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
        await agent.until("code")
        broker.process.signal(signal.SIGTERM)
        assert (await agent.until("ended"))["reason"] == "broker-stopped"
    assert await broker.process.wait() == 0
    (row,) = await broker.incidents()
    assert (row["id"], row["reason"]) == (session, "broker-stopped")


async def test_too_many_links_of_one_address_are_refused(start_broker: StartBroker) -> None:
    broker = await start_broker(max_links_per_address=2)
    async with raw_agent(broker), raw_agent(broker):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with raw_agent(broker):
                pass
        assert caught.value.status == 503
    async with raw_agent(broker) as agent:
        await agent.until("challenge")


async def test_a_full_broker_says_that_it_is_busy(start_broker: StartBroker) -> None:
    broker = await start_broker(max_sessions=1)
    async with raw_agent(broker) as first, raw_agent(broker) as second:
        await first.hello()
        await first.until("code")
        await second.hello()
        assert (await second.until("refused"))["reason"] == "busy"


async def test_a_foreign_page_cannot_open_any_link(broker: Broker) -> None:
    async with signed_in(broker, "Ana Ruiz") as technician:
        for path in ("/ws/agent", "/ws/console", "/ws/session/x"):
            for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
                with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                    async with technician.ws_connect(
                        f"{broker.url}{path}", headers={"Origin": origin}
                    ):
                        pass
                assert caught.value.status == 403


async def test_a_console_lists_only_its_own_sessions_live(broker: Broker) -> None:
    hello = {"type": "hello", "version": 1, "product": "raw"}
    async with (
        raw_agent(broker) as agent,
        signed_in(broker, "Ana Ruiz") as ana,
        signed_in(broker, "Ben Okoro") as ben,
        ana.ws_connect(f"{broker.url}/ws/console") as hers,
        ben.ws_connect(f"{broker.url}/ws/console") as his,
    ):
        for socket in (hers, his):
            await socket.send_json(hello)
            assert json.loads((await socket.receive()).data)["type"] == "viewer-welcome"
            assert json.loads((await socket.receive()).data)["sessions"] == []
        await agent.hello()
        code = (await agent.until("code"))["code"]
        await ana.post(f"{broker.url}/api/codes", json={"code": code})
        rows = json.loads((await hers.receive(timeout=5.0)).data)["sessions"]
        assert [(row["user"], row["state"]) for row in rows] == [("eva", "asked")]
        await agent.socket.send_json({"type": "end"})
        await agent.until("ended")
        while rows:
            rows = json.loads((await hers.receive(timeout=5.0)).data)["sessions"]
        with pytest.raises(asyncio.TimeoutError):
            await his.receive(timeout=0.3)


async def test_who_comes_after_the_end_is_told_how_it_ended(broker: Broker) -> None:
    hello = {"type": "hello", "version": 1, "product": "raw"}
    async with (
        raw_agent(broker) as agent,
        signed_in(broker, "Ana Ruiz") as ana,
        signed_in(broker, "Ben Okoro") as ben,
    ):
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
        code = (await agent.until("code"))["code"]
        await ana.post(f"{broker.url}/api/codes", json={"code": code})
        who = (await agent.until("ask"))["technician"]["id"]
        await agent.socket.send_json({"type": "decide", "participant": who, "allowed": False})
        await agent.until("ended")
        for technician, told in ((ana, ("ended", "declined")), (ben, ("refused", "session-over"))):
            async with technician.ws_connect(f"{broker.url}/ws/session/{session}") as socket:
                await socket.send_json(hello)
                assert json.loads((await socket.receive()).data)["type"] == "viewer-welcome"
                last = json.loads((await socket.receive()).data)
                assert (last["type"], last["reason"]) == told


async def test_a_stopping_broker_does_not_wait_for_open_pages(broker: Broker) -> None:
    hello = {"type": "hello", "version": 1, "product": "raw"}
    async with (
        signed_in(broker, "Ana Ruiz") as ana,
        ana.ws_connect(f"{broker.url}/ws/console") as console,
    ):
        await console.send_json(hello)
        await console.receive()
        await console.receive()
        broker.process.signal(signal.SIGTERM)
        last = json.loads((await console.receive(timeout=4.0)).data)
        assert (last["type"], last["reason"]) == ("refused", "stopping")
        assert await broker.process.wait(timeout_s=8.0) == 0


async def test_who_is_not_allowed_in_yet_can_invite_nobody(broker: Broker) -> None:
    hello = {"type": "hello", "version": 1, "product": "raw"}
    async with raw_agent(broker) as agent, signed_in(broker, "Ana Ruiz") as ana:
        await agent.hello()
        session = (await agent.until("agent-welcome"))["session"]
        code = (await agent.until("code"))["code"]
        await ana.post(f"{broker.url}/api/codes", json={"code": code})
        async with ana.ws_connect(f"{broker.url}/ws/session/{session}") as socket:
            for message in (hello, {"type": "invite"}, {"type": "offer", "sdp": "v=0"}):
                await socket.send_json(message)
            refused: list[str] = []
            while len(refused) < 2:
                message = json.loads((await socket.receive(timeout=5.0)).data)
                if message["type"] == "refused":
                    refused.append(message["reason"])
            assert refused == ["not-allowed", "not-allowed"]
