"""The broker's commands: log, technician, doctor."""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path

import pytest

from broker.database import FILE_NAME
from broker.incidents.store import IncidentStore
from tests.support.certificate import certificate_for
from tests.support.child import Child
from tests.support.database import database, tamper

DEVICE = {"host": "desk-7", "user": "eva", "system": "Debian 12"}


async def run(*arguments: str, **environment: str) -> tuple[int, str]:
    """One command's exit status and output."""
    child = await Child.start(["broker.cli", *arguments], environment)
    status = await child.wait(60.0)
    assert "Traceback" not in child.text
    return status, child.text.strip()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A folder with two ended incidents."""
    async with database(tmp_path) as opened:
        store = IncidentStore(opened)
        for incident in ("first", "second"):
            await store.open(incident, DEVICE)
            joined = {"technician": "t1", "name": "Ana Ruiz"}
            await store.append(incident, "joined", "t1", joined)
            text = {"id": "c-1", "name": "Ana Ruiz", "text": f"about {incident}\x1b[2J"}
            await store.append(incident, "chat", "t1", text)
            await store.end(incident, "person", {"reason": "person-ended"})
    return tmp_path


async def test_the_log_is_listed_shown_and_searched(data: Path) -> None:
    status, text = await run("log", "list", "--data", str(data))
    assert status == 0
    assert [line.split()[0] for line in text.splitlines()] == ["second", "first"]
    status, text = await run("log", "list", "about", "first", "--data", str(data), "--json")
    assert [row["id"] for row in json.loads(text)] == ["first"]
    status, text = await run("log", "show", "first", "--data", str(data))
    assert status == 0
    assert "eva@desk-7" in text
    assert "Ana Ruiz: about first" in text
    assert "\x1b" not in text


async def test_what_is_not_there_is_said(data: Path, tmp_path: Path) -> None:
    assert await run("log", "show", "third", "--data", str(data)) == (
        1,
        "there is no incident third; see `log list`",
    )
    status, text = await run("log", "list", "--data", str(tmp_path / "nowhere"))
    assert status == 1
    assert "--data" in text
    assert not (tmp_path / "nowhere").exists()


async def test_an_untouched_log_verifies_and_a_tampered_one_does_not(data: Path) -> None:
    status, text = await run("log", "verify", "--data", str(data))
    assert (status, text[:9]) == (0, "verified:")
    tamper(data, "UPDATE events SET data = replace(data, 'first', 'last') WHERE seq = 3")
    status, text = await run("log", "verify", "--data", str(data), "--json")
    assert status == 1
    assert [problem["seq"] for problem in json.loads(text)["problems"]] == [3]


async def test_an_exported_incident_proves_itself_elsewhere(data: Path, tmp_path: Path) -> None:
    status, text = await run("log", "export", "--incident", "first", "--data", str(data))
    assert status == 0
    file = tmp_path / "first.jsonl"
    file.write_text(text + "\n")
    assert (await run("log", "verify", "--export", str(file)))[0] == 0
    file.write_text(text.replace("about first", "about nobody"))
    assert (await run("log", "verify", "--export", str(file)))[0] == 1
    file.write_text("no json\n")
    assert (await run("log", "verify", "--export", str(file)))[0] == 1


async def test_a_technician_who_could_deceive_is_refused(tmp_path: Path) -> None:
    status, text = await run("technician", "add", "Ana\x1b[1m", "--data", str(tmp_path))
    assert status == 2
    assert "invisible" in text


async def test_a_healthy_machine_gets_a_clean_bill(data: Path, tmp_path: Path) -> None:
    certificate, key = certificate_for("127.0.0.1", tmp_path / "tls")
    status, text = await run(
        *("doctor", "--port", "0", "--data", str(data)),
        *("--certificate", str(certificate), "--key", str(key)),
        DISPLAY="",
    )
    assert status == 0, text
    for check in ("TCP port", "UDP port", "certificate", "database", "clock", "display", "codecs"):
        assert f"OK       {check}: " in text


async def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(
    data: Path, tmp_path: Path
) -> None:
    old, key = certificate_for("127.0.0.1", tmp_path / "old", days=-3)
    connection = sqlite3.connect(data / FILE_NAME)
    connection.execute("UPDATE chain_head SET hash = 'x'")
    connection.commit()
    connection.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, text = await run(
            *("doctor", "--json", "--port", port, "--udp-port", "0", "--data", str(data)),
            *("--certificate", str(old), "--key", str(key)),
            DISPLAY=":9876",
        )
    assert status == 1
    wrong = {found["check"]: found["text"] for found in json.loads(text) if not found["ok"]}
    assert wrong.keys() == {"TCP port", "certificate", "database", "display"}
    assert "renew" in wrong["certificate"]
    assert "log verify" in wrong["database"]
    assert "another port" in wrong["TCP port"]
