"""The engine and the relay with a real Chromium as the viewer."""

from __future__ import annotations

import asyncio
import fractions
import time
from collections.abc import AsyncIterator
from typing import Any

import av
import numpy as np
import pytest
from aiohttp import web
from av.video.frame import PictureType
from playwright.async_api import Browser, Page

from broker.rtc.engine import Engine
from broker.rtc.payload.h264 import packetise
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.relay import Relay
from broker.rtc.repair import History
from broker.rtc.rtp import Nack, PictureLoss, build_packet, build_rtx, parse_compound
from tests.integration.rtc_ends import CHANNELS, through, until
from tests.support.network import Nat

WIDTH, HEIGHT, FPS = 640, 360, 30
DARK, BRIGHT = 40, 200

PAGE = """<!doctype html><video id="screen" autoplay muted playsinline></video><script>
const heard = [];
let connection, channel;
async function watch() {
  connection = new RTCPeerConnection();
  connection.addTransceiver("video", {direction: "recvonly"});
  channel = connection.createDataChannel("chat", {negotiated: true, id: 0});
  channel.onmessage = event => heard.push(event.data);
  connection.ontrack = event => { screen_.srcObject = event.streams[0]; };
  await connection.setLocalDescription(await connection.createOffer());
  const answer = await fetch("/offer", {method: "POST", body: connection.localDescription.sdp});
  await connection.setRemoteDescription({type: "answer", sdp: await answer.text()});
}
const screen_ = document.getElementById("screen");
async function inbound() {
  for (const one of (await connection.getStats()).values())
    if (one.type === "inbound-rtp" && one.kind === "video") return one;
  return {};
}
function halves() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [screen_.videoWidth, screen_.videoHeight];
  const context = canvas.getContext("2d");
  context.drawImage(screen_, 0, 0);
  const at = x => context.getImageData(x, canvas.height / 2, 1, 1).data[0];
  return [at(canvas.width / 4), at(canvas.width * 3 / 4)];
}
</script>"""


