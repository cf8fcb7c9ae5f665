"""The pixels that a real display shows arrive, through encoder, network and repair."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from agent.publish import MAX_PAYLOAD_BYTES, WAITING_MAX_BYTES, Publisher
from agent.screen import Picture, Screen, open_screen
from agent.video import EncodedFrame
from agent.video.pipeline import Camera
from agent.video.quality import REFINE_S
from broker.rtc.payload.h264 import is_key_frame
from broker.rtc.rtp import SenderReport, nack, pli
from broker.rtc.upstream import OUR_SSRC
from tests.integration.picture_viewer import Session, step_shown
from tests.integration.rtc_ends import until
from tests.support.child import Child
from tests.support.display import xvfb

SIZE = (1280, 720)


async def pattern(display: str, *arguments: str) -> Child:
    """The window with the known pattern, shown."""
    width, height = SIZE
    command = ["tests.support.pattern", str(width), str(height), *arguments]
    child = await Child.start(command, {"DISPLAY": display})
    await child.line(r"^\d+ ")
    return child


async def test_the_pixels_that_arrive_are_those_displayed(display: str) -> None:
    window = await pattern(display)
    async with Session(display) as session:
        session.start()
        for step in (0, 1, 0b1010101010101010, 3, 65535, 12345):
            await window.type(str(step))
            await until(lambda step=step: step_shown(session.viewer.picture, *SIZE) == step)  # type: ignore[misc]
        assert session.failures == []
    await window.end()


async def test_one_key_frame_is_sent_at_the_start_and_one_when_asked(display: str) -> None:
    async with Session(display) as session:
        viewer = session.viewer
        session.start()
        await until(lambda: len(viewer.frames) >= 3)
        assert [is_key_frame(frame) for frame in viewer.frames[:3]] == [True, False, False]
        assert viewer.peer is not None
        assert viewer.peer.video is not None
        assert viewer.peer.video.ssrc is not None
        viewer.peer.send_rtcp(pli(OUR_SSRC, viewer.peer.video.ssrc))
        await until(lambda: viewer.keys == 2)


async def test_a_display_that_does_not_change_sends_nothing(display: str) -> None:
    async with Session(display) as session:
        session.start()
        await until(lambda: session.viewer.frames)
        await asyncio.sleep(REFINE_S[-1] + 0.5)
        packets = session.viewer.packets
        await asyncio.sleep(0.5)
        assert session.viewer.packets == packets


async def test_lost_packets_are_sent_again_and_the_picture_is_whole(display: str) -> None:
    window = await pattern(display, "0.05")
    async with Session(display) as session:
        assert session.nat is not None
        session.nat.loss = 0.05
        session.start()
        await until(lambda: len(session.viewer.frames) > 60, 30.0)
        assert session.nat.lost > 0
        first = session.viewer.frames[0]
        assert is_key_frame(first)
        assert session.rates[-1] >= session.rates[0]  # repaired, not answered by less
    await window.end()


async def test_a_heavily_lossy_network_gets_fewer_bits(display: str) -> None:
    window = await pattern(display, "0.04")
    async with Session(display) as session:
        assert session.nat is not None
        session.start()
        await until(lambda: session.viewer.frames)
        session.nat.loss = 0.3
        await until(lambda: session.rates[-1] < session.rates[0], 30.0)
    await window.end()


async def test_timestamps_follow_the_time_of_capture(display: str) -> None:
    window = await pattern(display, "0.1")
    async with Session(display) as session:
        session.start()
        await until(lambda: len(session.viewer.timestamps) > 30)
        steps = [later - at & 0xFFFFFFFF for at, later in pairwise(session.viewer.timestamps)]
        assert all(0 < step < 90_000 for step in steps)
        assert 2_000 < sum(steps) / len(steps) < 20_000
    await window.end()


async def test_the_sender_reports_each_second_and_measures_the_round_trip(display: str) -> None:
    async with Session(display) as session:
        session.start()
        await until(lambda: sum(isinstance(one, SenderReport) for one in session.viewer.rtcp) >= 3)
        await until(lambda: session.publisher.rtt_s is not None)
        reports = [one for one in session.viewer.rtcp if isinstance(one, SenderReport)]
        assert reports[-1].packet_count > 0
        assert reports[-1].octet_count > 0


async def test_no_packet_is_larger_than_every_network_takes(display: str) -> None:
    async with Session(display) as session:
        session.start()
        await until(lambda: session.viewer.frames)
        assert max(session.viewer.sizes) <= MAX_PAYLOAD_BYTES


async def test_hostile_feedback_is_no_trouble(display: str) -> None:
    async with Session(display) as session:
        viewer = session.viewer
        session.start()
        await until(lambda: viewer.frames)
        assert viewer.peer is not None
        assert viewer.peer.video is not None
        ssrc = viewer.peer.video.ssrc or 0
        for number in range(0, 65536, 64):
            wanted = range(number, number + 64)
            viewer.peer.send_rtcp(nack(OUR_SSRC, ssrc, list(wanted)))
            viewer.peer.send_rtcp(pli(OUR_SSRC, ssrc) + pli(OUR_SSRC, ssrc ^ 1))
        viewer.peer.send_rtcp(b"\x81\xcd\x00\x09" + bytes(8))  # cut short
        viewer.peer.send_rtcp(nack(OUR_SSRC, ssrc, [1]))
        await until(lambda: viewer.keys >= 2)
        await asyncio.sleep(0.5)
        assert viewer.keys < 10  # a flood of requests is one wish
        assert session.failures == []


def noise(size_bytes: int, *, key: bool) -> EncodedFrame:
    """A frame that only its length matters of."""
    kinds = (7, 8, 5) if key else (1,)
    data = b"".join(b"\x00\x00\x01" + bytes((0x60 | kind, 0x80)) for kind in kinds)
    return EncodedFrame(data + b"\x11" * size_bytes, key, time.monotonic(), 64, 64)


async def test_more_than_can_wait_is_dropped_up_to_the_next_key_frame(display: str) -> None:
    async with Session(display) as session:
        wanted: list[bool] = []
        publisher = Publisher(
            session.peer,
            on_key_frame_wanted=lambda: wanted.append(True),
            on_rate=session.rates.append,
        )
        publisher.resume()
        publisher.send(noise(WAITING_MAX_BYTES * 2, key=False))
        assert not wanted
        assert publisher.send(noise(1000, key=False)) == 0.0
        assert publisher.send(noise(1000, key=False)) == 0.0
        assert len(wanted) == 2
        publisher.send(noise(1000, key=True))
        publisher.send(noise(1000, key=False))
        assert len(wanted) == 2
        await publisher.close()


async def test_what_waits_at_a_pause_leaves_no_gap_behind(display: str) -> None:
    async with Session(display) as session:
        viewer, publisher = session.viewer, session.publisher
        publisher.resume()
        for _ in range(3):
            assert publisher.send(noise(400_000, key=False)) > 0
            await asyncio.sleep(0.02)
            publisher.pause()
            assert publisher.send(noise(1000, key=False)) == 0.0
            publisher.resume()
            assert publisher.send(noise(1000, key=False)) < 0.01
        session.start()
        await until(lambda: viewer.frames)
        assert viewer.upstream is not None
        assert not viewer.upstream.has_gaps
        assert viewer.packets < 3 * 400_000 / MAX_PAYLOAD_BYTES


async def test_a_display_that_changes_its_size_is_followed(display: str) -> None:
    async with Session(display) as session:
        viewer = session.viewer
        session.start()
        await until(lambda: viewer.picture is not None and viewer.picture.shape[:2] == (720, 1280))
        for width, height in ((801, 601), (1280, 720)):
            resized = await Child.start(
                ["tests.support.resize", str(width), str(height)], {"DISPLAY": display}
            )
            assert await resized.wait() == 0, resized.text
            even = height & ~1, width & ~1
            await until(
                lambda even=even: viewer.picture is not None and viewer.picture.shape[:2] == even  # type: ignore[misc]
            )
        assert session.failures == []


async def test_the_pointer_is_in_the_picture(display: str) -> None:
    async with Session(display) as session:
        viewer = session.viewer
        session.start()
        for x, y in ((300, 200), (900, 500)):
            mover = await asyncio.create_subprocess_exec(
                "xdotool", "mousemove", str(x), str(y), env={"DISPLAY": display}
            )
            await mover.wait()
            await until(
                lambda x=x, y=y: (  # type: ignore[misc]
                    viewer.picture is not None
                    and float(viewer.picture[y - 8 : y + 8, x - 8 : x + 8].std()) > 10
                )
            )


async def test_a_display_that_is_not_there_is_said() -> None:
    failures: list[str] = []
    camera = Camera(":4711", on_failed=failures.append)
    camera.start(lambda frame: 0.0)
    await until(lambda: failures)
    assert failures[0].startswith("the display :4711 cannot be read (")
    assert "check that it is running" in failures[0]


async def test_a_display_that_goes_away_is_said() -> None:
    failures: list[str] = []
    frames: list[EncodedFrame] = []

    def take(frame: EncodedFrame) -> float:
        frames.append(frame)
        return 0.0

    async with xvfb() as display:
        camera = Camera(display, on_failed=failures.append)
        camera.start(take)
        await until(lambda: frames)
    await until(lambda: failures)
    assert f"the display {display} cannot be read" in failures[0]


async def test_it_starts_again_after_a_failure() -> None:
    failures: list[str] = []
    frames: list[EncodedFrame] = []
    displays = [":4711"]

    def take(frame: EncodedFrame) -> float:
        frames.append(frame)
        return 0.0

    camera = Camera("", on_failed=failures.append, open_display=lambda _: open_screen(displays[-1]))
    camera.start(take)
    await until(lambda: failures)
    async with xvfb() as display:
        displays.append(display)
        camera.start(take)
        await until(lambda: frames)
        camera.stop()
    assert len(failures) == 1


class Watched:
    """A screen that tells of each reading, and can be held in the middle of one."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.grabs = 0
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.inside = threading.Event()

    def grab(self) -> Picture:
        """Read the screen, when allowed."""
        self.grabs += 1
        self.inside.set()
        self.goes_on.wait()
        return self._screen.grab()

    def changed(self) -> bool | None:
        """What the screen says."""
        return self._screen.changed()

    def fileno(self) -> int | None:
        """Where the screen says it."""
        return self._screen.fileno()

    def close(self) -> None:
        """Close the screen."""
        self._screen.close()


