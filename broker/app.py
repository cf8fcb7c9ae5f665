"""The broker as a whole: builds every room, starts, drains and stops them.

The only file that knows all of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import time
from importlib.resources import files
from pathlib import Path

from broker.config import ConfigError, Settings
from broker.database import Database
from broker.http.server import Server
from broker.incident_log import IncidentLog
from broker.incidents.store import IncidentStore
from broker.media import SessionMedia
from broker.metrics import Metrics
from broker.people.sign_in import People
from broker.protocol import CHANNELS, EndReason
from broker.rtc.engine import Engine
from broker.sessions.desk import Desk
from broker.sessions.ports import Media, MediaEvents
from broker.sessions.values import Limits

logger = logging.getLogger(__name__)

DRAIN_S = 10.0
"""Sessions have this long to be recorded as ended when the broker stops."""


async def serve(settings: Settings) -> None:
    """Run a broker until SIGTERM or SIGINT. Raises ConfigError, DatabaseFailed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    database = Database.open(settings.data)
    try:
        await _serve_on(database, settings, stop)
    finally:
        await database.close()


async def _serve_on(database: Database, settings: Settings, stop: asyncio.Event) -> None:
    incidents = IncidentStore(database)
    for abandoned in await incidents.close_abandoned({"reason": EndReason.BROKER_KILLED.value}):
        logger.warning("incident %s was open when the broker was killed; closed now", abandoned)
    engine = await _open_engine(settings)

    def media(events: MediaEvents) -> Media:
        return SessionMedia(engine, events)

    desk = Desk(
        log=IncidentLog(incidents),
        media=media,
        limits=Limits(settings.wait_s, settings.ask_s, settings.resume_s),
        code_lifetime_s=settings.code_lifetime_s,
        max_sessions=settings.max_sessions,
        clock=time.monotonic,
        draw=secrets.randbelow,
        new_id=_new_id,
    )
    server = Server(
        settings,
        desk=desk,
        people=People(database),
        incidents=incidents,
        web_root=Path(str(files("web"))),
        ready=lambda: not stop.is_set(),
        metrics=Metrics(desk.counts, engine).text,
    )
    try:
        port = await server.start()
        _announce(settings, port, engine.port)
        await stop.wait()
        logger.info("stopping: %d s for open sessions to be recorded", DRAIN_S)
    finally:
        await desk.stop(DRAIN_S)
        await server.stop()
        await engine.close()


async def _open_engine(settings: Settings) -> Engine:
    port = settings.port if settings.udp_port is None else settings.udp_port
    host = "127.0.0.1" if settings.host == "localhost" else settings.host
    try:
        return await Engine.open(
            host=host, port=port, public_addresses=settings.public_address, channels=CHANNELS
        )
    except OSError as error:
        raise ConfigError(
            f"cannot use UDP port {port}: {error.strerror}. Choose another with --udp-port."
        ) from None


def _announce(settings: Settings, port: int, udp_port: int) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = settings.public_url or f"{'https' if settings.tls else 'http'}://{host}:{port}"
    (settings.data / "broker.json").write_text(json.dumps({"url": url}) + "\n", "utf-8")
    if not settings.tls and settings.public_url is None:
        logger.info("no certificate given, so this machine alone can connect (see --certificate)")
    print(f"listening on {url} (udp {udp_port})", flush=True)


def _new_id() -> str:
    """An unguessable session id: 80 random bits in lower-case base 32."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "".join(secrets.choice(alphabet) for _ in range(16))
