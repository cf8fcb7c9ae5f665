"""The web files: both languages whole, types fresh, nothing inline, handles there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from broker.protocol import EndReason, MediaFailure, Refusal, State, Status
from tools import js_types

WEB = Path(__file__).resolve().parents[3] / "web"
PAGES = sorted((WEB / "pages").glob("*.html"))
SCRIPTS = sorted((WEB / "js").glob("*.js"))
HANDLES = {
    "console": ["code-input", "join"],
    "session": [
        "screen",
        "chat-input",
        "chat-send",
        "chat-log",
        "end-session",
        "participants",
        "status",
    ],
}


def locale(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((WEB / "locales" / f"{language}.json").read_text("utf-8"))
    return found


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    english, spanish = locale("en"), locale("es")
    assert english.keys() == spanish.keys()
    for key, sentence in english.items():
        assert sorted(re.findall(r"\{\w+\}", sentence)) == sorted(
            re.findall(r"\{\w+\}", spanish[key])
        ), key
        assert sentence.strip()
        assert spanish[key].strip()


@pytest.mark.parametrize(
    ("prefix", "values"),
    [
        ("state", State),
        ("status", Status),
        ("end", EndReason),
        ("refusal", Refusal),
        ("trouble", MediaFailure),
    ],
)
def test_everything_that_the_broker_may_say_has_a_sentence(
    prefix: str, values: type[State]
) -> None:
    sentences = locale("en")
    assert [value for value in values if f"{prefix}.{value}" not in sentences] == []


def test_every_kind_of_event_that_is_recorded_has_a_sentence() -> None:
    broker = WEB.parent / "broker"
    text = "\n".join(path.read_text("utf-8") for path in broker.glob("sessions/*.py"))
    kinds = set(re.findall(r'(?:Record|CodeNews)\(\s*"([a-z-]+)"', text))
    assert {"joined", "code-gone", "ended", "consent-answered"} <= kinds
    events = (WEB / "js" / "events.js").read_text("utf-8")
    sentences = locale("en")
    unsaid = [k for k in kinds if f"event.{k}" not in sentences and f'case "{k}"' not in events]
    assert unsaid == []


def test_every_sentence_that_a_page_or_script_names_exists() -> None:
    sentences = locale("en")
    for file in [*PAGES, *SCRIPTS]:
        text = file.read_text("utf-8")
        keys = re.findall(r'data-t(?:-\w+)?="([\w.-]+)"', text)
        keys += re.findall(r'\bt\("([\w.-]+)"', text)
        assert [key for key in keys if key not in sentences] == [], file.name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_nothing_inline_and_all_its_files(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text) == []
    for name in re.findall(r'(?:src|href)="/static/([^"]+)"', text):
        assert (WEB / name).is_file(), name
    for handle in HANDLES.get(page.stem, []):
        assert f'data-testid="{handle}"' in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_never_makes_markup_from_text(script: Path) -> None:
    text = script.read_text("utf-8")
    assert (
        re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text) == []
    )
    for name in re.findall(r'from "\./([\w-]+\.js)"', text):
        assert (WEB / "js" / name).is_file(), name


def test_the_generated_types_are_those_of_the_protocol() -> None:
    assert js_types.TARGET.read_text("utf-8") == js_types.typescript()
