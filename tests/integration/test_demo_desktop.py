"""The demo's virtual desktop: real programs on a real X server, and none left over."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from broker.demo import desktop
from broker.demo.children import StartFailed, child
from broker.demo.desktop import is_reachable, virtual_desktop
from broker.demo.pixels import brightness_of_display


def programs() -> set[str]:
    return {one.name() for one in psutil.Process().children(recursive=True)}


def test_a_desktop_shows_windows_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = os.environ.get("XAUTHORITY")
    with virtual_desktop(tmp_path, "640x480x24") as display:
        assert is_reachable(display)
        assert {"Xvfb", "openbox", "xterm", "xclock", "xeyes"} <= programs()
        assert brightness_of_display(display).size == (640, 480)
        cookie = tmp_path / "Xauthority"
        assert stat.S_IMODE(cookie.stat().st_mode) == 0o600
    assert programs() == set()
    assert not is_reachable(display)
    assert not cookie.exists()
    assert os.environ.get("XAUTHORITY") == before


def test_a_program_without_the_cookie_sees_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with virtual_desktop(tmp_path, "640x480x24") as display, monkeypatch.context() as other:
        other.setenv("XAUTHORITY", str(tmp_path / "none"))
        assert not is_reachable(display)


def test_a_desktop_that_starts_halfway_is_ended_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop, "_PROGRAMS", (("openbox",), ("no-such-program",)))
    with pytest.raises(StartFailed, match="no-such-program"), virtual_desktop(tmp_path):
        pass
    assert programs() == set()


def test_a_server_that_does_not_start_is_said(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"desktop\.log"), virtual_desktop(tmp_path, "wrong"):
        pass
    assert programs() == set()


def test_a_program_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
    with child(command, log=tmp_path / "log", end_s=0.3) as process:
        while b"ready" not in (tmp_path / "log").read_bytes():
            time.sleep(0.01)
    assert process.returncode == -9


def test_nobody_is_reached_where_no_display_is() -> None:
    assert not is_reachable("")
    assert not is_reachable(":9999")


def test_other_processes_are_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        with virtual_desktop(tmp_path, "640x480x24"):
            time.sleep(0.01)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
