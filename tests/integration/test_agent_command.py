"""The agent's command line: what it refuses, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.child import Child


async def refused(
    state: Path, *options: str, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    clean = {"DISPLAY": "", "XDG_SESSION_TYPE": "", "LC_ALL": "C"}
    child = await Child.start(
        ["agent.cli", "--text", "--state", str(state), *options], {**clean, **(environment or {})}
    )
    return await child.wait(), child.text


@pytest.mark.parametrize("host", ["192.168.1.2", "help.example.org", "127.0.0.1.example.org"])
async def test_plain_http_is_for_this_computer_alone(tmp_path: Path, host: str) -> None:
    status, text = await refused(tmp_path, "--broker", f"http://{host}:8080")
    assert status == 2
    assert "http is for this computer alone; use https" in text


@pytest.mark.parametrize(
    "address", ["", "127.0.0.1:8080", "ftp://a", "https://", "http://[::1", "http://a:99999"]
)
async def test_an_address_that_is_none_is_said(tmp_path: Path, address: str) -> None:
    status, text = await refused(tmp_path, "--broker", address)
    assert status == 2
    assert "give an address such as" in text


async def test_without_a_display_it_says_what_to_set(tmp_path: Path) -> None:
    status, text = await refused(tmp_path, "--broker", "http://127.0.0.1:1")
    assert status == 2
    assert "set DISPLAY or give --display" in text


async def test_a_wayland_desktop_is_refused_and_not_shown_black(tmp_path: Path) -> None:
    status, text = await refused(
        tmp_path,
        "--broker",
        "http://127.0.0.1:1",
        environment={"XDG_SESSION_TYPE": "wayland", "DISPLAY": ":0"},
    )
    assert status == 2
    assert "log in to an X11 (Xorg) session" in text


async def test_an_authority_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    options = ["--broker", "https://127.0.0.1:1", "--ca", str(tmp_path / "none.pem")]
    status, text = await refused(tmp_path, *options)
    assert status == 2
    assert "none.pem: cannot be read as PEM certificates" in text


async def test_usage_is_said_in_spanish_too(tmp_path: Path) -> None:
    options = ["--broker", "http://example.org", "--lang", "es"]
    status, text = await refused(tmp_path, *options)
    assert status == 2
    assert "http es solo para este equipo" in text


async def test_nobody_at_the_address_ends_with_1(
    tmp_path: Path, display: str, unused_tcp_port: int
) -> None:
    status, text = await refused(
        tmp_path,
        *("--broker", f"http://127.0.0.1:{unused_tcp_port}", "--display", display),
        *("--name", "Eva"),
    )
    assert status == 1
    assert "user Eva" in text
    assert "cannot reach the broker" in text
