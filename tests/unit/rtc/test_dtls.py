"""Handshakes between two ends, datagram by datagram."""

from __future__ import annotations

import random
import time
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.rtc.dtls import (
    MTU,
    Dtls,
    DtlsClosed,
    DtlsFailed,
    Fingerprint,
    Identity,
    split_flight,
)
from broker.rtc.srtp import SOURCES_MAX, Srtp

BROKER, AGENT = Identity(), Identity()
WRONG = Fingerprint("sha-256", ":".join(["00"] * 32))


class Pair:
    """A client and a server with the wire between them in our hands."""

    def __init__(
        self,
        expected_of_client: tuple[Fingerprint, ...] = (AGENT.fingerprint,),
        expected_of_server: tuple[Fingerprint, ...] = (BROKER.fingerprint,),
    ) -> None:
        self.to_server: deque[bytes] = deque()
        self.to_client: deque[bytes] = deque()
        self.client = Dtls(
            AGENT, server=False, fingerprints=expected_of_server, send=self.to_server.append
        )
        self.server = Dtls(
            BROKER, server=True, fingerprints=expected_of_client, send=self.to_client.append
        )

    def run(self) -> None:
        """Deliver everything until nothing is on its way."""
        while self.to_server or self.to_client:
            while self.to_server:
                self.server.receive(self.to_server.popleft())
            while self.to_client:
                self.client.receive(self.to_client.popleft())

    def connect(self) -> Pair:
        self.client.start()
        self.run()
        assert self.client.connected
        assert self.server.connected
        return self


def test_both_ends_come_to_the_same_keys() -> None:
    pair = Pair().connect()
    client, server = pair.client.keys, pair.server.keys
    assert client is not None
    assert server is not None
    assert (client.send, client.receive) == (server.receive, server.send)
    assert client.profile == server.profile == "SRTP_AEAD_AES_128_GCM"
    assert pair.client.timeout_s() is None


def test_no_datagram_of_a_handshake_is_larger_than_every_path_carries() -> None:
    pair = Pair()
    pair.client.start()
    sizes: list[int] = []
    while pair.to_server or pair.to_client:
        sizes += [len(one) for one in (*pair.to_server, *pair.to_client)]
        while pair.to_server:
            pair.server.receive(pair.to_server.popleft())
        while pair.to_client:
            pair.client.receive(pair.to_client.popleft())
    assert max(sizes) <= MTU


def test_data_flows_both_ways_and_a_datagram_may_bring_several_records() -> None:
    pair = Pair().connect()
    assert pair.client.send(b"one")
    assert pair.client.send(b"two")
    assert pair.server.receive(b"".join(pair.to_server)) == [b"one", b"two"]
    assert pair.server.send(b"x" * 1189)  # the largest SCTP packet
    assert pair.client.receive(pair.to_client.popleft()) == [b"x" * 1189]


def test_nothing_can_be_sent_before_the_handshake() -> None:
    assert not Pair().client.send(b"early")


@pytest.mark.parametrize(
    "fingerprints", [(WRONG,), (AGENT.fingerprint, WRONG), (Fingerprint("md2", "00:11"),), ()]
)
def test_another_certificate_than_offered_is_refused(
    fingerprints: tuple[Fingerprint, ...],
) -> None:
    pair = Pair(expected_of_client=fingerprints)
    pair.client.start()
    with pytest.raises(DtlsFailed):
        pair.run()
    assert not pair.server.connected
    assert pair.server.keys is None


def test_the_client_checks_the_broker_too() -> None:
    pair = Pair(expected_of_server=(WRONG,))
    pair.client.start()
    with pytest.raises(DtlsFailed):
        pair.run()
    assert not pair.client.connected


def test_a_lost_flight_is_sent_again_when_its_time_has_come() -> None:
    pair = Pair()
    pair.client.start()
    pair.to_server.clear()
    timeout_s = pair.client.timeout_s()
    assert timeout_s is not None
    assert 0 < timeout_s <= 1.0
    pair.client.on_timeout()  # not due yet
    assert not pair.to_server


def test_a_lost_last_flight_is_answered_again() -> None:
    pair = Pair()
    pair.client.start()
    pair.server.receive(pair.to_server.popleft())
    while pair.to_client:
        pair.client.receive(pair.to_client.popleft())
    while pair.to_server:
        pair.server.receive(pair.to_server.popleft())
    assert pair.server.connected
    pair.to_client.clear()  # its answer is lost
    while timeout_s := pair.client.timeout_s():
        time.sleep(timeout_s)
    pair.client.on_timeout()
    pair.run()
    assert pair.client.connected


