"""Who a browser's request comes from: the session cookie."""

from __future__ import annotations

from aiohttp import web

from broker.http.guard import Denied, is_secure
from broker.people.accounts import Account
from broker.people.sign_in import People
from broker.protocol import Refusal

PEOPLE = web.AppKey("PEOPLE", People)

COOKIE = "ayuda_session"
COOKIE_MAX_AGE_S = 7 * 24 * 3600


async def account_of(request: web.Request) -> Account | None:
    """The technician who is signed in, or None."""
    token = request.cookies.get(COOKIE, "")
    return await request.app[PEOPLE].who(token) if 0 < len(token) <= 128 else None


async def require_account(request: web.Request) -> Account:
    """The technician who is signed in. Raises Denied."""
    account = await account_of(request)
    if account is None:
        raise Denied(Refusal.SIGN_IN)
    return account


def set_cookie(request: web.Request, response: web.Response, token: str) -> None:
    """Sign this browser in."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_MAX_AGE_S,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_secure(request),
    )
