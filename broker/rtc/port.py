"""The UDP socket of one end: batched both ways, answers from the address asked.

The hot path, in plain loops (figures in docs/relay.md). What is sent during one
wake-up leaves together at its end: for each path the kernel gets runs of
datagrams of equal size in one call (UDP_SEGMENT), and it hands received ones over
in the same way (UDP_GRO). Without the one or the other each datagram is a call of
its own. Nothing here looks into a datagram.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from broker.rtc.segments import runs, split

BATCH: Final = 64
"""So many datagrams end a wake-up, so that nothing else on the loop starves."""

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Socket buffers asked for: about 2 s of one 15 Mbit/s stream."""

DATAGRAM_MAX: Final = 2048
"""Larger datagrams are dropped: no peer of ours sends one above 1500 bytes."""

Address = tuple[Any, ...]
"""A socket address as the kernel gives it: (host, port) or (host, port, flow, scope)."""

Ancillary = list[tuple[int, int, bytes]]

# Linux's numbers; the socket module of Python 3.11 does not name the first.
_IP_PKTINFO: Final = getattr(socket, "IP_PKTINFO", 8)
_CMSG_SPACE: Final = 128  # in6_pktinfo and the size of segments, and room to spare
_SOL_UDP: Final = 17
_UDP_SEGMENT: Final = 103
_UDP_GRO: Final = 104
_READ_MAX: Final = 65_535
_NO_SEGMENTS: Final = {errno.EIO, errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP}


class Path:
    """Where a peer is, and from which of our addresses it is answered."""

    __slots__ = ("ancillary", "remote")

    def __init__(self, remote: Address, ancillary: Ancillary) -> None:
        self.remote = remote
        self.ancillary = ancillary


class Counters:
    """What the socket did since it was opened."""

    __slots__ = (
        "oversized_in",
        "packets_in",
        "packets_out",
        "reads",
        "send_blocked",
        "send_failed",
        "sends",
    )

    def __init__(self) -> None:
        self.packets_in = 0
        self.packets_out = 0
        self.reads = 0  # calls that brought datagrams
        self.sends = 0  # calls that took datagrams
        self.oversized_in = 0
        self.send_blocked = 0
        self.send_failed = 0


