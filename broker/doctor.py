"""`ayuda-broker doctor`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av
from cryptography import x509
from msgspec import Struct, to_builtins
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from broker.config import ConfigError, Settings, load
from broker.database import Database, DatabaseFailed
from broker.incidents.store import IncidentStore
from broker.rtc.port import has_segmented_send, set_coalesced_receive

EXPIRES_SOON_DAYS = 14
X_TIMEOUT_S = 5.0


class Finding(Struct, frozen=True):
    """One check: what was looked at, whether it is well, what to do."""

    check: str
    ok: bool
    text: str


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    doctor = commands.add_parser("doctor", help="check ports, certificate, database, codecs …")
    doctor.add_argument("--data", type=Path)
    doctor.add_argument("--host")
    doctor.add_argument("--port", type=int)
    doctor.add_argument("--udp-port", type=int)
    doctor.add_argument("--certificate", type=Path)
    doctor.add_argument("--key", type=Path)
    doctor.add_argument("--config", type=Path)
    doctor.add_argument("--json", action="store_true", help="for machines")
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run every check; 1 if one found a problem."""
    names = ("data", "host", "port", "udp_port", "certificate", "key")
    try:
        settings = load(
            {name: getattr(arguments, name) for name in names}, os.environ, arguments.config
        )
    except ConfigError as error:
        findings = [Finding("settings", False, str(error))]
    else:
        findings = list(examine(settings))
    if arguments.json:
        print(json.dumps(to_builtins(findings)))
    else:
        for finding in findings:
            print(f"{'OK     ' if finding.ok else 'PROBLEM'}  {finding.check}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


def examine(settings: Settings) -> Iterator[Finding]:
    """All findings, in the order in which a broker would stumble."""
    udp_port = settings.port if settings.udp_port is None else settings.udp_port
    yield _port("TCP port", settings.host, settings.port, socket.SOCK_STREAM)
    yield _port("UDP port", settings.host, udp_port, socket.SOCK_DGRAM)
    yield _certificate(settings)
    yield _database(settings.data)
    yield _clock(datetime.now(UTC), time.monotonic)
    yield _display(os.environ.get("DISPLAY"))
    yield _encoder()
    yield _srtp()
    yield _batching()


def _port(check: str, host: str, port: int, kind: socket.SocketKind) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        text = f"{port} on {host} cannot be used: {error.strerror}. If a broker runs there, this "
        text += "is as it should be; otherwise choose another port or end what holds it."
        return Finding(check, False, text)
    return Finding(check, True, f"{port} on {host} is free")


def _certificate(settings: Settings) -> Finding:
    certificate, key = settings.certificate, settings.key
    if certificate is None or key is None:
        return Finding("certificate", True, "none given: this machine alone can connect")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
        until = x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ssl.SSLError, ValueError) as error:
        text = f"{certificate} with {key} cannot be used: {error}. Give the chain and its own key."
        return Finding("certificate", False, text)
    days = (until - datetime.now(UTC)).days
    if days < EXPIRES_SOON_DAYS:
        text = f"{certificate} {'expires in' if days >= 0 else 'expired; days:'} {days}: renew it"
        return Finding("certificate", False, text)
    return Finding("certificate", True, f"{certificate} is good for {days} days")


def _database(directory: Path) -> Finding:
    try:
        found = asyncio.run(_verify(directory))
    except DatabaseFailed as error:
        return Finding("database", False, str(error))
    return found


async def _verify(directory: Path) -> Finding:
    database = await asyncio.to_thread(Database.open, directory)
    try:
        await database.write(lambda connection: None)
        found = await IncidentStore(database).verify()
    finally:
        await database.close()
    if not found.ok:
        text = f"{len(found.problems)} problems in the incident log: see `ayuda-broker log verify`"
        return Finding("database", False, text)
    return Finding("database", True, f"{directory}: {found.events} events, chain verified")


def _clock(now: datetime, monotonic: Callable[[], float]) -> Finding:
    before = monotonic()
    if not 2025 <= now.year < 2100 or monotonic() < before:
        text = f"it is not {now:%Y-%m-%d %H:%M} UTC: set the clock, best by NTP"
        return Finding("clock", False, text)
    return Finding("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _display(display: str | None) -> Finding:
    if not display:
        return Finding("display", True, "none here; only an agent needs one")
    try:
        subprocess.run(
            ["xdpyinfo", "-display", display],
            check=True,
            capture_output=True,
            timeout=X_TIMEOUT_S,
        )
    except FileNotFoundError:
        return Finding("display", False, "xdpyinfo is missing: install the package x11-utils")
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        text = f"{display} does not answer: unset DISPLAY, or start the X server"
        return Finding("display", False, text)
    return Finding("display", True, f"{display} answers")


def _encoder() -> Finding:
    try:
        context = av.VideoCodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = 64, 64, "yuv420p"
        context.time_base = Fraction(1, 30)
        packets = [*context.encode(av.VideoFrame(64, 64, "yuv420p")), *context.encode(None)]
    except (av.error.FFmpegError, ValueError) as error:
        text = f"no H.264 encoder: {error}. Install PyAV from its wheel, which has x264."
        return Finding("codecs", False, text)
    return Finding("codecs", bool(packets), "H.264 encodes")


def _srtp() -> Finding:
    try:
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        policy = Policy(key=bytes(28), ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        Session(policy).protect(bytes([0x80, 96, 0, 1]) + bytes(8) + b"payload")
    except SrtpError as error:
        return Finding("SRTP", False, f"AES-GCM does not work: {error}. Reinstall pylibsrtp.")
    return Finding("SRTP", True, "AES-GCM works")


def _batching() -> Finding:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        sends, reads = has_segmented_send(probe), set_coalesced_receive(probe)
    if sends and reads:
        return Finding("UDP batching", True, "the kernel sends and receives datagrams in batches")
    text = "not in this kernel, so each packet costs more; Linux 5.0 and later have it"
    return Finding("UDP batching", True, text)
