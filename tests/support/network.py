"""A NAT with a bad line, between one client and one server on this machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

Filter = Callable[[bytes, bool], bool]
"""(datagram, outbound) -> whether it gets through."""


class Nat:
    """Forwards datagrams; loses some, is cut, or comes from another port at will."""

    def __init__(self, server: tuple[str, int], seed: int) -> None:
        self.server = server
        self.loss = 0.0  # in both directions
        self.delay_s = 0.0  # in each
        self.cut = False
        self.passes: Filter = lambda datagram, outbound: True
        self.lost = 0
        self._chance = random.Random(seed)
        self._client: Any = None
        self._inside: asyncio.DatagramTransport
        self._outside: asyncio.DatagramTransport

    @classmethod
    async def open(cls, server: tuple[str, int], seed: int = 1) -> Nat:
        """Listen on a free port of the server's own address."""
        nat = cls(server, seed)
        nat._inside = await nat._bind(nat._from_client)
        await nat.rebind()
        return nat

    @property
    def port(self) -> int:
        """Where the client sends to."""
        return int(self._inside.get_extra_info("sockname")[1])

    @property
    def outside(self) -> tuple[str, int]:
        """Where the server sees the client."""
        host, port = self._outside.get_extra_info("sockname")[:2]
        return str(host), int(port)

    async def rebind(self) -> None:
        """Give the client a new address; the old one is gone."""
        old = getattr(self, "_outside", None)
        self._outside = await self._bind(self._from_server)
        if old is not None:
            old.close()

    def close(self) -> None:
        """Stop forwarding."""
        self._inside.close()
        self._outside.close()

    async def _bind(self, receive: Callable[[bytes, Any], None]) -> asyncio.DatagramTransport:
        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                receive(data, addr)

        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Protocol, local_addr=(self.server[0], 0)
        )
        return transport

    def _from_client(self, data: bytes, address: Any) -> None:
        self._client = address
        if self._gets_through(data, outbound=True):
            self._later(self._outside, data, self.server)

    def _from_server(self, data: bytes, address: Any) -> None:
        if self._client is not None and self._gets_through(data, outbound=False):
            self._later(self._inside, data, self._client)

    def _later(self, way: asyncio.DatagramTransport, data: bytes, to: Any) -> None:
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._send, way, data, to)
        else:
            way.sendto(data, to)

    def _send(self, way: asyncio.DatagramTransport, data: bytes, to: Any) -> None:
        if not way.is_closing():
            way.sendto(data, to)

    def _gets_through(self, data: bytes, *, outbound: bool) -> bool:
        through = (
            not self.cut and self.passes(data, outbound) and self._chance.random() >= self.loss
        )
        self.lost += not through
        return through
