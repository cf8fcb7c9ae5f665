"""This device: its key, and the facts that its person is shown before they are sent."""

from __future__ import annotations

import base64
import getpass
import os
import platform
import secrets
import stat
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from broker.protocol import DeviceFacts

KEY_FILE: Final = "device.key"
PROOF_PREFIX: Final = b"ayuda-agent:"
"""Comes before what the broker wants signed: good for nothing but a hello."""

FACT_MAX: Final = 200
"""Longest fact, in characters (`protocol.ShortText`)."""


class KeyUnusable(Exception):
    """The device key cannot be read or made; the text says what to do."""


class DeviceKey:
    """The Ed25519 key (RFC 8032) that makes this device the same one again."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = base64.b64encode(key.public_key().public_bytes_raw()).decode()

    @classmethod
    def load(cls, directory: Path) -> DeviceKey:
        """The key in `directory`, made if there is none.

        Raises KeyUnusable.
        """
        file = directory / KEY_FILE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                _create(file)
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & 0o077:
                raise KeyUnusable(f"others may read it; run: chmod 600 {file}")
            return cls(_read(file))
        except OSError as error:
            raise KeyUnusable(error.strerror or str(error)) from None

    def proof(self, nonce: str) -> str:
        """The signature that answers a challenge; both in base64.

        Raises ValueError if the nonce is not base64.
        """
        data = base64.b64decode(nonce, validate=True)
        return base64.b64encode(self._key.sign(PROOF_PREFIX + data)).decode()


def state_directory(environment: Mapping[str, str], home: Path) -> Path:
    """Where the key is kept (XDG Base Directory Specification: state)."""
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else home / ".local/state") / "ayuda"


def facts(display: str, name: str | None) -> DeviceFacts:
    """What is told about this device. `name` is what the person is called."""
    return DeviceFacts(
        host=_short(platform.node() or "?"),
        user=_short(name or _user()),
        system=_short(_system()),
        display=_short(display),
        agent=product(),
    )


def product() -> str:
    """Name and version of this program."""
    try:
        return f"ayuda-agent {metadata.version('ayuda')}"
    except metadata.PackageNotFoundError:  # run from a source tree
        return "ayuda-agent"


def _create(file: Path) -> None:
    """Write a new key. Whole or not at all, and of two writers one wins."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    draft = file.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, file)
    except FileExistsError:
        pass  # another agent was faster; its key is this device's
    finally:
        draft.unlink()


def _read(file: Path) -> Ed25519PrivateKey:
    advice = f"it is not an Ed25519 key; move {file} away and a new one is made"
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(advice) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(advice)
    return key


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without an account, as in containers
        return str(os.getuid())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _short(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:FACT_MAX]
