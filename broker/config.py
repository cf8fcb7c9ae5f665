"""Settings of one broker: read from a TOML file, the environment and options.

Later sources win: file, then `AYUDA_*` variables, then command-line options.
All are checked once, here; the result is immutable.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]


class ConfigError(Exception):
    """A setting that cannot be used; the text says which and what to do."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything an operator can choose."""

    host: str = "127.0.0.1"
    port: Port = 8080
    udp_port: Port | None = None  # None: the same number as `port`; 0: any free one
    data: Path = Path("var")
    certificate: Path | None = None
    key: Path | None = None
    public_address: tuple[str, ...] = ()  # IP addresses that clients reach, for NAT
    public_url: str | None = None  # origin that browsers use, behind a proxy
    organisation: Annotated[str, Meta(max_length=100)] = "Ayuda"

    code_lifetime_s: Seconds = 300.0
    resume_s: Seconds = 60.0  # a dropped link may come back for this long
    ask_s: Seconds = 120.0  # the person has this long to decide
    wait_s: Seconds = 1800.0  # a request without a technician ends after this

    max_sessions: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    max_links_per_address: Annotated[int, Meta(ge=1, le=100_000)] = 64
    max_requests_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 60  # of one address

    @property
    def tls(self) -> bool:
        """Whether the broker itself speaks TLS."""
        return self.certificate is not None

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can reach the broker."""
        return self.host == "localhost" or _is_loopback(self.host)


def load(
    options: Mapping[str, Any], environment: Mapping[str, str], file: Path | None = None
) -> Settings:
    """Settings from all sources.

    `options` holds command-line values by field name; None means not given.
    Raises ConfigError.
    """
    values: dict[str, Any] = _from_file(file) if file else {}
    values |= _from_environment(environment)
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"settings: {error}") from None
    _check(settings)
    return settings


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not valid TOML: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in Settings.__struct_fields__:
        value = environment.get(f"AYUDA_{field.upper()}")
        if value is not None:
            found[field] = value.split(",") if field == "public_address" else value
    return found


def _check(settings: Settings) -> None:
    if (settings.certificate is None) != (settings.key is None):
        raise ConfigError("a certificate needs its key, and a key its certificate: give both")
    if not settings.tls and not settings.loopback_only:
        raise ConfigError(
            f"without a certificate the broker listens on this machine only, because "
            f"passwords, pictures and codes would cross the network readable by all. "
            f"Give --certificate and --key to listen on {settings.host}, or use "
            f"--host 127.0.0.1 behind a proxy that speaks TLS."
        )
    for address in settings.public_address:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise ConfigError(f"--public-address {address!r} is not an IP address") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
