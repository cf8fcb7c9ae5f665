"""The device key is made once, kept to its owner, and proves who is there."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.device import FACT_MAX, KEY_FILE, DeviceKey, KeyUnusable, facts, state_directory

NONCE = base64.b64encode(bytes(range(32))).decode()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    first = DeviceKey.load(directory)
    assert stat.S_IMODE((directory / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert DeviceKey.load(directory).public == first.public
    assert [f.name for f in directory.iterdir()] == [KEY_FILE]


def test_the_proof_signs_the_nonce_for_a_hello_and_nothing_else(tmp_path: Path) -> None:
    key = DeviceKey.load(tmp_path)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public))
    proof = base64.b64decode(key.proof(NONCE))
    public.verify(proof, b"ayuda-agent:" + bytes(range(32)))
    with pytest.raises(InvalidSignature):
        public.verify(proof, bytes(range(32)))


@pytest.mark.parametrize("nonce", ["not base64!", "AAA"])
def test_a_nonce_that_is_not_base64_is_refused(tmp_path: Path, nonce: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        DeviceKey.load(tmp_path).proof(nonce)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    DeviceKey.load(tmp_path)
    (tmp_path / KEY_FILE).chmod(0o644)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        DeviceKey.load(tmp_path)


def test_a_file_that_is_no_key_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / KEY_FILE
    file.write_text("not a key")
    file.chmod(0o600)
    with pytest.raises(KeyUnusable, match=r"move .* away"):
        DeviceKey.load(tmp_path)
    assert file.read_text() == "not a key"


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyUnusable):
        DeviceKey.load(tmp_path / "file" / "under")


def test_the_state_directory_follows_xdg(tmp_path: Path) -> None:
    assert state_directory({"XDG_STATE_HOME": "/s"}, tmp_path) == Path("/s/ayuda")
    assert state_directory({"XDG_STATE_HOME": "s"}, tmp_path) == tmp_path / ".local/state/ayuda"
    assert state_directory({}, tmp_path) == tmp_path / ".local/state/ayuda"


def test_facts_are_short_and_printable() -> None:
    found = facts("1920x1080", "Eva\x1b[2J" + "x" * 500)
    assert found.display == "1920x1080"
    assert found.user.startswith("Eva[2Jx")
    assert len(found.user) == FACT_MAX
    assert found.host
    assert found.system
    assert found.agent.startswith("ayuda-agent")
