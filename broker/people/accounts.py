"""Technicians' accounts: what an account is, and which names are names; pure."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import Struct

Role = Literal["technician", "supervisor", "admin"]
ROLES: tuple[str, ...] = get_args(Role)
LEVELS = (1, 2, 3)
NAME_MAX = 100


class BadAccount(ValueError):
    """An account that cannot be; the text says what to change."""


class Account(Struct, frozen=True):
    """One technician."""

    id: str
    name: str
    organisation: str
    role: str
    level: int


def clean_name(what: str, text: str) -> str:
    """A name as it is kept: trimmed, with single spaces. Raises BadAccount.

    People decide by this text, so it holds nothing that a screen does not show.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_MAX:
        raise BadAccount(f"{what} must have 1 to {NAME_MAX} characters")
    if not name.isprintable():
        raise BadAccount(f"{what} must not have invisible characters")
    return name


def checked(role: str, level: int) -> tuple[str, int]:
    """A role and a level that exist. Raises BadAccount."""
    if role not in ROLES:
        raise BadAccount(f"the role must be one of {', '.join(ROLES)}")
    if level not in LEVELS:
        raise BadAccount("the level must be 1, 2 or 3")
    return role, level