def test_a_goodbye_is_heard() -> None:
    pair = Pair().connect()
    pair.client.close()
    with pytest.raises(DtlsClosed):
        pair.run()


@given(data=st.binary(max_size=300), seed=st.integers(0, 2**32))
def test_forged_records_cost_an_established_connection_nothing(data: bytes, seed: int) -> None:
    pair = ESTABLISHED
    chance = random.Random(seed)
    pair.client.send(b"genuine")
    genuine = pair.to_server.popleft()
    mutated = bytearray(genuine)
    mutated[chance.randrange(len(mutated))] ^= 1 << chance.randrange(8)
    for forged in (data, bytes((22, 0xFE, 0xFD)) + data, bytes((21, 0xFE, 0xFD)) + data):
        assert pair.server.receive(forged) == []
    if bytes(mutated)[3:11] == genuine[3:11]:  # else it may be the number of a later record
        assert pair.server.receive(bytes(mutated)) in ([], [b"genuine"])
    pair.client.send(b"next")
    assert pair.server.receive(pair.to_server.popleft()) == [b"next"]
    pair.to_client.clear()


def test_a_replayed_record_brings_nothing() -> None:
    pair = Pair().connect()
    pair.client.send(b"once")
    record = pair.to_server.popleft()
    assert pair.server.receive(record) == [b"once"]
    assert pair.server.receive(record) == []


@given(st.lists(st.integers(0, 1500), max_size=12))
def test_a_flight_is_cut_between_records_only(sizes: list[int]) -> None:
    records = [bytes(11) + size.to_bytes(2, "big") + bytes(size) for size in sizes]
    output = b"".join(records)
    datagrams = list(split_flight(output))
    assert b"".join(datagrams) == output
    ends = {sum(len(one) for one in records[:count]) for count in range(len(records) + 1)}
    position = 0
    for datagram in datagrams:
        position += len(datagram)
        assert position in ends
        assert len(datagram) <= MTU or len(datagram) - 13 in sizes


def sessions() -> tuple[Srtp, Srtp]:
    pair = Pair().connect()
    assert pair.client.keys is not None
    assert pair.server.keys is not None
    return Srtp(pair.client.keys), Srtp(pair.server.keys)


def rtp(number: int, ssrc: int = 1) -> bytes:
    return b"\x80\x60" + number.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big") + b"data"


def rtcp(ssrc: int = 1) -> bytes:
    return b"\x80\xc9\x00\x01" + ssrc.to_bytes(4, "big")


def test_srtp_is_read_by_the_other_end_once() -> None:
    client, server = sessions()
    protected = client.protect(rtp(1))
    assert protected is not None
    assert protected != rtp(1)
    assert server.unprotect(protected) == rtp(1)
    assert server.unprotect(protected) is None
    control = client.protect_rtcp(rtcp())
    assert control is not None
    assert server.unprotect(control) == rtcp()
    assert server.unprotect(control) is None


def test_forged_srtp_is_refused() -> None:
    client, server = sessions()
    protected = client.protect(rtp(1))
    assert protected is not None
    for position in range(len(protected)):
        forged = bytearray(protected)
        forged[position] ^= 0x01
        assert server.unprotect(bytes(forged)) is None
    assert server.unprotect(protected) == rtp(1)


def test_a_packet_may_be_sent_twice_with_the_same_bytes() -> None:
    client, _ = sessions()
    assert client.protect(rtp(1)) == client.protect(rtp(1))


def test_a_peer_cannot_make_us_keep_state_for_ever_more_sources() -> None:
    client, server = sessions()
    for ssrc in range(1, SOURCES_MAX + 1):
        assert server.unprotect(client.protect(rtp(1, ssrc)) or b"") is not None
    assert server.unprotect(client.protect(rtp(1, 99)) or b"") is None
    assert server.unprotect(client.protect_rtcp(rtcp(99)) or b"") is None
    assert server.unprotect(client.protect(rtp(2, 5)) or b"") is not None


def test_a_packet_too_long_for_srtp_is_refused() -> None:
    client, server = sessions()
    assert client.protect(rtp(1) + bytes(2000)) is None
    assert server.unprotect(rtp(1) + bytes(2000)) is None


ESTABLISHED = Pair().connect()
