"""The HTTP server: routes, limits, TLS, health."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from broker.config import ConfigError, Settings
from broker.http import pages
from broker.http.api import Api
from broker.http.guard import BODY_MAX_BYTES, PUBLIC_URL, guard, headers
from broker.http.identity import PEOPLE
from broker.http.limits import LinkLimit, RequestRate
from broker.http.signalling import Signalling
from broker.incidents.store import IncidentStore
from broker.people.sign_in import People
from broker.sessions.desk import Desk

SHUTDOWN_S = 5.0


class Server:
    """The broker's HTTP and WebSocket side.

    `ready` says whether requests for help can be served now; `metrics` gives
    the Prometheus text exposition.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        desk: Desk,
        people: People,
        incidents: IncidentStore,
        web_root: Path,
        ready: Callable[[], bool],
        metrics: Callable[[], bytes],
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._metrics = metrics
        app = web.Application(middlewares=[guard], client_max_size=BODY_MAX_BYTES)
        app[PUBLIC_URL] = (settings.public_url or "").rstrip("/")
        app[PEOPLE] = people
        app.on_response_prepare.append(headers)
        links = LinkLimit(settings.max_links_per_address)
        rate = RequestRate(settings.max_requests_per_minute)
        signalling = Signalling(desk, links, rate)
        app.add_routes(signalling.routes())
        app.on_shutdown.append(signalling.close_links)
        app.add_routes(Api(desk, incidents, signed_out=signalling.signed_out).routes())
        app.add_routes(pages.routes(web_root))
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._metrics_page),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_S, handle_signals=False
        )

    async def start(self) -> int:
        """Listen; returns the port. Raises ConfigError."""
        settings = self._settings
        context = tls_context(settings.certificate, settings.key)
        try:
            listening = _listen(settings.host, settings.port)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. "
                f"Choose another with --host and --port."
            ) from None
        await self._runner.setup()
        await web.SockSite(self._runner, listening, ssl_context=context).start()
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        await self._runner.cleanup()

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readiness(self, request: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ready\n" if ready else "stopping\n", status=200 if ready else 503)

    async def _metrics_page(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), content_type="text/plain", charset="utf-8")


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """A server context for the operator's own certificate. Raises ConfigError."""
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot use {certificate} with {key}: {error}") from None
    return context


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual = host in ("::", "") and socket.has_dualstack_ipv6()
    return socket.create_server(
        (host, port),
        family=socket.AF_INET6 if dual else family,
        dualstack_ipv6=dual,
        backlog=512,
    )
