"""Makes text of others fit to be shown in a terminal. Pure."""

from __future__ import annotations

import re
import unicodedata

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC ... BEL or ST (ECMA-48 §8.3.89)
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI sequences (ECMA-48 §5.4)
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # device control and other strings
    r"|\x1b[ -/]*[0-~]?"  # any other escape
)
_JOINERS = {"\u200c", "\u200d"}  # needed to write Persian, and by emoji


def clean(text: str) -> str:
    """One line without control characters, escapes or direction overrides.

    What moves the cursor, colours, reorders or hides text could make a
    technician's words look like a question or a name of ours.
    """
    return " ".join(_visible(_ESCAPES.sub("", text)).split())


def clean_lines(text: str) -> list[str]:
    """The same for a text that may have several lines; empty ones are left out."""
    lines = (clean(line) for line in re.split(r"\r\n|[\n\r\v\f\x85\u2028\u2029]", text))
    return [line for line in lines if line]


def _visible(text: str) -> str:
    return "".join(" " if c.isspace() else c for c in text if c.isspace() or _shown(c))


def _shown(character: str) -> bool:
    category = unicodedata.category(character)
    return character in _JOINERS or category not in {"Cc", "Cf", "Cs", "Co", "Cn"}
