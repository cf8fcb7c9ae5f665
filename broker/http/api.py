"""The JSON API of the pages: sign-in, codes, incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from broker.database import DatabaseBusy, DatabaseFailed
from broker.http.guard import Denied
from broker.http.identity import COOKIE, PEOPLE, require_account, set_cookie
from broker.http.signalling import as_technician
from broker.incidents.store import IncidentStore
from broker.people.sign_in import SignInRefused
from broker.protocol import Refusal
from broker.sessions.codes import CodeRefused
from broker.sessions.desk import Desk

PAGE_MAX = 200

T = TypeVar("T")


class SignIn(Struct, forbid_unknown_fields=True):
    """Body of POST /api/sign-in."""

    token: Annotated[str, Meta(min_length=1, max_length=128)]


class SubmitCode(Struct, forbid_unknown_fields=True):
    """Body of POST /api/codes."""

    code: Annotated[str, Meta(pattern=r"^[0-9]{12}$")]


class Api:
    """The routes under /api."""

    def __init__(
        self, desk: Desk, incidents: IncidentStore, *, signed_out: Callable[[str], None]
    ) -> None:
        self._desk = desk
        self._incidents = incidents
        self._signed_out = signed_out

    def routes(self) -> list[web.RouteDef]:
        """For `app.add_routes`."""
        return [
            web.post("/api/sign-in", self.sign_in),
            web.post("/api/sign-out", self.sign_out),
            web.get("/api/me", self.me),
            web.post("/api/codes", self.submit_code),
            web.get("/api/incidents", self.incidents),
            web.get("/api/incidents/{incident}", self.incident),
        ]

    async def sign_in(self, request: web.Request) -> web.Response:
        """Use a one-time link up; the answer carries the session cookie."""
        body = await _body(request, SignIn)
        try:
            account, token = await request.app[PEOPLE].sign_in(body.token)
        except SignInRefused:
            raise Denied(Refusal.BAD_LINK) from None
        except (DatabaseBusy, DatabaseFailed):
            raise Denied(Refusal.LOG_FAILED) from None
        response = _json({"technician": as_technician(account)})
        set_cookie(request, response, token)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End this browser's session, and what it has open elsewhere."""
        await require_account(request)
        cookie = request.cookies[COOKIE]
        await request.app[PEOPLE].sign_out(cookie)
        self._signed_out(cookie)
        response = web.Response(status=204)
        response.del_cookie(COOKIE, path="/")
        return response

    async def me(self, request: web.Request) -> web.Response:
        """Who is signed in."""
        return _json(await require_account(request))

    async def submit_code(self, request: web.Request) -> web.Response:
        """Pair this technician with the request whose code it is."""
        account = await require_account(request)
        body = await _body(request, SubmitCode)
        try:
            session = await self._desk.submit(as_technician(account), body.code)
        except CodeRefused as refused:
            raise Denied(refused.reason) from None
        return _json({"session": session})

    async def incidents(self, request: web.Request) -> web.Response:
        """One page of the incident list, newest first."""
        await require_account(request)
        query = request.query
        try:
            limit = max(1, min(int(query.get("limit", "50")), PAGE_MAX))
        except ValueError:
            raise Denied(Refusal.BAD_MESSAGE, "`limit` is a number.") from None
        found = await self._incidents.search(
            query=query.get("q", "")[:200], before=query.get("before"), limit=limit + 1
        )
        return _json({"incidents": found[:limit], "more": len(found) > limit})

    async def incident(self, request: web.Request) -> web.Response:
        """One incident with its whole timeline."""
        await require_account(request)
        found = await self._incidents.get(request.match_info["incident"])
        if found is None:
            raise Denied(Refusal.NOT_FOUND)
        row, events = found
        timeline = [
            {
                "number": event.number,
                "at": event.at,
                "kind": event.kind,
                "actor": event.actor,
                "data": event.data,
                "hash": event.hash,
            }
            for event in events
        ]
        return _json({"incident": row, "events": timeline})


async def _body(request: web.Request, kind: type[T]) -> T:
    if request.content_type != "application/json":
        raise Denied(Refusal.BAD_MESSAGE, "The body is JSON (Content-Type: application/json).")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Denied(Refusal.BAD_MESSAGE, f"The body is not right: {error}") from None


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
