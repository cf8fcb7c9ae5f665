"""A bad line to the technician: how long the picture stands still, beside stock aiortc.

    make bench-loss

2 % of the datagrams are lost each way, the round trip is 100 ms. The same Chromium
shows the same display, once through agent and broker, once sent by aiortc as its
examples do. Chromium itself counts freezes (`totalFreezesDuration`).
"""

from __future__ import annotations

import asyncio
import fractions
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import mss
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import VideoFrame
from msgspec import Struct
from playwright.async_api import Browser, Page, async_playwright

from tests.bench.report import figure, report
from tests.support.agent import Agent
from tests.support.broker import Broker
from tests.support.display import xvfb
from tests.support.network import Nat
from tests.support.technician import Technician, launch

SECONDS = float(os.environ.get("AYUDA_BENCH_SECONDS", "60"))
LOSS = 0.02
DELAY_S = 0.05
WIDTH, HEIGHT = 1280, 720
FRAME_S = 1 / 30
SCROLLS = f"""
import time
for number in range(10**9):
    print(number, "the quick brown fox jumps over the lazy dog " * 3, flush=True)
    time.sleep({FRAME_S})
"""

THROUGH = """([from, to]) => {
  const Real = RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Real {
    constructor(...options) { super(...options); globalThis.peer = this; }
    setRemoteDescription(answer) {
      const sdp = answer.sdp.replaceAll(` ${from} typ`, ` ${to} typ`);
      return super.setRemoteDescription({ type: answer.type, sdp });
    }
  };
}"""
OFFER = """async () => {
  const peer = globalThis.peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.ontrack = (event) => {
    const video = document.createElement("video");
    video.muted = true; video.autoplay = true;
    video.srcObject = new MediaStream([event.track]);
    document.body.append(video);
  };
  await peer.setLocalDescription();
  while (peer.iceGatheringState !== "complete") await new Promise((go) => setTimeout(go, 20));
  return peer.localDescription.sdp;
}"""
STATS = """async () => {
  for (const r of (await globalThis.peer.getStats()).values())
    if (r.type === "inbound-rtp" && r.kind === "video")
      return [r.totalFreezesDuration, r.freezeCount, r.framesDecoded, r.packetsLost];
  return [0, 0, 0, 0];
}"""
LONGEST = """seconds => new Promise((done) => {
  const video = document.querySelector("video");
  const end = performance.now() + seconds * 1000;
  let last = performance.now(), longest = 0;
  const frame = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    video.requestVideoFrameCallback(frame);
  };
  video.requestVideoFrameCallback(frame);
  setTimeout(() => done(Math.max(longest, performance.now() - last)), end - performance.now());
})"""


class Seen(Struct, frozen=True):
    """What one Chromium saw on the bad line."""

    frozen_s: float
    freezes: int
    per_second: float
    longest_ms: float


class Display(VideoStreamTrack):
    """A display as aiortc's users send it."""

    def __init__(self, display: str) -> None:
        super().__init__()
        self._screen = mss.MSS(display=display)
        self._start = time.monotonic()
        self._count = 0

    async def recv(self) -> VideoFrame:
        """The next picture, 30 a second."""
        self._count += 1
        await asyncio.sleep(max(0.0, self._start + self._count * FRAME_S - time.monotonic()))
        shot = self._screen.grab(self._screen.monitors[0])
        pixels = np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4)
        frame = VideoFrame.from_ndarray(pixels, "bgra")
        frame.pts = int((time.monotonic() - self._start) * 90_000)
        frame.time_base = fractions.Fraction(1, 90_000)
        return frame


async def watch(page: Page, nat: Nat) -> Seen:
    """Good for a while, then bad for SECONDS."""
    await asyncio.sleep(3.0)
    nat.loss = LOSS
    before = await page.evaluate(STATS)
    longest = await page.evaluate(LONGEST, SECONDS)
    after = await page.evaluate(STATS)
    frozen_s, freezes, frames, _ = (b - a for a, b in zip(before, after, strict=True))
    return Seen(frozen_s, freezes, frames / SECONDS, longest)


async def ours(browser: Browser, broker: Broker, display: str, directory: Path) -> Seen:
    """Agent and broker."""
    nat = await Nat.open(("127.0.0.1", broker.udp_port))
    nat.delay_s = DELAY_S
    agent = await Agent.start(broker, display, directory / "device")
    technician = await Technician.sign_in(browser, broker, "Ana Ruiz")
    ports = f"[{broker.udp_port}, {nat.port}]"
    await technician.context.add_init_script(f"({THROUGH})({ports})")
    await technician.join(await agent.code())
    await agent.allow("Ana Ruiz")
    await technician.sees_picture()
    seen = await watch(technician.page, nat)
    await technician.close()
    await agent.child.end()
    nat.close()
    return seen


async def theirs(browser: Browser, broker: Broker, display: str) -> Seen:
    """Stock aiortc in this process, H.264."""
    page = await browser.new_page()
    await page.goto(broker.url)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = peer.addTransceiver("video", direction="sendonly")
    transceiver.sender.replaceTrack(Display(display))
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([one for one in codecs if one.mimeType != "video/VP8"])
    nat = await Nat.open(("127.0.0.1", 0))
    nat.delay_s = DELAY_S
    offer = _leading_to(*nat.outside, await page.evaluate(OFFER))
    await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await peer.setLocalDescription(await peer.createAnswer())
    sdp = peer.localDescription.sdp
    found = re.search(r"^a=candidate:\S+ 1 udp \S+ ([0-9.]+) (\d+)", sdp, re.MULTILINE)
    assert found is not None
    nat.server = found[1], int(found[2])
    answer = {"type": "answer", "sdp": _leading_to("127.0.0.1", nat.port, sdp)}
    await page.evaluate("(answer) => globalThis.peer.setRemoteDescription(answer)", answer)
    await page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")
    seen = await watch(page, nat)
    await page.close()
    await peer.close()
    nat.close()
    return seen


def _leading_to(host: str, port: int, sdp: str) -> str:
    """The same with this address alone."""
    lines = [one for one in sdp.splitlines() if not one.startswith("a=candidate")]
    at = next(index for index, one in enumerate(lines) if one.startswith("a=ice-ufrag"))
    lines.insert(at, f"a=candidate:1 1 udp 2130706431 {host} {port} typ host")
    return "\r\n".join(lines) + "\r\n"


async def main() -> None:
    """Measure both, print, write."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        broker = Broker(directory / "broker", {})
        await broker.start()
        async with xvfb(WIDTH, HEIGHT) as display, async_playwright() as playwright:
            browser = await launch(playwright)
            terminal = await asyncio.create_subprocess_exec(
                *("xterm", "-display", display, "-geometry", "150x50+0+0", "-e"),
                *(sys.executable, "-c", SCROLLS),
            )
            mine = await ours(browser, broker, display, directory)
            other = await theirs(browser, broker, display)
            terminal.terminate()
            await terminal.wait()
            await browser.close()
        await broker.process.end()
    bar = round(0.1 * other.frozen_s, 2)
    report(
        "loss",
        [
            figure("frozen in all", "s", mine.frozen_s, peer=other.frozen_s, bar=bar),
            figure("freezes", "", mine.freezes, peer=other.freezes),
            figure(
                "longest without a new picture",
                "ms",
                mine.longest_ms,
                peer=other.longest_ms,
                bar=1000,
            ),
            figure("pictures a second", "1/s", mine.per_second, peer=other.per_second),
        ],
    )


if __name__ == "__main__":
    asyncio.run(main())
