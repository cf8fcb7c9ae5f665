"""One session's picture: one publisher's encoded packets to many viewers.

The shell of `upstream.py` (what the publisher sends and is told) and of the
viewers (`viewer.py`: what each one gets). No transcoding, no task a packet. CPU of
a packet of 1,100 bytes, from the read on: about 50 µs with 1 viewer, 105 with 5,
175 with 10 (2 cores, Debian 12); more than half of it is SRTP and system calls.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Final

from broker.rtc.downstream import unaddressed
from broker.rtc.peer import Peer
from broker.rtc.repair import History
from broker.rtc.rtp import (
    VIDEO_CLOCK_HZ,
    Nack,
    Rtcp,
    RtpError,
    SenderReport,
    abs_send_time,
    parse_compound,
)
from broker.rtc.upstream import Arrival, Position, Upstream
from broker.rtc.viewer import Viewer

SENDER_REPORT_S: Final = 1.0
JOIN_FROM_HISTORY_S: Final = 1.0
"""A key frame not older than this serves a viewer who joins, from the history."""

SLOW_KEY_FRAME_S: Final = 2.0
"""Viewers whose way is too narrow for the stream get a key frame no more often than
this: it costs all others too."""

LIMIT_SHARE: Final = 0.9
"""Of the widest way when all are narrow: a key frame, and what is lost, must fit too."""

_BUSY_TICK_S: Final = 0.02
_IDLE_TICK_S: Final = 0.1


class Relay:
    """Forwards one publisher's video to every viewer.

    Plug `on_rtp` and `on_rtcp` into the Handlers of all its peers. `on_watching`
    tells of each peer when its picture begins to flow, and when it stops; for
    the publisher: from it.
    """

    def __init__(
        self,
        *,
        on_watching: Callable[[Peer, bool], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_watching = on_watching
        self._now = now
        self._publisher: Peer | None = None
        self._upstream: Upstream | None = None
        self._published = False
        self._viewers: dict[Peer, Viewer] = {}
        self._history = History()
        self._position = Position(secrets.randbelow(0x7FFF), secrets.randbits(31), now())
        self._paused = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._reported_at = now()
        self._slow_key_at = -1.0e9

    # ── who takes part ───────────────────────────────────────────────────────

    def set_publisher(self, peer: Peer | None) -> None:
        """Take the picture from this peer from now on; viewers' streams go on.

        The same peer again (its connection came back) only asks it for a key frame.
        """
        if self._closed:
            return
        if peer is not None and peer is self._publisher:
            self._want_key_frame()
            return
        self._stop_all()
        if self._upstream is not None:
            self._position = self._upstream.position
        self._history.clear()
        self._publisher, self._upstream = peer, None
        if peer is not None and peer.video is not None and not peer.video.sending:
            self._upstream = Upstream(peer.video, self._position, self._now())
            if self._viewers:
                self._want_key_frame()
        self._schedule()

    def add_viewer(self, peer: Peer) -> None:
        """Show the picture to this peer, from the next key frame on.

        A peer that is a viewer already is given a key frame. One that does not
        receive video is left alone.
        """
        if self._closed or peer.video is None or not peer.video.sending:
            return
        known = self._viewers.get(peer)
        if known is None:
            known = self._viewers[peer] = Viewer(peer, on_waits=self._schedule, now=self._now())
            if self._join_from_history(known):
                return
        self._want_key_frame()

    def remove(self, peer: Peer) -> None:
        """Forget a peer, whichever part it had."""
        if peer is self._publisher:
            self.set_publisher(None)
        viewer = self._viewers.get(peer)
        if viewer is not None:
            self._stop(viewer)
            del self._viewers[peer]

    def pause(self) -> None:
        """Forward nothing until `resume`."""
        self._paused = True
        self._stop_all()
        self._history.clear()

    def resume(self) -> None:
        """Forward again, from a new key frame on."""
        if self._paused:
            self._paused = False
            self._want_key_frame()

    def close(self) -> None:
        """End the relay; safe to call again."""
        if not self._closed:
            self.set_publisher(None)
            self._closed = True
            self._viewers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ── packets ──────────────────────────────────────────────────────────────

    def on_rtp(self, peer: Peer, packet: bytes) -> None:
        """A plain RTP packet of any of the peers."""
        upstream = self._upstream
        if upstream is None or peer is not self._publisher or self._paused:
            return
        now = self._now()
        try:
            arrival = upstream.on_rtp(packet, now)
        except RtpError:
            return
        if arrival is not None:
            self._forward(arrival, now)
        if upstream.has_gaps:
            self._send_requests(now)

    def on_rtcp(self, peer: Peer, packet: bytes) -> None:
        """A plain compound RTCP packet of any of the peers."""
        try:
            reports = parse_compound(packet)
        except RtpError:
            return
        now = self._now()
        if peer is self._publisher:
            self._hear_publisher(reports, now)
            return
        viewer = self._viewers.get(peer)
        if viewer is None:
            return
        for report in reports:
            if isinstance(report, Nack):
                if viewer.concerns(report):
                    viewer.resend(report.sequence_numbers, self._history, now)
            elif viewer.hear(report, now):
                self._want_key_frame()

    def _hear_publisher(self, reports: list[Rtcp], now: float) -> None:
        for report in reports:
            if isinstance(report, SenderReport) and self._upstream is not None:
                self._upstream.on_sender_report(report, now)

    def _forward(self, arrival: Arrival, now: float) -> None:
        """To every viewer, and into the history. Hot."""
        number = arrival.number
        packet = unaddressed(
            number, arrival.timestamp, arrival.marker, abs_send_time(now), arrival.payload
        )
        self._history.add(number & 0xFFFF, packet, now)
        if arrival.key:
            for viewer in list(self._viewers.values()):
                if viewer.takes_key_frame:
                    self._start(viewer, number, now)
                else:
                    viewer.forward(number, packet, now)
            self._publishes()
        else:
            for viewer in self._viewers.values():
                viewer.forward(number, packet, now)

    def _publishes(self) -> None:
        if not self._published and self._publisher is not None:
            self._published = True
            self._on_watching(self._publisher, True)

    def _start(self, viewer: Viewer, number: int, now: float) -> None:
        """Begin a viewer's picture at a key frame, with all that came after it."""
        upstream = self._upstream
        assert upstream is not None  # the key frame came from it
        viewer.start(number)
        with viewer.peer.burst():
            for later in range(number, upstream.position.number + 1):
                packet = self._history.get(later & 0xFFFF)
                if packet is not None:
                    viewer.forward(later, packet, now)
        if not viewer.watching:
            viewer.watching = True
            self._on_watching(viewer.peer, True)

    def _join_from_history(self, viewer: Viewer) -> bool:
        upstream = self._upstream
        if upstream is None or upstream.last_key is None or self._paused:
            return False
        number, at = upstream.last_key
        now = self._now()
        if now - at > JOIN_FROM_HISTORY_S or upstream.has_gaps:
            return False
        if self._history.get(number & 0xFFFF) is None:
            return False
        self._start(viewer, number, now)
        return True

    # ── what the publisher is told ───────────────────────────────────────────

    def _want_key_frame(self) -> None:
        if self._upstream is not None and not self._paused:
            self._upstream.want_key_frame()
            self._send_requests(self._now())

    def _send_requests(self, now: float) -> None:
        assert self._upstream is not None  # callers looked
        assert self._publisher is not None
        requests = self._upstream.requests(now)
        if requests:
            self._publisher.send_rtcp(requests)
        if self._upstream.restless:
            self._schedule()

    def _limit_bps(self) -> int | None:
        """The most that is of use to anybody; None while some way takes everything."""
        rates = [viewer.capacity.bps for viewer in self._viewers.values()]
        known = [bps for bps in rates if bps is not None]
        return int(LIMIT_SHARE * max(known)) if known and len(known) == len(rates) else None

    # ── time ─────────────────────────────────────────────────────────────────

    def tick(self, now: float) -> None:
        """Send what is due: waiting packets, requests and reports."""
        upstream, publisher = self._upstream, self._publisher
        if upstream is None or publisher is None:
            return
        if not self._paused:
            self._serve_slow(now)
            self._send_requests(now)
        report = upstream.report(self._limit_bps(), now)
        if report:
            publisher.send_rtcp(report)
        if now - self._reported_at >= SENDER_REPORT_S:
            self._reported_at = now
            position = upstream.position
            timestamp = position.timestamp + int((now - position.at) * VIDEO_CLOCK_HZ)
            for viewer in self._viewers.values():
                viewer.report(timestamp, now)

    def _serve_slow(self, now: float) -> None:
        """Send what waits; who has left frames out gets a key frame, at its turn."""
        wanted = False
        for viewer in self._viewers.values():
            viewer.sample(now)
            viewer.pump(now)
            wanted = wanted or (viewer.started and viewer.takes_key_frame)
        if wanted and now - self._slow_key_at >= SLOW_KEY_FRAME_S:
            self._slow_key_at = now
            self._want_key_frame()

    def _schedule(self) -> None:
        """Have `tick` called soon: sooner while something is being waited for."""
        upstream = self._upstream
        if self._closed or upstream is None:
            return
        loop = asyncio.get_running_loop()
        busy = upstream.restless or any(viewer.waits for viewer in self._viewers.values())
        delay_s = _BUSY_TICK_S if busy else _IDLE_TICK_S
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.tick(self._now())
        self._schedule()

    # ── stopping ─────────────────────────────────────────────────────────────

    def _stop(self, viewer: Viewer) -> None:
        viewer.stop()
        if viewer.watching:
            viewer.watching = False
            self._on_watching(viewer.peer, False)

    def _stop_all(self) -> None:
        for viewer in list(self._viewers.values()):
            self._stop(viewer)
        if self._published and self._publisher is not None:
            self._published = False
            self._on_watching(self._publisher, False)
