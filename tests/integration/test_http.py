"""What every HTTP answer has, and what every request must have."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from broker.people.sign_in import People
from tests.conftest import StartBroker
from tests.support.broker import Broker
from tests.support.certificate import certificate_for
from tests.support.child import Child
from tests.support.database import database
from tests.support.raw_technician import signed_in


async def test_every_answer_has_its_security_headers(broker: Broker) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/sign-in", "/static/js/page.js", "/api/me", "/nothing", "/healthz"):
            async with session.get(f"{broker.url}{path}") as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "Strict-Transport-Security" not in answer.headers
                assert "aiohttp" not in answer.headers["Server"]


async def test_health_readiness_and_metrics_are_told(broker: Broker) -> None:
    async with aiohttp.ClientSession() as session:
        for path, word in (
            ("/healthz", "ok"),
            ("/readyz", "ready"),
            ("/metrics", 'ayuda_sessions{state="live"} 0.0'),
        ):
            async with session.get(f"{broker.url}{path}") as answer:
                assert answer.status == 200
                assert word in await answer.text()


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1"])
async def test_a_post_of_another_origin_is_refused(broker: Broker, origin: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    async with aiohttp.ClientSession() as session:
        for path in ("/api/sign-in", "/api/sign-out", "/api/codes"):
            async with session.post(f"{broker.url}{path}", json={}, headers=headers) as answer:
                assert answer.status == 403
                assert (await answer.json())["error"] == "origin"


async def test_who_is_not_signed_in_gets_nothing(broker: Broker) -> None:
    async with aiohttp.ClientSession(headers={"Origin": broker.url}) as session:
        for path in ("/api/me", "/api/incidents", "/api/incidents/x"):
            async with session.get(f"{broker.url}{path}") as answer:
                assert answer.status == 401
        body = {"code": "0" * 12}
        async with session.post(f"{broker.url}/api/codes", json=body) as answer:
            assert (await answer.json())["error"] == "sign-in"
        for path in ("/ws/console", "/ws/session/x"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                async with session.ws_connect(f"{broker.url}{path}"):
                    pass
            assert caught.value.status == 401


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"code":1}', b'{"code":"12"}', b'{"code":"000000000000","x":1}', b"\xff"],
)
async def test_a_body_that_is_not_right_is_refused_in_words(broker: Broker, body: bytes) -> None:
    async with signed_in(broker, "Ana Ruiz") as technician:
        kind = {"Content-Type": "application/json"}
        url = f"{broker.url}/api/codes"
        async with technician.post(url, data=body, headers=kind) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"] == "bad-message"
        async with technician.post(url, data=b"x" * 100_000, headers=kind) as answer:
            assert answer.status == 413


async def test_a_guesser_is_stopped(broker: Broker) -> None:
    async with signed_in(broker, "Ana Ruiz") as technician:
        for _ in range(10):
            async with technician.post(
                f"{broker.url}/api/codes", json={"code": "000000000000"}
            ) as answer:
                assert (await answer.json())["error"] == "wrong-code"
        async with technician.post(
            f"{broker.url}/api/codes", json={"code": "000000000000"}
        ) as answer:
            assert answer.status == 429


async def test_static_files_do_not_lead_out_of_their_folder(broker: Broker) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/static/js/../../broker/cli.py", "/static/js/%2e%2e/%2e%2e/pyproject.toml"):
            async with session.get(f"{broker.url}{path}") as answer:
                assert answer.status in (403, 404)


async def test_with_a_certificate_it_speaks_tls_and_cookies_are_secure(
    tmp_path: Path, start_broker: StartBroker
) -> None:
    certificate, key = certificate_for("127.0.0.1", tmp_path / "tls")
    broker = await start_broker("--certificate", str(certificate), "--key", str(key))
    token = (await broker.sign_in_link("Ana Ruiz")).partition("#")[2]
    assert broker.url.startswith("https://")
    headers = {"Origin": broker.url}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{broker.url}/api/sign-in", json={"token": token}, ssl=False) as answer,
    ):
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "Strict-Transport-Security" in answer.headers


async def test_without_a_certificate_it_says_why_it_stays_on_loopback(tmp_path: Path) -> None:
    child = await Child.start(
        ["broker.cli", "serve", "--host", "0.0.0.0", "--data", str(tmp_path / "data")]
    )
    assert await child.wait() == 1
    assert "--certificate" in child.text
    assert "Traceback" not in child.text


async def test_a_port_that_is_taken_is_said(broker: Broker, tmp_path: Path) -> None:
    for option, port in (("--port", broker.port), ("--udp-port", broker.udp_port)):
        other = "--udp-port" if option == "--port" else "--port"
        data = str(tmp_path / option)
        child = await Child.start(
            ["broker.cli", "serve", option, str(port), other, "0", "--data", data]
        )
        assert await child.wait() == 1
        assert str(port) in child.text
        assert option in child.text
        assert "Traceback" not in child.text


async def test_both_ip_versions_are_served(start_broker: StartBroker) -> None:
    broker = await start_broker("--host", "::1")
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{broker.url}/healthz") as answer,
    ):
        assert answer.status == 200


async def test_links_name_the_running_broker(broker: Broker) -> None:
    assert (await broker.sign_in_link("Ana Ruiz")).startswith(f"{broker.url}/sign-in#")
    status, listed = await broker.command("technician", "list")
    assert status == 0
    assert "Ana Ruiz" in listed
    async with database(broker.data) as opened:
        assert [account.name for account in await People(opened).everybody()] == ["Ana Ruiz"]
