"""One end of the WebRTC connections: one UDP socket, one certificate, all peers.

The broker's engine is ICE-lite and answers offers; the agent's is a client that
makes them. Datagrams find their peer by address, checks by user fragment; what
belongs to nobody is dropped without a word.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import string
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import ifaddr

from broker.protocol import CHANNELS
from broker.rtc import ice, negotiate, sdp
from broker.rtc.dtls import Identity
from broker.rtc.ice import Credentials, Target
from broker.rtc.negotiate import Local
from broker.rtc.peer import Handlers, House, Peer
from broker.rtc.port import Address, Ancillary, Port

PEERS_MAX: Final = 1000
HANDSHAKES_MAX: Final = 64
"""Most handshakes under way at once: each costs a signature."""

HANDSHAKES_PER_SOURCE_MAX: Final = 32
"""Most of them from one source: a whole office behind one address comes back at once."""

PEERS_PER_ADDRESS_MAX: Final = 4
TICK_S: Final = 0.5

_ALPHABET: Final = string.ascii_letters + string.digits


class TooManyPeers(Exception):
    """This end has as many peers as it takes."""


class Engine:
    """All peers of one end. `open` it for the broker, `open_client` for the agent."""

    def __init__(
        self,
        port: Port,
        candidates: Sequence[Target],
        channels: Mapping[str, int],
        now: Callable[[], float],
    ) -> None:
        self._port = port
        self._candidates = tuple(candidates)
        self._identity = Identity()
        self._peers: dict[str, Peer] = {}  # by our user fragment
        self._by_address: dict[Address, tuple[Peer, ...]] = {}  # newest first
        self._next_id = 1
        self._now = now
        self._tick: asyncio.TimerHandle | None = None
        self._unknown = 0
        self._refused_handshakes = 0
        self._house = House(
            port=port,
            identity=self._identity,
            channels=channels,
            now=now,
            may_start_handshake=self._may_start_handshake,
            on_address=self._on_address,
            on_forget=self._on_forget,
            on_closed=self._on_closed,
        )
        port.start(self._on_datagram)

    @classmethod
    async def open(
        cls,
        *,
        host: str,
        port: int,
        public_addresses: Sequence[str] = (),
        channels: Mapping[str, int] = CHANNELS,
        now: Callable[[], float] = time.monotonic,
    ) -> Engine:
        """The broker's end, on one UDP port (0: any free one).

        `host` "" or a wildcard listens on every address, in both IP versions
        where the machine has them. `public_addresses` are what clients are told
        instead of the local ones. Raises OSError.
        """
        opened = await Port.open(host, port)
        bound, number = opened.address
        if public_addresses:
            hosts = list(public_addresses)
        elif ipaddress.ip_address(bound).is_unspecified:
            hosts = _local_addresses(ipv6=opened.family.name == "AF_INET6")
        else:
            hosts = [bound]
        return cls(opened, [(one, number) for one in hosts], channels, now)

    @classmethod
    async def open_client(
        cls,
        *,
        channels: Mapping[str, int] = CHANNELS,
        now: Callable[[], float] = time.monotonic,
    ) -> Engine:
        """The agent's end, on any free UDP port. Raises OSError."""
        return cls(await Port.open("", 0), (), channels, now)

    @property
    def port(self) -> int:
        """The UDP port's number."""
        return self._port.address[1]

    @property
    def peers(self) -> int:
        """How many peers there are, in whatever state."""
        return len(self._peers)

    def counters(self) -> dict[str, float]:
        """Counters since the start, for /metrics."""
        counters = self._port.counters
        return {
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "reads": counters.reads,
            "sends": counters.sends,
            "packets_oversized": counters.oversized_in,
            "packets_of_nobody": self._unknown,
            "sends_blocked": counters.send_blocked,
            "sends_failed": counters.send_failed,
            "handshakes_refused": self._refused_handshakes,
        }

    def use_single_datagrams(self) -> None:
        """Do without batches, as on a kernel that has none."""
        self._port.use_single_datagrams()

    async def answer(self, offer_sdp: str, handlers: Handlers) -> tuple[Peer, str]:
        """Answer an offer: a peer that waits to be reached, and the SDP for it.

        A sendonly video section makes it a publisher, any other a viewer.
        Raises SdpError, NoCommonCodec or TooManyPeers.
        """
        offer = sdp.parse(offer_sdp)
        remote = negotiate.read_remote(offer, answers=False)
        video = negotiate.choose_video(offer, ssrc=_new_ssrc(), rtx_ssrc=_new_ssrc())
        peer = self._new_peer(handlers, server=True)
        peer.remote, peer.video = remote, video
        local = Local(peer.local, self._identity.fingerprint, self._candidates)
        channels = remote.sctp_port is not None
        return peer, negotiate.build_answer(offer, local, video, channels=channels)

    async def offer(self, handlers: Handlers, *, send_video: bool) -> tuple[Peer, str]:
        """Make an offer; give what comes back to `Peer.accept`. Raises TooManyPeers."""
        ssrc, rtx_ssrc = _new_ssrc(), _new_ssrc()
        peer = self._new_peer(handlers, server=False)
        peer.on_answer = lambda text: self._accept(peer, text, ssrc, rtx_ssrc)
        local = Local(peer.local, self._identity.fingerprint)
        return peer, negotiate.build_offer(
            local, ssrc=ssrc, rtx_ssrc=rtx_ssrc, send_video=send_video
        )

    async def close(self) -> None:
        """Close every peer, then the socket; safe to call again."""
        for peer in list(self._peers.values()):
            await peer.close()
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        self._port.close()

    def _accept(self, peer: Peer, text: str, ssrc: int, rtx_ssrc: int) -> None:
        answer = sdp.parse(text)
        if not answer.ice_lite:
            raise sdp.SdpError("the answer is not of a lite end, and we check no other")
        remote = negotiate.read_remote(answer, answers=True)
        video = negotiate.read_answer(answer, ssrc=ssrc, rtx_ssrc=rtx_ssrc)
        targets = [target for target in remote.candidates if self._reachable(target)]
        if not targets:
            raise sdp.SdpError("the answer names no address that this machine can reach")
        peer.video = video
        peer.start_checks(remote, targets)

    def _new_peer(self, handlers: Handlers, *, server: bool) -> Peer:
        if len(self._peers) >= PEERS_MAX:
            raise TooManyPeers("the broker has no room for another connection; try again later")
        local = Credentials(_random_text(8), _random_text(24))
        peer = Peer(self._next_id, self._house, handlers, local, server)
        self._next_id += 1
        self._peers[local.ufrag] = peer
        if self._tick is None:
            self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)
        return peer

    def _on_datagram(self, data: bytes, remote: Address, ancillary: Ancillary) -> None:
        """Demultiplex by the first byte (RFC 7983 §7). Hot: under 1 µs for media."""
        first = data[0]
        if 128 <= first <= 191:
            if len(data) >= 12:
                for peer in self._by_address.get(remote, ()):
                    if peer.on_srtp(data, remote):
                        return
        elif 20 <= first <= 63:
            peers = self._by_address.get(remote, ())
            for peer in peers:  # a record for another connection changes nothing
                peer.on_dtls(data, remote)
            if peers:
                return
        elif ice.is_stun(data) and self._on_stun(data, remote, ancillary):
            return
        self._unknown += 1

    def _on_stun(self, data: bytes, remote: Address, ancillary: Ancillary) -> bool:
        request = ice.read_request(data)
        if request is not None:
            peer = self._peers.get(request.local_ufrag)
            # An unknown user fragment gets no answer: there is nobody here.
            return peer is not None and peer.on_request(
                request, self._port.path_back(remote, ancillary)
            )
        if self._candidates:
            return False  # the lite end asks nothing
        path = self._port.path_back(remote, [])
        return any(peer.on_response(data, path) for peer in list(self._peers.values()))

    def _on_address(self, peer: Peer, remote: Address) -> bool:
        """Note that a peer is at this address; False if too many are.

        One client socket may hold its old and its new connection, and a hostile
        peer may claim another's address by a forged source: nobody is displaced
        who is in use there.
        """
        known = self._by_address.get(remote, ())
        if peer in known:
            return True
        if len(known) >= PEERS_PER_ADDRESS_MAX:
            idle = [one for one in known if not one.uses(remote)]
            if not idle:
                return False
            known = tuple(one for one in known if one is not idle[-1])
        self._by_address[remote] = (peer, *known)
        return True

    def _on_forget(self, peer: Peer, remote: Address) -> None:
        left = tuple(one for one in self._by_address.get(remote, ()) if one is not peer)
        if left:
            self._by_address[remote] = left
        else:
            self._by_address.pop(remote, None)

    def _on_closed(self, peer: Peer) -> None:
        self._peers.pop(peer.local.ufrag, None)
        for address in peer.addresses:
            self._on_forget(peer, address)

    def _may_start_handshake(self, peer: Peer) -> bool:
        busy = Counter(one.source for one in self._peers.values() if one.handshaking)
        if busy.total() < HANDSHAKES_MAX and busy[peer.source] < HANDSHAKES_PER_SOURCE_MAX:
            return True
        self._refused_handshakes += 1  # the client's next flight may find room
        return False

    def _on_tick(self) -> None:
        self._tick = None
        now = self._now()
        for peer in list(self._peers.values()):
            peer.tick(now)
        if self._peers:
            self._tick = asyncio.get_running_loop().call_later(TICK_S, self._on_tick)

    def _reachable(self, target: Target) -> bool:
        try:
            self._port.path_to(*target)
        except ValueError:
            return False
        return True


def _local_addresses(*, ipv6: bool) -> list[str]:
    """This machine's unicast addresses, loopback last, without link-local IPv6."""
    found: dict[str, bool] = {}
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text.partition("%")[0])
            if address.version == 6 and (address.is_link_local or not ipv6):
                continue
            found[str(address)] = address.is_loopback
    return sorted(found, key=lambda host: found[host])[: ice.CANDIDATES_MAX]


def _random_text(length: int) -> str:
    """Text of ice-chars: 8 are 47 bits, 24 are 142 (RFC 8839 §5.4 asks 24 and 128)."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _new_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
