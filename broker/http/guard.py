"""What every HTTP request must pass: origin, limits; and the headers it gets back."""

from __future__ import annotations

import html
import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from broker.protocol import Refusal

logger = logging.getLogger(__name__)

BODY_MAX_BYTES = 16 * 1024

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "img-src 'self' data: blob:; "
    "font-src 'self'; "
    "connect-src 'self'; "
    "media-src 'self' blob:; "
    "manifest-src 'self'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)

SENTENCES: dict[Refusal, str] = {
    Refusal.BAD_MESSAGE: "The broker did not understand this message. Update the program.",
    Refusal.BAD_PROOF: "The device key could not be verified. Start the agent again.",
    Refusal.VERSION: "This program and the broker speak different versions. Update the older one.",
    Refusal.SIGN_IN: "Sign in first.",
    Refusal.BAD_LINK: "This sign-in link does not work any more. Ask your administrator for a "
    "new one (ayuda-broker technician add).",
    Refusal.ORIGIN: "This request came from another site. Open the broker's own address.",
    Refusal.NOT_FOUND: "There is nothing here. Check the address.",
    Refusal.NOT_ALLOWED: "You are not in this session. Ask the person for a new code.",
    Refusal.WRONG_CODE: "This code is not right. Ask the person to read it again.",
    Refusal.CODE_EXPIRED: "This code is too old. Ask the person for a new one.",
    Refusal.CODE_USED: "This code was used already. Ask the person for a new one.",
    Refusal.CODE_BURNED: "This code was entered wrongly three times and does not work any "
    "more. Ask the person for a new one.",
    Refusal.TOO_MANY_TRIES: "Too many wrong codes. Wait five minutes, then try again.",
    Refusal.SESSION_OVER: "This session is over.",
    Refusal.BUSY: "The broker is busy. Try again in a minute.",
    Refusal.REPLACED: "This was opened in another window. Go on there, or reload this one.",
    Refusal.TOO_SLOW: "The connection is too slow for what was sent. Reconnect.",
    Refusal.NO_COMMON_CODEC: "This browser cannot decode the picture (H.264). Use a current "
    "Chromium, Chrome, Edge, Safari, or Firefox with its OpenH264 plug-in.",
    Refusal.BAD_OFFER: "The broker cannot use this browser's WebRTC offer. Update the browser.",
    Refusal.LOG_FAILED: "The incident log cannot be written. Tell your administrator.",
    Refusal.STOPPING: "The broker is stopping. Try again in a minute.",
}
"""One English sentence for each refusal: what happened and the next step."""

_STATUS: dict[Refusal, HTTPStatus] = {
    Refusal.SIGN_IN: HTTPStatus.UNAUTHORIZED,
    Refusal.BAD_LINK: HTTPStatus.FORBIDDEN,
    Refusal.ORIGIN: HTTPStatus.FORBIDDEN,
    Refusal.NOT_ALLOWED: HTTPStatus.FORBIDDEN,
    Refusal.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Refusal.TOO_MANY_TRIES: HTTPStatus.TOO_MANY_REQUESTS,
    Refusal.CODE_EXPIRED: HTTPStatus.GONE,
    Refusal.CODE_USED: HTTPStatus.CONFLICT,
    Refusal.CODE_BURNED: HTTPStatus.GONE,
    Refusal.SESSION_OVER: HTTPStatus.GONE,
    Refusal.BUSY: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.LOG_FAILED: HTTPStatus.SERVICE_UNAVAILABLE,
    Refusal.STOPPING: HTTPStatus.SERVICE_UNAVAILABLE,
}


class Denied(Exception):
    """A request that is refused; becomes a JSON error answer."""

    def __init__(self, reason: Refusal, message: str | None = None) -> None:
        self.reason = reason
        self.message = message or SENTENCES[reason]
        super().__init__(self.message)

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of this refusal."""
        return _STATUS.get(self.reason, HTTPStatus.BAD_REQUEST)


PUBLIC_URL = web.AppKey("PUBLIC_URL", str)
STATIC = "/static/"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign POSTs; turn refusals and bugs into answers."""
    try:
        if request.method not in ("GET", "HEAD"):
            require_origin(request)
        return await handler(request)
    except Denied as denied:
        return _error(request, denied.status, denied.reason.value, denied.message)
    except web.HTTPNotFound:
        return _error(request, HTTPStatus.NOT_FOUND, "not-found", SENTENCES[Refusal.NOT_FOUND])
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _error(request, HTTPStatus(error.status), "http", f"{error.reason}.")
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        text = "Something is broken in the broker. Tell your administrator; its log says more."
        return _error(request, HTTPStatus.INTERNAL_SERVER_ERROR, "internal", text)


async def headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer its security headers (an `on_response_prepare` signal)."""
    head = response.headers
    head["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    head["X-Content-Type-Options"] = "nosniff"
    head["Referrer-Policy"] = "no-referrer"
    head["Cross-Origin-Opener-Policy"] = "same-origin"
    head["Cross-Origin-Resource-Policy"] = "same-origin"
    head["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    head.setdefault("Cache-Control", "no-cache" if request.path.startswith(STATIC) else "no-store")
    if is_secure(request):
        head["Strict-Transport-Security"] = "max-age=31536000"
    head["Server"] = "ayuda"


def require_origin(request: web.Request) -> None:
    """Raise Denied unless the request's Origin is the broker's own.

    Browsers send Origin with every WebSocket and every POST (RFC 6455 §10.2,
    Fetch §3.2); what has none is no browser of ours.
    """
    if not same_origin(request, request.headers.get("Origin", "")):
        raise Denied(Refusal.ORIGIN)


def same_origin(request: web.Request, origin: str) -> bool:
    """Whether `origin` is where this broker's pages come from."""
    public_url = request.app[PUBLIC_URL]
    if public_url:
        return origin == public_url
    parts = urlsplit(origin)
    scheme = "https" if request.secure else "http"
    return parts.scheme == scheme and bool(parts.netloc) and parts.netloc == request.host


def is_secure(request: web.Request) -> bool:
    """Whether the browser speaks TLS, to us or to the proxy before us."""
    return request.secure or request.app[PUBLIC_URL].startswith("https://")


def _error(request: web.Request, status: HTTPStatus, code: str, message: str) -> web.Response:
    if "text/html" in request.headers.get("Accept", ""):
        text = (
            f'<!doctype html><meta charset="utf-8"><title>Ayuda</title>'
            f'<h1>{status.value}</h1><p>{html.escape(message)}</p><p><a href="/">Ayuda</a></p>'
        )
        return web.Response(status=status, text=text, content_type="text/html")
    body = msgspec.json.encode({"error": code, "message": message})
    return web.Response(status=status, body=body, content_type="application/json")