def watched_camera(display: str, failures: list[str]) -> tuple[Camera, Callable[[], Watched]]:
    """A camera, and its screen once it is open."""
    opened: list[Watched] = []

    def open_display(name: str) -> Screen:
        opened.append(Watched(open_screen(name)))
        return opened[-1]

    camera = Camera(display, on_failed=failures.append, open_display=open_display)
    return camera, lambda: opened[-1]


async def test_after_stop_the_screen_is_read_no_more(display: str) -> None:
    failures: list[str] = []
    frames: list[EncodedFrame] = []

    def take(frame: EncodedFrame) -> float:
        frames.append(frame)
        return 0.0

    camera, screen = watched_camera(display, failures)
    window = await pattern(display, "0.02")
    for _ in range(10):
        camera.start(take)
        seen = len(frames)
        await until(lambda seen=seen: len(frames) > seen + 2)  # type: ignore[misc]
        camera.stop()
        grabs, made = screen().grabs, len(frames)
        await asyncio.sleep(0.1)
        assert (screen().grabs, len(frames)) == (grabs, made)
    assert failures == []
    await window.end()


async def test_a_display_that_hangs_does_not_hang_the_agent(display: str) -> None:
    failures: list[str] = []
    frames: list[EncodedFrame] = []

    def take(frame: EncodedFrame) -> float:
        frames.append(frame)
        return 0.0

    camera, screen = watched_camera(display, failures)
    camera.start(take)
    await until(lambda: frames)
    screen().goes_on.clear()
    screen().inside.clear()
    camera.request_key_frame()
    await asyncio.to_thread(screen().inside.wait)
    camera.stop()
    made, held = len(frames), screen()
    held.goes_on.set()
    await asyncio.sleep(0.2)
    assert len(frames) == made
    assert failures == []


async def test_a_sender_that_is_behind_is_given_no_more_than_one_frame(display: str) -> None:
    frames: list[EncodedFrame] = []

    def take(frame: EncodedFrame) -> float:
        frames.append(frame)
        return 0.3

    window = await pattern(display, "0.02")
    camera = Camera(display, on_failed=pytest.fail)
    camera.start(take)
    await until(lambda: len(frames) >= 4)
    camera.stop()
    pauses = [later.captured_at - at.captured_at for at, later in pairwise(frames)]
    assert min(pauses) >= 0.3
    await window.end()
