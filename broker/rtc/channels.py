"""Data channels of one peer over aiortc's SCTP, agreed out of band (RFC 8831, 8832 §6).

The only file that touches aiortc, its private names among them:
`RTCSctpTransport._handle_data`, `_association_state`, `_advertised_rwnd`,
`_inbound_streams`, `_sack_misordered`, `_receive`, and what it calls on its DTLS
transport: `_role`, `_register_data_receiver`, `_unregister_data_receiver`,
`_send_data`. tests/unit/rtc/test_channels.py fails when an upgrade changes them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, cast

from aiortc.rtcdatachannel import RTCDataChannel, RTCDataChannelParameters
from aiortc.rtcdtlstransport import DataReceiver, RTCDtlsTransport
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from broker.rtc import sctp_guard

BUFFER_MAX: Final = 1024 * 1024
"""Most bytes that may wait on one channel; what comes then is refused."""

HELD_CHUNKS_MAX: Final = 1024
"""Most chunks that wait for others before them: our receive window of 1 MB in full ones."""

_WINDOW_OVERRUN_MAX: Final = 256 * 1024
_DCEP: Final = 50  # RFC 8832 §8.1
_ESTABLISHED: Final = RTCSctpTransport.State.ESTABLISHED
_CLOSED: Final = RTCSctpTransport.State.CLOSED

# aiortc tells every wrong packet; a peer must not be able to fill the log.
logging.getLogger("aiortc").setLevel(logging.ERROR)


class ChannelsFailed(Exception):
    """The association is over: closed by the peer, or broken by it."""


class _Transport:
    """What aiortc's SCTP needs of a DTLS transport. Nothing here waits."""

    def __init__(self, send: Callable[[bytes], bool], *, server: bool) -> None:
        self.state = "connected"
        self._role = "server" if server else "client"  # RFC 8832 §6 ties ids to it
        self._send = send

    def _register_data_receiver(self, receiver: DataReceiver) -> None:
        """We feed the association ourselves."""

    def _unregister_data_receiver(self, receiver: DataReceiver) -> None:
        """See above."""

    async def _send_data(self, data: bytes) -> None:
        # aiortc expects ConnectionError when closed, but calls this in tasks that
        # nobody awaits; a packet that is not sent is a lost packet to SCTP.
        self._send(data)


class _Association(RTCSctpTransport):
    """aiortc's association, without channels that the peer opens."""

    async def _receive(self, stream_id: int, pp_id: int, data: bytes) -> None:
        if pp_id != _DCEP:
            await super()._receive(stream_id, pp_id, data)


class Channels:
    """All data channels of one peer, by label. Callbacks come from `receive`."""

    def __init__(
        self,
        table: Mapping[str, int],
        *,
        server: bool,
        send: Callable[[bytes], bool],
        on_open: Callable[[str], None],
        on_message: Callable[[str, str | bytes], None],
    ) -> None:
        self._on_open = on_open
        self._on_message = on_message
        self._streams = frozenset(table.values())
        transport = cast(RTCDtlsTransport, _Transport(send, server=server))
        self._association = _Association(transport)
        self._received: list[tuple[str, str | bytes | None]] = []
        self._channels = {label: self._create(label, number) for label, number in table.items()}
        self._closed = False

    def start(self, remote_port: int, max_message_size: int) -> None:
        """Begin the association; both ends do (RFC 8841 §10.3)."""
        _complete(self._association.start(RTCSctpCapabilities(max_message_size), remote_port))

    def receive(self, packet: bytes) -> None:
        """Take one SCTP packet. Raises ChannelsFailed when the association is over."""
        association = self._association
        try:
            kinds = sctp_guard.check_packet(packet, self._streams)
            if sctp_guard.INIT in kinds and association._association_state is _ESTABLISHED:
                return  # would reset the sequence numbers of an association in use
            _complete(association._handle_data(packet))
        except sctp_guard.SctpRefused as error:
            raise ChannelsFailed(f"refused SCTP packet: {error}") from None
        except Exception as error:  # noqa: BLE001 - whatever hostile bytes provoke in aiortc
            raise ChannelsFailed(f"broken SCTP packet: {type(error).__name__}") from None
        finally:
            self._deliver()
        self._check_memory()
        self.check()

    def check(self) -> None:
        """Raises ChannelsFailed when the association is over; to be called now and then."""
        if self._association._association_state is _CLOSED and not self._closed:
            raise ChannelsFailed("the peer ended the data channels")

    def send(self, label: str, data: str | bytes) -> bool:
        """Queue a message; False if the channel is not open or BUFFER_MAX waits on it."""
        channel = self._channels.get(label)
        if channel is None or channel.readyState != "open":
            return False
        size = len(data.encode()) if isinstance(data, str) else len(data)
        if channel.bufferedAmount + size > BUFFER_MAX:
            return False
        try:
            channel.send(data)
        except ValueError:  # larger than the peer takes
            return False
        return True

    def close(self) -> None:
        """End the association; safe to call again."""
        if not self._closed:
            self._closed = True
            self._received.clear()
            _complete(self._association.stop())

    def _create(self, label: str, number: int) -> RTCDataChannel:
        parameters = RTCDataChannelParameters(label=label, negotiated=True, id=number)
        channel = RTCDataChannel(self._association, parameters)
        # Gathered here and delivered later: what our callbacks raise is our fault,
        # what aiortc raises is the peer's.
        channel.on("open", lambda: self._received.append((label, None)))
        channel.on("message", lambda data: self._received.append((label, data)))
        return channel

    def _deliver(self) -> None:
        while self._received and not self._closed:
            label, data = self._received.pop(0)
            if data is None:
                self._on_open(label)
            else:
                self._on_message(label, data)

    def _check_memory(self) -> None:
        """aiortc announces a receive window, but keeps what goes beyond it."""
        association = self._association
        held = sum(len(stream.reassembly) for stream in association._inbound_streams.values())
        if (
            association._advertised_rwnd < -_WINDOW_OVERRUN_MAX
            or held > HELD_CHUNKS_MAX
            or len(association._sack_misordered) > HELD_CHUNKS_MAX
        ):
            raise ChannelsFailed("the peer ignores the receive window")


def _complete(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine of aiortc's that has nothing to wait for.

    Its only awaits end in `_Transport._send_data`, which does not wait.
    """
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise RuntimeError("aiortc's SCTP waits for something: it must be given a task")