class Camera:
    """A publisher of an x264 picture, dark on the left and bright on the right."""

    def __init__(self, peer: Peer) -> None:
        self.key_frames_wanted = 0
        self._peer = peer
        self._want_key = False
        self._history = History()
        self._next = 65_000
        self._next_rtx = 0

    def on_rtcp(self, peer: Peer, packet: bytes) -> None:
        for report in parse_compound(packet):
            if isinstance(report, PictureLoss):
                self.key_frames_wanted += 1
                self._want_key = True
            elif isinstance(report, Nack):
                self._resend(report.sequence_numbers)

    async def run(self) -> None:
        """Publish until cancelled."""
        context: Any = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context.time_base, context.framerate = fractions.Fraction(1, 90_000), FPS
        context.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "100000"}
        context.profile = "Baseline"
        noise = np.random.default_rng(1).integers(0, 20, (HEIGHT * 3 // 2, WIDTH), np.uint8)
        started = time.monotonic()
        for index in range(1_000_000):
            planes = np.roll(noise, 4 * index, axis=0)
            planes[:HEIGHT, : WIDTH // 2] += DARK
            planes[:HEIGHT, WIDTH // 2 :] += BRIGHT
            planes[HEIGHT:] = 128
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = int((time.monotonic() - started) * 90_000)
            if self._want_key:
                self._want_key = False
                frame.pict_type = PictureType.I
            for encoded in context.encode(frame):
                self._send(bytes(encoded), frame.pts)
            await asyncio.sleep(max(0.0, started + (index + 1) / FPS - time.monotonic()))

    def _send(self, access_unit: bytes, timestamp: int) -> None:
        video = self._peer.video
        assert video is not None
        assert video.ssrc is not None
        payloads = packetise(access_unit, 1140)
        for index, payload in enumerate(payloads, 1):
            self._next += 1
            packet = build_packet(
                payload_type=video.payload_type,
                sequence_number=self._next,
                timestamp=timestamp,
                ssrc=video.ssrc,
                payload=payload,
                marker=index == len(payloads),
            )
            self._history.add(self._next & 0xFFFF, packet, time.monotonic())
            self._peer.send_rtp(packet)

    def _resend(self, sequence_numbers: tuple[int, ...]) -> None:
        video = self._peer.video
        assert video is not None
        assert video.rtx_payload_type is not None
        assert video.rtx_ssrc is not None
        for number in sequence_numbers:
            packet = self._history.get(number)
            if packet is not None:
                self._next_rtx += 1
                self._peer.send_rtp(
                    build_rtx(
                        packet,
                        payload_type=video.rtx_payload_type,
                        sequence_number=self._next_rtx,
                        ssrc=video.rtx_ssrc,
                    )
                )


class Studio:
    """A broker with a relay, a publisher, and a page for viewers."""

    def __init__(self, broker: Engine, client: Engine) -> None:
        self.broker = broker
        self.client = client
        self.relay = Relay(on_watching=lambda peer, yes: None)
        self.viewers: list[Peer] = []
        self.messages: list[str | bytes] = []
        self.nat: Nat | None = None  # for the next viewer
        self.camera: Camera
        self.url = ""

    async def start(self) -> None:
        peer, offer = await self.client.offer(
            Handlers(on_rtcp=lambda peer, packet: self.camera.on_rtcp(peer, packet)),
            send_video=True,
        )
        self.camera = Camera(peer)
        at_broker, answer = await self.broker.answer(offer, self._handlers())
        await peer.accept(answer)
        await until(lambda: at_broker.state is PeerState.CONNECTED)
        self.relay.set_publisher(at_broker)
        app = web.Application()
        app.router.add_get("/", self._page)
        app.router.add_post("/offer", self._offer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        self._task = asyncio.create_task(self.camera.run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._runner.cleanup()
        self.relay.close()
        await self.client.close()
        await self.broker.close()

    async def viewer(self, browser: Browser, nat: Nat | None = None) -> Page:
        """A tab that shows the picture."""
        self.nat = nat
        page = await browser.new_page()
        await page.goto(self.url)
        await page.evaluate("watch()")
        await frames(page, 5)
        return page

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def _offer(self, request: web.Request) -> web.Response:
        peer, answer = await self.broker.answer(await request.text(), self._handlers())
        self.viewers.append(peer)
        if self.nat is not None:
            answer = through(self.broker.port, self.nat.port)(answer)
        return web.Response(text=answer)

    def _handlers(self) -> Handlers:
        def on_state(peer: Peer, state: PeerState, why: str) -> None:
            if state is PeerState.CONNECTED and peer in self.viewers:
                self.relay.add_viewer(peer)
            elif state is PeerState.CLOSED:
                self.relay.remove(peer)

        return Handlers(
            on_state=on_state,
            on_message=lambda peer, label, data: self.messages.append(data),
            on_rtp=self.relay.on_rtp,
            on_rtcp=self.relay.on_rtcp,
        )


async def frames(page: Page, more: int) -> dict[str, Any]:
    """Wait until this many more frames are decoded; the statistics then."""
    wanted = (await page.evaluate("inbound()")).get("framesDecoded", 0) + more
    async with asyncio.timeout(20):
        while True:
            statistics = dict(await page.evaluate("inbound()"))
            if statistics.get("framesDecoded", 0) >= wanted:
                return statistics
            await asyncio.sleep(0.05)


@pytest.fixture
async def studio() -> AsyncIterator[Studio]:
    made = Studio(
        await Engine.open(host="127.0.0.1", port=0, channels=CHANNELS),
        await Engine.open_client(channels=CHANNELS),
    )
    await made.start()
    yield made
    await made.close()


async def test_the_picture_arrives_and_chat_goes_both_ways(
    studio: Studio, browser: Browser
) -> None:
    page = await studio.viewer(browser)
    statistics = await frames(page, 30)
    assert (statistics["frameWidth"], statistics["frameHeight"]) == (WIDTH, HEIGHT)
    left, right = await page.evaluate("halves()")
    assert left < 80 < 160 < right
    await page.evaluate("channel.send('¿se ve?')")
    await until(lambda: studio.messages == ["¿se ve?"])
    assert studio.viewers[0].send("chat", "sí")
    await page.wait_for_function("heard.length === 1 && heard[0] === 'sí'")
    await page.evaluate("connection.close()")
    await until(lambda: studio.viewers[0].state is PeerState.CLOSED)


async def test_a_second_viewer_is_served_by_a_key_frame_and_the_first_is_not_disturbed(
    studio: Studio, browser: Browser
) -> None:
    first = await studio.viewer(browser)
    await frames(first, 40)  # the first key frame is too old to begin with
    wanted = studio.camera.key_frames_wanted
    second = await studio.viewer(browser)
    assert studio.camera.key_frames_wanted == wanted + 1
    assert (await frames(second, 20))["keyFramesDecoded"] == 1
    assert (await frames(first, 20))["packetsLost"] == 0


async def test_lost_packets_are_repaired_by_retransmission(
    studio: Studio, browser: Browser
) -> None:
    nat = await Nat.open(("127.0.0.1", studio.broker.port))
    page = await studio.viewer(browser, nat)
    nat.loss = 0.05
    statistics = await frames(page, 120)
    assert nat.lost > 10
    assert statistics["nackCount"] > 0
    assert statistics["retransmittedPacketsReceived"] > 0
    nat.close()


async def test_a_browser_that_changes_its_address_keeps_the_picture(
    studio: Studio, browser: Browser
) -> None:
    nat = await Nat.open(("127.0.0.1", studio.broker.port))
    page = await studio.viewer(browser, nat)
    await nat.rebind()
    await until(lambda: studio.viewers[0].address == nat.outside)
    await frames(page, 30)
    assert studio.viewers[0].state is PeerState.CONNECTED
    nat.close()
