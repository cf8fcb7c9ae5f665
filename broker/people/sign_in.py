"""Signing in: one-time links become browser sessions."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from broker.database import Database
from broker.people.accounts import Account, checked, clean_name
from broker.people.schema import accounts, sign_in_links, web_sessions

LINK_LIFETIME = timedelta(hours=24)
IDLE_MAX = timedelta(hours=12)
"""A browser session ends after so long without a request."""

AGE_MAX = timedelta(days=7)
"""A browser session ends after so long whatever happens."""

SEEN_STEP = timedelta(minutes=1)
"""The last request's time is kept this exactly, so that reading seldom writes."""


class SignInRefused(Exception):
    """The link is unknown, used or too old."""


class People:
    """All accounts and who is signed in. `now` gives aware datetimes.

    Writes raise DatabaseBusy and DatabaseFailed, reads DatabaseFailed.
    """

    def __init__(
        self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._now = now

    async def add(self, name: str, organisation: str, role: str, level: int) -> tuple[Account, str]:
        """An account (the one of that name, or a new one) and a one-time token for it.

        Raises BadAccount.
        """
        name = clean_name("the name", name)
        organisation = clean_name("the organisation", organisation)
        role, level = checked(role, level)
        token = secrets.token_urlsafe(32)

        def write(connection: Connection) -> Account:
            found = connection.execute(select(accounts).where(accounts.c.name == name)).first()
            account = _account(found) if found else None
            if account is None:
                account = Account(_new_id(), name, organisation, role, level)
                self._insert(connection, account)
            link = {
                "hash": _hash(token),
                "account": account.id,
                "expires_at": _text(self._now() + LINK_LIFETIME),
                "used": False,
            }
            connection.execute(insert(sign_in_links).values(**link))
            return account

        return await self._database.write(write), token

    async def everybody(self) -> list[Account]:
        """All accounts by name."""
        query = select(accounts).order_by(accounts.c.name)
        return await self._database.read(lambda c: [_account(row) for row in c.execute(query)])

    async def sign_in(self, token: str) -> tuple[Account, str]:
        """Use a link's token up; returns the account and a token for the cookie.

        Of several at the same time exactly one succeeds. Raises SignInRefused.
        """
        cookie = secrets.token_urlsafe(32)

        def write(connection: Connection) -> Account:
            now = _text(self._now())
            usable = (
                sign_in_links.c.hash == _hash(token),
                sign_in_links.c.used.is_(False),
                sign_in_links.c.expires_at > now,
            )
            used = update(sign_in_links).where(*usable).values(used=True)
            owner = connection.scalar(used.returning(sign_in_links.c.account))
            if owner is None:
                raise SignInRefused
            session = {"hash": _hash(cookie), "account": owner, "created_at": now, "seen_at": now}
            connection.execute(insert(web_sessions).values(**session))
            connection.execute(delete(web_sessions).where(_is_old(self._now())))
            account = connection.execute(select(accounts).where(accounts.c.id == owner)).one()
            return _account(account)

        return await self._database.write(write), cookie

    async def who(self, cookie: str) -> Account | None:
        """The account whose browser session this is, if it has not ended."""
        now = self._now()
        query = (
            select(accounts, web_sessions.c.seen_at)
            .join(web_sessions, web_sessions.c.account == accounts.c.id)
            .where(web_sessions.c.hash == _hash(cookie), ~_is_old(now))
        )
        row = await self._database.read(lambda c: c.execute(query).first())
        if row is None:
            return None
        if row.seen_at < _text(now - SEEN_STEP):
            seen = update(web_sessions).where(web_sessions.c.hash == _hash(cookie))
            await self._database.write(
                lambda c: c.execute(seen.values(seen_at=_text(now))) and None
            )
        return _account(row)

    async def sign_out(self, cookie: str) -> None:
        """End one browser session."""
        gone = delete(web_sessions).where(web_sessions.c.hash == _hash(cookie))
        await self._database.write(lambda c: c.execute(gone) and None)

    def _insert(self, connection: Connection, account: Account) -> None:
        connection.execute(
            insert(accounts).values(
                id=account.id,
                name=account.name,
                organisation=account.organisation,
                role=account.role,
                level=account.level,
                created_at=_text(self._now()),
            )
        )


def _is_old(now: datetime) -> Any:
    columns = web_sessions.c
    return (columns.seen_at < _text(now - IDLE_MAX)) | (columns.created_at < _text(now - AGE_MAX))


def _account(row: Row[Any]) -> Account:
    return Account(row.id, row.name, row.organisation, row.role, row.level)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _new_id() -> str:
    return base64.b32encode(secrets.token_bytes(10)).decode()[:12].lower()
