"""Janus, the peer of the relay's benchmark: its process, its HTTP API, its SDP.

The same clients talk to it as to our relay. They make offers and know lite ends only,
so Janus is an ICE-lite one here, and its offers to viewers are turned round.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil

LIBRARIES = Path("/usr/lib/x86_64-linux-gnu/janus")
ROOM = 1234
START_S = 15.0

_CONFIGURATION = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{folder}/plugins"
  transports_folder = "{folder}/transports"
  debug_level = 2
  session_timeout = 0
}}
nat: {{ ice_lite = true  full_trickle = false  ice_enforce_list = "{address}" }}
media: {{ ipv6 = false }}
"""
_HTTP = 'general: {{ http = true  port = {port}  ip = "127.0.0.1"  https = false }}\n'
_VIDEO_ROOM = (
    "room-{room}: {{ publishers = 2  bitrate = 0  fir_freq = 0"
    '  videocodec = "h264"  audiocodec = "none"  record = false }}\n'
)


class Janus:
    """A running Janus with one video room."""

    def __init__(self, url: str, process: psutil.Process, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._process = process
        self._http = http
        self._session = 0

    @property
    def cpu_s(self) -> float:
        """CPU seconds that its threads have used, finer than the clock ticks of psutil."""
        found = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in found) / 1e9

    @property
    def memory_bytes(self) -> int:
        """Its resident memory."""
        return int(self._process.memory_info().rss)

    async def publish(self, offer: str) -> str:
        """Join as the publisher with a client's offer; the answer for the client."""
        body = {"request": "joinandconfigure", "ptype": "publisher", "room": ROOM}
        event = await self._ask(await self._attach(), body, ("offer", _video_only(offer)))
        self._feed = event["plugindata"]["data"]["id"]
        return str(event["jsep"]["sdp"])

    async def subscribe(self, offer: str, address: tuple[str, int]) -> str:
        """Join as a viewer; Janus' offer as an answer to the client's."""
        handle = await self._attach()
        body: dict[str, Any] = {"request": "join", "ptype": "subscriber", "room": ROOM}
        body["streams"] = [{"feed": self._feed}]
        theirs = str((await self._ask(handle, body))["jsep"]["sdp"])
        await self._ask(
            handle, {"request": "start", "room": ROOM}, ("answer", _answer(theirs, offer, address))
        )
        return _with_payload_type_96(theirs.replace("a=setup:actpass", "a=setup:passive"))

    async def open(self) -> None:
        """Open the session of the API."""
        self._session = (await self._post("", {"janus": "create"}))["data"]["id"]

    async def _attach(self) -> int:
        request = {"janus": "attach", "plugin": "janus.plugin.videoroom"}
        return int((await self._post(f"/{self._session}", request))["data"]["id"])

    async def _ask(
        self, handle: int, body: dict[str, Any], jsep: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        request: dict[str, Any] = {"janus": "message", "body": body}
        if jsep is not None:
            request["jsep"] = {"type": jsep[0], "sdp": jsep[1]}
        transaction = (await self._post(f"/{self._session}/{handle}", request))["transaction"]
        async with asyncio.timeout(START_S):
            while True:
                async with self._http.get(f"{self._url}/{self._session}") as answer:
                    event: dict[str, Any] = await answer.json(content_type=None)
                if event.get("transaction") == transaction:
                    assert "error" not in event["plugindata"]["data"], event
                    return event

    async def _post(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        request = {**request, "transaction": secrets.token_hex(6)}
        async with self._http.post(self._url + path, json=request) as answer:
            result: dict[str, Any] = await answer.json(content_type=None)
        assert result["janus"] in ("success", "ack"), result
        return result


@contextlib.asynccontextmanager
async def janus(address: str) -> AsyncIterator[Janus]:
    """Debian's Janus with one room, for clients that reach this address."""
    with tempfile.TemporaryDirectory() as name:
        port = _configure(Path(name), address)
        process = await asyncio.create_subprocess_exec(
            "janus",
            *("--configs-folder", name, "--config", f"{name}/janus.jcfg", "--disable-stdout"),
            *("--log-file", f"{name}/log"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession() as http:
                made = Janus(f"http://127.0.0.1:{port}/janus", psutil.Process(process.pid), http)
                await _started(made)
                yield made
        finally:
            process.terminate()
            await process.wait()


async def _started(made: Janus) -> None:
    async with asyncio.timeout(START_S):
        while True:
            try:
                return await made.open()
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.1)


def _configure(folder: Path, address: str) -> int:
    for kind, library in (("plugins", "videoroom"), ("transports", "http")):
        (folder / kind).mkdir()
        shutil.copy(LIBRARIES / kind / f"libjanus_{library}.so", folder / kind)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    (folder / "janus.jcfg").write_text(_CONFIGURATION.format(folder=folder, address=address))
    (folder / "janus.transport.http.jcfg").write_text(_HTTP.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text(_VIDEO_ROOM.format(room=ROOM))
    return port


def _video_only(offer: str) -> str:
    """A client's offer without data channels, by an end that starts DTLS itself."""
    text = offer.partition("m=application")[0].replace("BUNDLE 0 1", "BUNDLE 0")
    return text.replace("a=setup:actpass", "a=setup:active")


def _answer(theirs: str, offer: str, address: tuple[str, int]) -> str:
    """An answer to Janus' offer from the transport of the client's own offer."""
    transport = re.findall(r"^a=(?:ice-ufrag|ice-pwd|fingerprint):.*$", offer, re.MULTILINE)[:3]
    mid = _found(r"a=mid:(\S+)", theirs)
    number = _h264(theirs)
    kept = re.findall(rf"^a=(?:rtpmap|fmtp|rtcp-fb):{number} .*$", theirs, re.MULTILINE)
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {mid}",
        f"m=video 9 UDP/TLS/RTP/SAVPF {number}",
        "c=IN IP4 0.0.0.0",
        f"a=mid:{mid}",
        "a=recvonly",
        "a=rtcp-mux",
        "a=setup:active",
        *transport,
        *kept,
        f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host",
        "a=end-of-candidates",
    ]
    return "\r\n".join(line.strip() for line in lines) + "\r\n"


def _with_payload_type_96(sdp: str) -> str:
    """The same with the payload type that our clients offer."""
    number = _h264(sdp)
    return re.sub(rf"(m=video .* |a=(?:rtpmap|fmtp|rtcp-fb):){number}\b", r"\g<1>96", sdp)


def _h264(sdp: str) -> str:
    return _found(r"a=rtpmap:(\d+) H264/90000", sdp)


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.IGNORECASE)
    assert found is not None, text
    return found[1]
