"""One remote peer: its addresses, DTLS, SRTP and data channels.

Driven by the engine, which gives it the datagrams that are its own and a tick.
It has one timer (the handshake's and the client's checks'), and no task.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from broker.rtc.channels import Channels, ChannelsFailed
from broker.rtc.dtls import Dtls, DtlsClosed, DtlsFailed, Identity
from broker.rtc.ice import LIVENESS_S, BindingRequest, Checks, Credentials, Target, accept_request
from broker.rtc.negotiate import NegotiatedVideo, Remote
from broker.rtc.port import Address, Path, Port, plain_address
from broker.rtc.rtp import is_rtcp
from broker.rtc.srtp import Srtp
from broker.rtc.whereabouts import Whereabouts

HANDSHAKE_S: Final = 10.0
"""A handshake that takes longer than this fails."""

CONNECT_S: Final = 20.0
"""A peer that never connected is closed after this."""

LOST_S: Final = 60.0
"""A lost peer that does not come back is closed after this."""

logger = logging.getLogger(__name__)


class PeerState(StrEnum):
    """Where a peer's connection stands."""

    NEW = "new"  # offered or answered; nothing came yet
    CONNECTING = "connecting"  # a check was authentic, the handshake may run
    CONNECTED = "connected"  # picture and channels can flow
    LOST = "lost"  # nothing authentic for LIVENESS_S; comes back by itself if it can
    CLOSED = "closed"  # for good


_LOST: Final = PeerState.LOST


def _ignore(*_: object) -> None:
    """The default for what a caller does not want to hear."""


@dataclass(frozen=True)
class Handlers:
    """What a peer tells; every call comes on the loop and must not wait."""

    on_state: Callable[[Peer, PeerState, str], None] = _ignore
    on_channel: Callable[[Peer, str], None] = _ignore  # label; open
    on_message: Callable[[Peer, str, str | bytes], None] = _ignore  # label, data
    on_rtp: Callable[[Peer, bytes], None] = _ignore  # plain, authentic
    on_rtcp: Callable[[Peer, bytes], None] = _ignore  # plain compound, authentic


@dataclass(slots=True)
class Stats:
    """Counters of one peer."""

    rtp_in: int = 0
    rtp_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused_in: int = 0  # SRTP that is forged, replayed, or of one source too many


@dataclass(frozen=True)
class House:
    """What the engine shares with its peers."""

    port: Port
    identity: Identity
    channels: Mapping[str, int]
    now: Callable[[], float]
    may_start_handshake: Callable[[Peer], bool]
    on_address: Callable[[Peer, Address], bool]  # False: no room for this address
    on_forget: Callable[[Peer, Address], None]
    on_closed: Callable[[Peer], None]


