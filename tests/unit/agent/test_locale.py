"""Every sentence exists in both languages, and each is used."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import agent
from agent.locale import Texts, keys, language_of
from broker.protocol import EndReason, MediaFailure, Refusal

PACKAGE = Path(agent.__file__).parent
LANGUAGES = [Texts("en"), Texts("es")]
ENUMERATED = ("ended.", "refused.", "media.")


def blanks(sentence: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def literals() -> Iterator[str]:
    for file in PACKAGE.rglob("*.py"):
        if file.name != "locale.py":
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


@pytest.mark.parametrize("texts", LANGUAGES, ids=["en", "es"])
def test_every_end_refusal_and_media_failure_has_its_sentence(texts: Texts) -> None:
    assert all(texts.ended(reason) for reason in EndReason)
    assert all(texts.refused(reason) for reason in Refusal)
    assert all(texts.media(failure) for failure in MediaFailure)


def test_both_languages_fill_the_same_blanks() -> None:
    for key, (english, spanish) in keys().items():
        assert blanks(english) == blanks(spanish), key
        assert english
        assert spanish


def test_every_sentence_is_used() -> None:
    used = set(literals()) | {f"code.{reason}" for reason in ("expired", "used", "burned")}
    unused = {k for k in keys() if k not in used and not k.startswith(ENUMERATED)}
    assert not unused


def test_every_enumerated_sentence_belongs_to_a_reason() -> None:
    reasons = {f"ended.{r.value}" for r in EndReason}
    reasons |= {f"refused.{r.value}" for r in Refusal}
    reasons |= {f"media.{f.value}" for f in MediaFailure} | {"media.said", "media.said_why"}
    assert {k for k in keys() if k.startswith(ENUMERATED)} == reasons


def test_the_english_question_begins_with_allow_and_defaults_to_no() -> None:
    question = Texts("en")("ask.see", name="Ana Ruiz", organisation="Example Org")
    assert question == "allow Ana Ruiz (Example Org) to see your screen? [y/N] "


@pytest.mark.parametrize(
    ("language", "answer", "meaning"),
    [
        ("en", "y", True),
        ("en", " YES ", True),
        ("en", "", False),
        ("en", "n", False),
        ("en", "No", False),
        ("en", "s", None),
        ("en", "yess", None),
        ("en", "yes please", None),
        ("es", "s", True),
        ("es", "Sí", True),
        ("es", "si", True),
        ("es", "y", True),
        ("es", "", False),
        ("es", "no", False),
        ("es", "claro", None),
    ],
)
def test_only_an_explicit_yes_is_a_yes(language: str, answer: str, meaning: bool | None) -> None:
    texts = LANGUAGES[language == "es"]
    assert texts.yes(answer) is meaning


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "es_ES.UTF-8"}, "es"),
        ({"LANG": "es_ES.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LC_MESSAGES": "es_MX", "LANG": "en_US.UTF-8"}, "es"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_language_follows_the_environment(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language
