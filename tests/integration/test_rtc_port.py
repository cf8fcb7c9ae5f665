"""The UDP socket: batches, sizes, and answers from the address that was asked."""

from __future__ import annotations

import socket

import pytest

from broker.rtc.port import (
    BATCH,
    DATAGRAM_MAX,
    Address,
    Ancillary,
    Path,
    Port,
    _bound,
    plain_address,
)
from tests.integration.rtc_ends import until

Arrival = tuple[bytes, Address, Ancillary]


async def opened(family: socket.AddressFamily, host: str, *, wildcard: bool) -> Port:
    return Port(_bound(family, (host, 0), wildcard=wildcard))


@pytest.mark.parametrize(
    ("family", "wildcard", "asked"),
    [
        (socket.AF_INET6, "::", "127.0.0.5"),  # IPv4 on a socket of both versions
        (socket.AF_INET6, "::", "::1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.5"),  # where the machine has no IPv6
    ],
)
async def test_an_answer_leaves_from_the_address_that_was_asked(
    family: socket.AddressFamily, wildcard: str, asked: str
) -> None:
    port = await opened(family, wildcard, wildcard=True)
    port.start(lambda data, remote, ancillary: port.send(data, port.path_back(remote, ancillary)))
    number = port.address[1]
    version = socket.AF_INET6 if ":" in asked else socket.AF_INET
    with socket.socket(version, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.connect((asked, number))  # takes nothing from elsewhere
        client.send(b"hello")
        await until(lambda: port.counters.packets_out == 1)
        assert client.recv(100) == b"hello"
    port.close()


async def test_a_burst_is_read_whole_and_in_order() -> None:
    port = await Port.open("127.0.0.1", 0)
    got: list[bytes] = []
    port.start(lambda data, remote, ancillary: got.append(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        sent = [str(number).encode() for number in range(3 * BATCH + 5)]
        for data in sent:
            client.sendto(data, port.address)
    await until(lambda: len(got) == len(sent))
    assert got == sent
    port.close()


async def test_a_datagram_that_is_too_large_is_counted_and_dropped() -> None:
    port = await Port.open("127.0.0.1", 0)
    got: list[bytes] = []
    port.start(lambda data, remote, ancillary: got.append(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(bytes(DATAGRAM_MAX + 1), port.address)
        client.sendto(b"", port.address)
        client.sendto(bytes(DATAGRAM_MAX), port.address)
    await until(lambda: got)
    assert [len(data) for data in got] == [DATAGRAM_MAX]
    assert port.counters.oversized_in == 1
    port.close()


async def test_a_send_that_fails_is_counted() -> None:
    port = await Port.open("127.0.0.1", 0)
    port.send(b"x", Path(("203.0.113.1", 9), []))  # not reachable from loopback
    assert port.counters.send_failed == 1
    port.close()
    port.close()
    port.send(b"x", Path(("127.0.0.1", 9), []))
    assert port.counters.send_failed == 2
    assert port.counters.packets_out == 0


async def test_a_reader_may_close_the_port_in_the_middle_of_a_burst() -> None:
    port = await Port.open("127.0.0.1", 0)
    got: list[bytes] = []

    def read(data: bytes, remote: Address, ancillary: Ancillary) -> None:
        got.append(data)
        port.close()

    port.start(read)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for _ in range(5):
            client.sendto(b"x", port.address)
        await until(lambda: got)
    assert got == [b"x"]


async def test_paths_lead_to_both_ip_versions_where_the_socket_can() -> None:
    both = await opened(socket.AF_INET6, "::", wildcard=True)
    assert plain_address(both.path_to("192.0.2.1", 5).remote) == ("192.0.2.1", 5)
    assert plain_address(both.path_to("2001:db8::1", 5).remote) == ("2001:db8::1", 5)
    four = await opened(socket.AF_INET, "0.0.0.0", wildcard=True)
    assert four.path_to("192.0.2.1", 5).remote == ("192.0.2.1", 5)
    with pytest.raises(ValueError, match="IPv6"):
        four.path_to("2001:db8::1", 5)
    both.close()
    four.close()


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        (("::ffff:192.0.2.1", 5, 0, 0), ("192.0.2.1", 5)),
        (("2001:db8::1", 5, 0, 0), ("2001:db8::1", 5)),
        (("fe80::1%eth0", 5, 0, 2), ("fe80::1", 5)),
        (("192.0.2.1", 5), ("192.0.2.1", 5)),
    ],
)
def test_mapped_addresses_are_written_as_people_write_them(
    address: Address, plain: tuple[str, int]
) -> None:
    assert plain_address(address) == plain


async def test_a_burst_leaves_in_few_calls_and_arrives_whole() -> None:
    sender, receiver = await Port.open("127.0.0.1", 0), await Port.open("127.0.0.1", 0)
    got: list[bytes] = []
    receiver.start(lambda data, remote, ancillary: got.append(data))
    path = sender.path_to(*receiver.address)
    sent = [bytes([number]) * 1150 for number in range(40)] + [b"last"]
    with sender.burst():
        for data in sent:
            sender.send(data, path)
        assert sender.counters.packets_out == 0
    assert sender.counters.packets_out == len(sent)
    await until(lambda: len(got) == len(sent))
    assert got == sent
    assert receiver.counters.packets_in == len(sent)
    if sender.sends_segments:
        assert sender.counters.sends == 1
    if receiver.reads_segments:
        assert receiver.counters.reads < len(sent)
    sender.close()
    receiver.close()


async def test_without_segments_a_burst_arrives_all_the_same() -> None:
    sender, receiver = await Port.open("127.0.0.1", 0), await Port.open("127.0.0.1", 0)
    sender.use_single_datagrams()
    receiver.use_single_datagrams()
    got: list[bytes] = []
    receiver.start(lambda data, remote, ancillary: got.append(data))
    with sender.burst():
        for number in range(10):
            sender.send(bytes([number]) * 1150, sender.path_to(*receiver.address))
    await until(lambda: len(got) == 10)
    assert sender.counters.sends == 10
    sender.close()
    receiver.close()


async def test_answers_to_a_burst_leave_together_from_the_address_that_was_asked() -> None:
    port = await opened(socket.AF_INET6, "::", wildcard=True)
    paths: dict[Address, Path] = {}

    def answer(data: bytes, remote: Address, ancillary: Ancillary) -> None:
        port.send(data, paths.setdefault(remote, port.path_back(remote, ancillary)))

    port.start(answer)
    client = await Port.open("127.0.0.1", 0)
    got: list[Address] = []
    client.start(lambda data, remote, ancillary: got.append(plain_address(remote)))
    with client.burst():
        for _ in range(20):
            client.send(bytes(1000), client.path_to("127.0.0.5", port.address[1]))
    await until(lambda: len(got) == 20)
    assert set(got) == {("127.0.0.5", port.address[1])}
    client.close()
    port.close()