@dataclass
class Peer:
    """One remote end. Made by an Engine; see its `answer` and `offer`."""

    id: int
    house: House = field(repr=False)
    handlers: Handlers = field(repr=False)
    local: Credentials = field(repr=False)
    server: bool  # of DTLS: the lite end
    remote: Remote | None = field(default=None, repr=False)
    video: NegotiatedVideo | None = None
    state: PeerState = PeerState.NEW
    stats: Stats = field(default_factory=Stats)
    on_answer: Callable[[str], None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        now = self.house.now()
        self._created_at = now
        self._authentic_at = now  # from any address
        self._handshake_at: float | None = None
        self._where = Whereabouts(now)
        self._dtls: Dtls | None = None
        self._srtp: Srtp | None = None
        self._channels: Channels | None = None
        self._checks: Checks | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    # ── what callers use ─────────────────────────────────────────────────────

    @property
    def address(self) -> Target | None:
        """Where the peer is now, for logs."""
        path = self._where.current
        return None if path is None else plain_address(path.remote)

    @property
    def addresses(self) -> list[Address]:
        """Every address from which a check was authentic, oldest first."""
        return self._where.addresses

    def uses(self, remote: Address) -> bool:
        """Whether this is the address that the peer is at now."""
        return self._where.uses(remote)

    @property
    def connected(self) -> bool:
        """Whether the DTLS handshake is complete."""
        return self._dtls is not None and self._dtls.connected

    @property
    def handshaking(self) -> bool:
        """Whether a DTLS handshake is under way."""
        return self._dtls is not None and not self._dtls.connected

    @property
    def source(self) -> str:
        """Who is counted for limits: the IPv4 address or the IPv6 /64 network."""
        host = self.address
        if host is None:
            return ""
        address = ipaddress.ip_address(host[0])
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)

    async def accept(self, answer_sdp: str) -> None:
        """Take the lite end's answer to our offer (client only). Raises SdpError."""
        if self.on_answer is None:
            raise RuntimeError("this peer answered; there is no answer to it")
        self.on_answer(answer_sdp)

    def send(self, label: str, data: str | bytes) -> bool:
        """Queue a message on a channel; False if it is not open or is full."""
        if self._channels is None or self.state is not PeerState.CONNECTED:
            return False
        return self._channels.send(label, data)

    def send_rtp(self, packet: bytes) -> None:
        """Protect an RTP packet and send it now; dropped while not connected."""
        srtp, path = self._srtp, self._where.current
        # Nobody who fell silent is sent media (RFC 7675 §5.1).
        if srtp is None or path is None or self.state is _LOST:
            return
        protected = srtp.protect(packet)
        if protected is not None:
            self.house.port.send(protected, path)
            self.stats.rtp_out += 1
            self.stats.bytes_out += len(protected)

    def burst(self) -> AbstractContextManager[None]:
        """Within this context what is sent is held back, then sent together."""
        return self.house.port.burst()

    def send_rtcp(self, packet: bytes) -> None:
        """Protect a compound RTCP packet and send it now; dropped while not connected."""
        srtp, path = self._srtp, self._where.current
        if srtp is None or path is None or self.state is _LOST:
            return
        protected = srtp.protect_rtcp(packet)
        if protected is not None:
            self.house.port.send(protected, path)

    async def close(self) -> None:
        """Say goodbye and forget the peer; safe to call again."""
        self.shut("closed here")

    def shut(self, why: str) -> None:
        """`close` for callers that cannot wait; `why` goes to `on_state`."""
        if self.state is PeerState.CLOSED:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._channels is not None:
            self._channels.close()
        if self._dtls is not None:
            self._dtls.close()
        self._channels = self._srtp = self._dtls = self._checks = None
        self._set_state(PeerState.CLOSED, why)
        self.house.on_closed(self)

    # ── what the engine calls ────────────────────────────────────────────────

    def start_checks(self, remote: Remote, targets: list[Target]) -> None:
        """Look for the lite end at these addresses (client only)."""
        self.remote = remote
        self._checks = Checks(
            self.local,
            remote.credentials,
            targets,
            self.house.now(),
            tie_breaker=secrets.randbits(64),
            new_id=lambda: os.urandom(12),
        )
        self._on_timer()

    def on_request(self, request: BindingRequest, path: Path) -> bool:
        """A binding request with our ufrag; False if it is not authentic."""
        if self.remote is None or self.state is PeerState.CLOSED:
            return False
        response = accept_request(
            request, self.local, self.remote.credentials.ufrag, plain_address(path.remote)
        )
        if response is None:
            return False
        if not self._on_check(path, nominated=request.use_candidate):
            return False  # a success would promise more than we can keep
        self.house.port.send(response, path)
        self._authentic()
        if self.state is PeerState.NEW:
            self._set_state(PeerState.CONNECTING, "reached")
        return True

    def on_response(self, datagram: bytes, path: Path) -> bool:
        """A STUN response; False if it answers no check of ours."""
        if self._checks is None:
            return False
        before = self._checks.selected
        if not self._checks.on_response(datagram, plain_address(path.remote), self.house.now()):
            return False
        self._authentic()
        selected = self._checks.selected
        if selected is not None and selected != before:
            self._on_check(path, nominated=True)
            self._where.move(self._where.path(path.remote) or path, self.house.now())
            if self.state is PeerState.NEW:
                self._set_state(PeerState.CONNECTING, "reached")
            if self._dtls is None and self.state is not PeerState.CLOSED:
                self._handshake(lambda dtls: dtls.start())
        self._set_timer()
        return True

    def on_dtls(self, datagram: bytes, remote: Address) -> None:
        """A DTLS datagram from an address of this peer, perhaps of another peer there."""
        path = self._where.path(remote)
        if path is None or self.state is PeerState.CLOSED:
            return
        dtls = self._dtls
        if dtls is None:
            if self.server and datagram[0] == 22 and self.house.may_start_handshake(self):
                self._where.move(path, self.house.now())
                self._handshake(lambda started: self._receive(started, datagram))
            return
        if not dtls.connected:
            self._handshake(lambda started: self._receive(started, datagram))
            return
        try:
            if self._receive(dtls, datagram):
                self._where.move(path, self.house.now())
        except DtlsClosed:
            self.shut("closed by the peer")

    def on_srtp(self, datagram: bytes, remote: Address) -> bool:
        """An SRTP or SRTCP datagram from an address of this peer; False if it is not authentic.

        Hot: about 6 µs beside what the handler does.
        """
        srtp = self._srtp
        if srtp is None:
            return False
        packet = srtp.unprotect(datagram)
        if packet is None:
            self.stats.refused_in += 1
            return False
        now = self._authentic_at = self.house.now()
        path = self._where.path(remote)
        if path is not None:
            self._where.move(path, now)
        if self.state is PeerState.LOST:
            self._set_state(PeerState.CONNECTED, "back")
        if is_rtcp(packet):
            self.handlers.on_rtcp(self, packet)
        else:
            self.stats.rtp_in += 1
            self.stats.bytes_in += len(packet)
            self.handlers.on_rtp(self, packet)
        return True

    def tick(self, now: float) -> None:
        """Notice silence; called about twice a second."""
        silent_s = now - self._authentic_at
        if self.state in (PeerState.NEW, PeerState.CONNECTING):
            if self._checks is not None and self._checks.failed(now):
                self.shut("no UDP: no address of the broker answered")
            elif now - self._created_at > CONNECT_S:
                self.shut("not connected in time")
            elif self._handshake_at is not None and now - self._handshake_at > HANDSHAKE_S:
                self.shut("the handshake was not finished in time")
        elif self.state is PeerState.CONNECTED and silent_s > LIVENESS_S:
            self._set_state(PeerState.LOST, f"silent for {LIVENESS_S:.0f} s")
        elif self.state is PeerState.LOST and silent_s > LOST_S:
            self.shut("did not come back")
        if self._channels is not None:
            try:
                self._channels.check()
            except ChannelsFailed as error:
                self.shut(str(error))

    # ── inside ───────────────────────────────────────────────────────────────

    def _handshake(self, step: Callable[[Dtls], object]) -> None:
        """One step of the handshake, and what follows when it was the last."""
        assert self.remote is not None  # no address is known before the remote end is
        if self._dtls is None:
            self._handshake_at = self.house.now()
            self._dtls = Dtls(
                self.house.identity,
                server=self.server,
                fingerprints=self.remote.fingerprints,
                send=self._send_dtls,
            )
        try:
            step(self._dtls)
        except (DtlsFailed, DtlsClosed) as error:
            logger.info("peer %d: %s", self.id, error or "closed during the handshake")
            self.shut(str(error) or "closed during the handshake")
            return
        self._set_timer()

    def _receive(self, dtls: Dtls, datagram: bytes) -> bool:
        """Take a DTLS datagram; True if it brought authentic data."""
        was_connected = dtls.connected
        records = dtls.receive(datagram)
        if not was_connected and dtls.connected:
            self._connect(dtls)
        if not records:
            return False
        self._authentic()
        for record in records:
            if self._channels is None:
                break
            try:
                self._channels.receive(record)
            except ChannelsFailed as error:
                logger.info("peer %d: %s", self.id, error)
                self.shut(str(error))
        return True

    def _connect(self, dtls: Dtls) -> None:
        assert self.remote is not None
        assert dtls.keys is not None
        self._srtp = Srtp(dtls.keys)
        if self.remote.sctp_port is not None and self.house.channels:
            self._channels = Channels(
                self.house.channels,
                server=self.server,
                send=dtls.send,
                on_open=lambda label: self.handlers.on_channel(self, label),
                on_message=lambda label, data: self.handlers.on_message(self, label, data),
            )
        self._authentic_at = self.house.now()
        self._set_state(PeerState.CONNECTED, "connected")
        # A handler may have closed us already.
        if self._channels is not None:
            self._channels.start(self.remote.sctp_port or 0, self.remote.max_message_size)

    def _send_dtls(self, datagram: bytes) -> None:
        if self._where.current is not None:
            self.house.port.send(datagram, self._where.current)

    def _authentic(self) -> None:
        self._authentic_at = self.house.now()
        if self.state is PeerState.LOST:
            self._set_state(PeerState.CONNECTED, "back")

    def _on_check(self, path: Path, *, nominated: bool) -> bool:
        """Note where an authentic check came from; False if there is no room for it."""
        if not self.house.on_address(self, path.remote):
            return False
        forgotten = self._where.on_check(
            path, self.house.now(), nominated=nominated, connected=self.connected
        )
        if forgotten is not None:
            self.house.on_forget(self, forgotten)
        return True

    def _set_state(self, state: PeerState, why: str) -> None:
        if state is not self.state:
            self.state = state
            self.handlers.on_state(self, state, why)

    def _set_timer(self) -> None:
        """Wake up for the next check or the next flight of the handshake."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits: list[float] = []
        if self._checks is not None:
            waits.append(self._checks.next_at - self.house.now())
        if self._dtls is not None:
            timeout_s = self._dtls.timeout_s()
            if timeout_s is not None:
                waits.append(timeout_s)
        if waits and self.state is not PeerState.CLOSED:
            delay_s = max(0.001, min(waits))
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        if self._checks is not None:
            for request, (host, port) in self._checks.due(self.house.now()):
                self.house.port.send(request, self.house.port.path_to(host, port))
        dtls = self._dtls
        if dtls is not None and not dtls.connected and dtls.timeout_s() == 0:
            self._handshake(lambda started: started.on_timeout())
        else:
            self._set_timer()
