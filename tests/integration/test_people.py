"""Accounts and sign-in on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.database import FILE_NAME, Database
from broker.people.accounts import BadAccount
from broker.people.sign_in import AGE_MAX, IDLE_MAX, LINK_LIFETIME, People, SignInRefused
from tests.support.database import database


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Database]:
    async with database(tmp_path) as found:
        yield found


async def test_a_link_signs_in_exactly_one_browser(opened: Database) -> None:
    people = People(opened)
    account, token = await people.add("  Ana   Ruiz ", "Example", "technician", 2)
    assert (account.name, account.level) == ("Ana Ruiz", 2)
    tries = await asyncio.gather(*(people.sign_in(token) for _ in range(8)), return_exceptions=True)
    won = [result for result in tries if not isinstance(result, BaseException)]
    assert len(won) == 1
    assert sum(isinstance(result, SignInRefused) for result in tries) == 7
    assert await people.who(won[0][1]) == account


async def test_a_second_link_is_for_the_same_account(opened: Database) -> None:
    people = People(opened)
    first, _ = await people.add("Ana Ruiz", "Example", "technician", 1)
    again, token = await people.add("Ana Ruiz", "Example", "technician", 1)
    assert first == again
    assert (await people.sign_in(token))[0] == first
    assert await people.everybody() == [first]


async def test_links_and_browser_sessions_grow_old(opened: Database) -> None:
    clock = Clock()
    people = People(opened, clock)
    _, late = await people.add("Ana", "Example", "technician", 1)
    _, token = await people.add("Ana", "Example", "technician", 1)
    account, cookie = await people.sign_in(token)
    started = clock.now
    clock.now += LINK_LIFETIME
    with pytest.raises(SignInRefused):
        await people.sign_in(late)
    clock.now = started + IDLE_MAX - timedelta(seconds=1)
    assert await people.who(cookie) == account
    while clock.now + IDLE_MAX / 2 < started + AGE_MAX:
        clock.now += IDLE_MAX / 2
        assert await people.who(cookie) == account
    clock.now = started + AGE_MAX + timedelta(seconds=1)
    assert await people.who(cookie) is None


async def test_an_idle_browser_is_signed_out(opened: Database) -> None:
    clock = Clock()
    people = People(opened, clock)
    _, token = await people.add("Ana", "Example", "technician", 1)
    _, cookie = await people.sign_in(token)
    clock.now += IDLE_MAX + timedelta(seconds=1)
    assert await people.who(cookie) is None


async def test_signing_out_ends_one_browser_only(opened: Database) -> None:
    people = People(opened)
    cookies = []
    for _ in range(2):
        _, token = await people.add("Ana", "Example", "technician", 1)
        cookies.append((await people.sign_in(token))[1])
    await people.sign_out(cookies[0])
    assert await people.who(cookies[0]) is None
    assert await people.who(cookies[1]) is not None
    assert await people.who("never-issued") is None


async def test_no_token_is_in_the_file(tmp_path: Path) -> None:
    async with database(tmp_path) as opened:
        people = People(opened)
        _, token = await people.add("Ana", "Example", "technician", 1)
        _, cookie = await people.sign_in(token)
    content = (tmp_path / FILE_NAME).read_bytes()  # closing leaves no write-ahead log behind
    assert b"Ana" in content
    assert token.encode() not in content
    assert cookie.encode() not in content


@pytest.mark.parametrize(
    ("name", "role", "level"),
    [
        ("", "technician", 1),
        ("x" * 101, "technician", 1),
        ("Ana\x1b[2J", "technician", 1),
        ("Ana\u202eziuR", "technician", 1),
        ("Ana", "king", 1),
        ("Ana", "technician", 4),
    ],
)
async def test_an_account_that_could_deceive_is_refused(
    opened: Database, name: str, role: str, level: int
) -> None:
    with pytest.raises(BadAccount):
        await People(opened).add(name, "Example", role, level)
