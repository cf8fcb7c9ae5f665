"""Signalling: the WebSockets of agents, consoles and session pages."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker import protocol
from broker.http.guard import require_origin
from broker.http.identity import require_account
from broker.http.limits import LinkLimit, RequestRate
from broker.http.sockets import LinkRefused, SocketLink
from broker.people.accounts import Account
from broker.protocol import PERSON, VERSION, Decoder, ProtocolError, Refusal, Technician
from broker.sessions import values
from broker.sessions.desk import Desk, RequestRefused
from broker.sessions.live import LiveSession, Offered

logger = logging.getLogger(__name__)

PROOF_PREFIX = b"ayuda-agent:"
"""What a device signs is this and the nonce, so that it is good for nothing else."""

_from_agent: Decoder[Any] = Decoder(protocol.FromAgent)
_from_viewer: Decoder[Any] = Decoder(protocol.FromViewer)


class Signalling:
    """The three WebSocket routes, on one desk."""

    def __init__(self, desk: Desk, limit: LinkLimit, rate: RequestRate) -> None:
        self._desk = desk
        self._limit = limit
        self._rate = rate
        self._links: set[SocketLink] = set()

    def routes(self) -> list[web.RouteDef]:
        """For `app.add_routes`."""
        return [
            web.get("/ws/agent", self.agent),
            web.get("/ws/console", self.console),
            web.get("/ws/session/{session}", self.session),
        ]

    async def close_links(self, app: web.Application) -> None:
        """Tell every client that the broker stops (an `on_shutdown` signal)."""
        for link in tuple(self._links):
            link.send(LinkRefused(Refusal.STOPPING).refused)
            link.close()

    def signed_out(self, cookie: str) -> None:
        """Close the links of a browser that has just signed out."""
        for link in tuple(self._links):
            if link.cookie == cookie:
                link.send(LinkRefused(Refusal.SIGN_IN).refused)
                link.close()

    @contextlib.asynccontextmanager
    async def _link(self, request: web.Request) -> AsyncIterator[SocketLink]:
        with self._limit(request.remote or ""):
            link = SocketLink(request)
            async with link.open():
                self._links.add(link)
                try:
                    yield link
                finally:
                    self._links.discard(link)

    # ── agents ───────────────────────────────────────────────────────────────

    async def agent(self, request: web.Request) -> web.StreamResponse:
        """An agent's link: challenge, hello with proof, then messages."""
        if "Origin" in request.headers:
            require_origin(request)
        async with self._link(request) as link:
            live = await self._greet_agent(link, request.remote or "")
            try:
                async for frame in link.frames():
                    self._agent_says(live, _from_agent.decode(frame))
            finally:
                live.detach(PERSON, link)
        return link.response

    async def _greet_agent(self, link: SocketLink, address: str) -> LiveSession:
        nonce = secrets.token_bytes(32)
        link.send(protocol.Challenge(VERSION, base64.b64encode(nonce).decode()))
        hello = _from_agent.decode(await link.hello())
        if not isinstance(hello, protocol.AgentHello):
            raise ProtocolError("the first message is not a hello")
        device = _verified_device(hello, nonce)
        if hello.resume is not None:
            live = self._desk.resume(hello.resume, device, link)
            if live is not None:
                return live
        if not self._rate.allows(address, time.monotonic()):
            raise LinkRefused(Refusal.BUSY)
        try:
            return await self._desk.request(device, hello.facts, hello.language, link)
        except RequestRefused as refused:
            raise LinkRefused(refused.reason) from None

    def _agent_says(self, live: LiveSession, message: Any) -> None:
        match message:
            case protocol.Decide(participant, allowed):
                accepted = live.post_from_peer(values.Decided(participant, allowed))
            case protocol.Dismiss(participant):
                accepted = live.post_from_peer(values.Dismissed(participant))
            case protocol.NewCode():
                accepted = self._desk.issue_code(live, PERSON)
            case _:
                accepted = _both_say(live, PERSON, message)
        if not accepted:
            raise LinkRefused(Refusal.BUSY)

    # ── technicians ──────────────────────────────────────────────────────────

    async def session(self, request: web.Request) -> web.StreamResponse:
        """A technician's link to one session."""
        require_origin(request)
        account = await require_account(request)
        technician = as_technician(account)
        async with self._link(request) as link:
            await self._greet_technician(link, technician)
            session = request.match_info["session"]
            ended = await self._desk.how_it_ended(session, technician.id)
            if ended is not None:
                link.send(ended)
                return link.response
            live = self._present_session(session, technician)
            live.attach(technician.id, link)
            try:
                async for frame in link.frames():
                    self._technician_says(live, technician.id, _from_viewer.decode(frame))
            finally:
                live.detach(technician.id, link)
        return link.response

    def _present_session(self, session: str, technician: Technician) -> LiveSession:
        live = self._desk.session(session)
        if live is None:
            raise LinkRefused(Refusal.SESSION_OVER)
        if all(m.technician.id != technician.id for m in live.value.present):
            raise LinkRefused(Refusal.NOT_ALLOWED)
        return live

    def _technician_says(self, live: LiveSession, who: str, message: Any) -> None:
        match message:
            case protocol.Leave():
                accepted = live.post_from_peer(values.Left(who))
            case protocol.Invite() if live.is_allowed(who):
                accepted = self._desk.issue_code(live, who)
            case protocol.Invite():
                text = "You may invite colleagues once the person has allowed you in."
                live.send(who, protocol.Refused(Refusal.NOT_ALLOWED, text))
                accepted = True
            case _:
                accepted = _both_say(live, who, message)
        if not accepted:
            raise LinkRefused(Refusal.BUSY)

    # ── consoles ─────────────────────────────────────────────────────────────

    async def console(self, request: web.Request) -> web.StreamResponse:
        """A technician's live list of own sessions."""
        require_origin(request)
        account = await require_account(request)
        technician = as_technician(account)
        async with self._link(request) as link:
            await self._greet_technician(link, technician)

            def send_rows() -> None:
                link.send(protocol.Sessions(self._desk.rows(technician.id)))

            send_rows()
            unwatch = self._desk.watch(technician.id, send_rows)
            try:
                async for _ in link.frames():
                    raise ProtocolError("the console only listens")
            finally:
                unwatch()
        return link.response

    async def _greet_technician(self, link: SocketLink, technician: Technician) -> None:
        hello = _from_viewer.decode(await link.hello())
        if not isinstance(hello, protocol.ViewerHello):
            raise ProtocolError("the first message is not a hello")
        link.send(protocol.ViewerWelcome(technician))


def _both_say(live: LiveSession, who: str, message: Any) -> bool:
    match message:
        case protocol.Offer(sdp):
            return live.post_from_peer(Offered(who, sdp))
        case protocol.MediaFailed(reason):
            return live.post_from_peer(values.LinkLost(who, reason))
        case protocol.End():
            return live.post_from_peer(values.EndAsked(who))
    raise ProtocolError("a hello opens a link, once")


def as_technician(account: Account) -> Technician:
    """What the person is shown of an account."""
    return Technician(account.id, account.name, account.organisation)


def _verified_device(hello: protocol.AgentHello, nonce: bytes) -> str:
    """The fingerprint of the device key, if the hello proves to hold it."""
    try:
        key = base64.b64decode(hello.device_key, validate=True)
        proof = base64.b64decode(hello.proof, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(proof, PROOF_PREFIX + nonce)
    except (binascii.Error, ValueError, InvalidSignature):
        raise LinkRefused(Refusal.BAD_PROOF) from None
    return hashlib.sha256(key).hexdigest()