class Port:
    """One bound, non-blocking UDP socket on the running loop.

    `on_datagram(data, remote, ancillary)` is called for each datagram;
    `path_back` turns the last two into where to answer.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.counters = Counters()
        self.family = sock.family
        self.sends_segments = has_segmented_send(sock)
        self.reads_segments = set_coalesced_receive(sock)
        self._socket = sock
        self._buffer = bytearray(_READ_MAX)
        self._held: dict[Path, list[bytes]] | None = None
        self._on_datagram: Callable[[bytes, Address, Ancillary], None] | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, host: str, port: int) -> Port:
        """Bind to `host` ("" or a wildcard: every address, both IP versions).

        Raises OSError.
        """
        return cls(await _bind(host, port))

    @property
    def address(self) -> tuple[str, int]:
        """The bound address, in its own IP version."""
        return plain_address(self._socket.getsockname())

    def start(self, on_datagram: Callable[[bytes, Address, Ancillary], None]) -> None:
        """Begin to read."""
        self._on_datagram = on_datagram
        self._loop.add_reader(self._socket.fileno(), self._read)

    def use_single_datagrams(self) -> None:
        """Do without batches, as on a kernel that has none."""
        self.sends_segments = self.reads_segments = False
        self._socket.setsockopt(_SOL_UDP, _UDP_GRO, 0)

    def close(self) -> None:
        """Stop reading and release the port; safe to call again."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def send(self, data: bytes, path: Path) -> None:
        """Send one datagram, now or at the end of the burst that it is part of.

        One that the kernel cannot take is dropped and counted.
        """
        if self._held is None:
            self._send_one(data, path)
        else:
            self._held.setdefault(path, []).append(data)

    @contextlib.contextmanager
    def burst(self) -> Iterator[None]:
        """Hold what is sent back until the end of the block, then send it together."""
        if self._held is not None:
            yield
            return
        self._held = {}
        try:
            yield
        finally:
            held, self._held = self._held, None
            for path, datagrams in held.items():
                self._send_all(datagrams, path)

    def path_to(self, host: str, port: int) -> Path:
        """The path to an address in either IP version; the kernel picks our own address.

        Raises ValueError if this socket cannot reach that IP version.
        """
        version = ipaddress.ip_address(host).version
        if self.family == socket.AF_INET6:
            return Path((host if version == 6 else f"::ffff:{host}", port, 0, 0), [])
        if version == 6:
            raise ValueError("an IPv6 address for an IPv4 socket")
        return Path((host, port), [])

    def path_back(self, remote: Address, ancillary: Ancillary) -> Path:
        """The path that answers a datagram from the address that it was sent to."""
        return Path(remote, _reply_ancillary(ancillary))

    def _send_one(self, data: bytes, path: Path) -> None:
        try:
            self._socket.sendmsg((data,), path.ancillary, 0, path.remote)
            self.counters.packets_out += 1
            self.counters.sends += 1
        except (BlockingIOError, InterruptedError):
            self.counters.send_blocked += 1
        except OSError:  # unreachable, refused, closed: as lossy as any network
            self.counters.send_failed += 1

    def _send_all(self, datagrams: list[bytes], path: Path) -> None:
        for run in runs(datagrams):
            if len(run) == 1 or not self.sends_segments or not self._send_run(run, path):
                for data in run:
                    self._send_one(data, path)

    def _send_run(self, run: Sequence[bytes], path: Path) -> bool:
        """One call for a whole run; False if each must be sent by itself."""
        size = (_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", len(run[0])))
        try:
            self._socket.sendmsg(run, [*path.ancillary, size], 0, path.remote)
        except (BlockingIOError, InterruptedError):
            self.counters.send_blocked += len(run)
        except OSError as error:
            if error.errno in _NO_SEGMENTS:  # this kernel or this network device
                self.sends_segments = False
            return False
        else:
            self.counters.packets_out += len(run)
            self.counters.sends += 1
        return True

    def _read(self) -> None:
        with self.burst():
            seen = 0
            while seen < BATCH:
                brought = self._read_once()
                if brought is None:
                    return
                seen += brought

    def _read_once(self) -> int | None:
        """Hand over what one call brings; how many datagrams, None for no more."""
        counters = self.counters
        try:
            size, ancillary, _, remote = self._socket.recvmsg_into((self._buffer,), _CMSG_SPACE)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:  # an ICMP error of a send before, or closed by a callback
            if self._socket.fileno() < 0:
                return None
            counters.send_failed += 1
            return 1
        counters.reads += 1
        data = bytes(memoryview(self._buffer)[:size])
        segment = size
        if self.reads_segments:
            for level, kind, value in ancillary:
                if level == _SOL_UDP and kind == _UDP_GRO:
                    segment = int.from_bytes(value[:4], sys.byteorder)
        if segment >= size:
            self._hand_over(data, remote, ancillary)
            return 1
        datagrams = split(data, segment)
        for datagram in datagrams:
            self._hand_over(datagram, remote, ancillary)
        return len(datagrams)

    def _hand_over(self, data: bytes, remote: Address, ancillary: Ancillary) -> None:
        assert self._on_datagram is not None  # start() sets it before it registers us
        self.counters.packets_in += 1
        if len(data) > DATAGRAM_MAX:
            self.counters.oversized_in += 1
        elif data:
            self._on_datagram(data, remote, ancillary)


def has_segmented_send(sock: socket.socket) -> bool:
    """Whether the kernel sends one buffer as many datagrams (Linux 4.18)."""
    try:
        sock.getsockopt(_SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


def set_coalesced_receive(sock: socket.socket) -> bool:
    """Ask for several datagrams at once; whether the kernel can (Linux 5.0)."""
    try:
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    except OSError:
        return False
    return True


def plain_address(address: Address) -> tuple[str, int]:
    """(host, port) with v4-mapped IPv6 undone, as STUN and people write it."""
    host = str(address[0])
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host.partition("%")[0], int(address[1])


async def _bind(host: str, port: int) -> socket.socket:
    wildcard = host in ("", "::", "0.0.0.0")
    if wildcard:
        try:
            return _bound(socket.AF_INET6, ("::", port), wildcard=True)
        except OSError:
            # A machine without IPv6; a port in use must not be mistaken for that.
            if _has_ipv6():
                raise
        return _bound(socket.AF_INET, ("0.0.0.0", port), wildcard=True)
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, _, _, _, address = infos[0]
    return _bound(socket.AddressFamily(family), address, wildcard=False)


def _bound(family: socket.AddressFamily, address: Address, *, wildcard: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            with contextlib.suppress(OSError):  # the kernel's limit is enough, then
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wildcard else 1)
            if wildcard:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif wildcard:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _reply_ancillary(ancillary: Ancillary) -> Ancillary:
    """The control message that sends from the address a datagram came to."""
    for level, kind, value in ancillary:
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(value) >= 20:
            # Interface 0: routing chooses it, but link-local addresses need theirs.
            link_local = value[0] == 0xFE and value[1] & 0xC0 == 0x80
            index = value[16:20] if link_local else bytes(4)
            return [(level, kind, value[:16] + index)]
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(value) >= 12:
            _, local, _ = struct.unpack("I4s4s", value[:12])
            return [(level, kind, struct.pack("I4s4s", 0, local, bytes(4)))]
    return []
