"""Settings: sources, order, and refusals that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.config import ConfigError, load


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "ayuda.toml"
    file.write_text('port = 1000\nask_s = 10\npublic_address = ["192.0.2.1"]\n')
    settings = load({"port": 3000, "host": None}, {"AYUDA_PORT": "2000", "AYUDA_ASK_S": "20"}, file)
    assert settings.port == 3000
    assert settings.ask_s == 20
    assert settings.public_address == ("192.0.2.1",)
    assert settings.host == "127.0.0.1"


def test_several_public_addresses_come_from_one_variable() -> None:
    settings = load({}, {"AYUDA_PUBLIC_ADDRESS": "192.0.2.1,2001:db8::1"})
    assert settings.public_address == ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_certificate(host: str) -> None:
    assert load({"host": host}, {}).loopback_only


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_without_a_certificate_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ConfigError, match="--certificate"):
        load({"host": host}, {})


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"certificate": Path("c.pem")}, "key"),
        ({"public_address": ["example.org"]}, "public-address"),
        ({"port": 70_000}, "port"),
        ({"ask_s": 0}, "ask_s"),
    ],
)
def test_a_bad_value_is_refused_by_name(options: dict[str, object], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load(options, {})


def test_an_unknown_setting_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ayuda.toml"
    file.write_text("colour = 'blue'\n")
    with pytest.raises(ConfigError, match="colour"):
        load({}, {}, file)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        load({}, {}, tmp_path / "gone.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("port =")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load({}, {}, broken)
