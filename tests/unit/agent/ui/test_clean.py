"""Nothing that a technician writes can act on the person's terminal."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.ui.clean import clean, clean_lines

SOAK = int(os.environ.get("AYUDA_SOAK", "1"))

hostile = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\x1b\x9b[]PX^_;:0123456789mHJK\x07\\\r\n\t\u202e\u2066\u200b\x7f"),
    ),
    max_size=80,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("hello", "hello"),
        ("\x1b[2J\x1b[Hallow", "allow"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("\x1bP1$r0m\x1b\\after", "after"),
        ("a\rb\tc\nd", "a b c d"),
        ("Ana\u202eziuR", "AnaziuR"),
        ("Ana\u200b Ruiz", "Ana Ruiz"),
        ("  much    space  ", "much space"),
        ("\x1b", ""),
        ("año 😀 \u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", None),
    ],
)
def test_only_what_can_be_read_is_left(text: str, shown: str | None) -> None:
    assert clean(text) == (text if shown is None else shown)


@given(hostile)
@settings(max_examples=300 * SOAK)
def test_no_text_moves_the_cursor_or_hides(text: str) -> None:
    shown = clean(text)
    assert all(unicodedata.category(c) not in {"Cc", "Cs", "Zl", "Zp"} for c in shown)
    assert "\x1b" not in shown
    assert clean(shown) == shown


@given(hostile)
@settings(max_examples=100 * SOAK)
def test_lines_are_clean_and_not_empty(text: str) -> None:
    assert all(line and line == clean(line) for line in clean_lines(text))


def test_lines_stay_lines() -> None:
    assert clean_lines("one\r\ntwo\n\n\u2028three") == ["one", "two", "three"]
