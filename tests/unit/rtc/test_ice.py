"""Checks and their answers, in virtual time."""

from __future__ import annotations

import itertools

import pytest
from aioice import stun

from broker.rtc.ice import (
    CANDIDATES_MAX,
    GIVE_UP_S,
    SEARCH_AGAIN_S,
    Checks,
    Credentials,
    accept_request,
    is_stun,
    read_request,
)

BROKER = Credentials("brokerfrag", "b" * 24)
CLIENT = Credentials("clientfrag", "c" * 24)
FIRST, SECOND = ("192.0.2.1", 8080), ("2001:db8::1", 8080)
HERE = ("198.51.100.7", 4000)


def checks(now: float = 0.0, count: int = 2) -> Checks:
    numbers = itertools.count(1)
    return Checks(
        CLIENT,
        BROKER,
        [FIRST, SECOND][:count],
        now,
        tie_breaker=7,
        new_id=lambda: next(numbers).to_bytes(12, "big"),
    )


def answer(datagram: bytes) -> bytes:
    request = read_request(datagram)
    assert request is not None
    response = accept_request(request, BROKER, CLIENT.ufrag, HERE)
    assert response is not None
    return response


def test_the_lite_end_tells_the_client_its_address() -> None:
    [(datagram, _), *_] = checks().due(0.0)
    assert is_stun(datagram)
    message = stun.parse_message(answer(datagram))
    assert message.attributes["XOR-MAPPED-ADDRESS"] == HERE
    assert message.check_message_integrity(BROKER.password.encode())


def test_an_answer_is_no_larger_than_the_request() -> None:
    [(datagram, _), *_] = checks().due(0.0)
    assert len(answer(datagram)) <= len(datagram)


def test_the_clients_check_nominates() -> None:
    [(datagram, _), *_] = checks().due(0.0)
    request = read_request(datagram)
    assert request is not None
    assert request.use_candidate
    assert request.message.attributes["ICE-CONTROLLING"] == 7


@pytest.mark.parametrize(
    ("local", "remote_ufrag"),
    [
        (Credentials("otherfrag", BROKER.password), CLIENT.ufrag),
        (Credentials(BROKER.ufrag, "x" * 24), CLIENT.ufrag),
        (BROKER, "otherfrag"),
    ],
)
def test_a_request_with_other_credentials_gets_no_answer(
    local: Credentials, remote_ufrag: str
) -> None:
    [(datagram, _), *_] = checks().due(0.0)
    request = read_request(datagram)
    assert request is not None
    assert accept_request(request, local, remote_ufrag, HERE) is None


def test_a_changed_request_gets_no_answer() -> None:
    [(datagram, _), *_] = checks().due(0.0)
    for position in range(len(datagram) - 8):  # the fingerprint after it signs nothing
        forged = bytearray(datagram)
        forged[position] ^= 0x01
        request = read_request(bytes(forged))
        assert request is None or accept_request(request, BROKER, CLIENT.ufrag, HERE) is None


def test_a_request_without_integrity_is_none() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{BROKER.ufrag}:{CLIENT.ufrag}"
    assert read_request(bytes(message)) is None


def test_a_user_name_of_one_part_is_none() -> None:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = BROKER.ufrag
    message.add_message_integrity(BROKER.password.encode())
    assert read_request(bytes(message)) is None


def test_all_candidates_are_tried_with_growing_pauses_until_one_answers() -> None:
    client = checks()
    sent: list[tuple[float, int]] = []
    for tick in range(100):
        now = tick * 0.025
        requests = client.due(now)
        if requests:
            sent.append((now, len(requests)))
    assert [count for _, count in sent] == [2] * len(sent)
    assert [now for now, _ in sent] == pytest.approx([0, 0.05, 0.15, 0.35, 0.75, 1.55])
    [(datagram, target), _] = client.due(3.0)
    assert client.on_response(answer(datagram), target, 3.01)
    assert client.selected == FIRST
    assert not client.failed(100.0)


def test_the_first_that_answers_is_selected() -> None:
    client = checks()
    [(one, _), (two, _)] = client.due(0.0)
    assert client.on_response(answer(two), SECOND, 0.01)
    assert client.on_response(answer(one), FIRST, 0.02)
    assert client.selected == SECOND


def test_no_answer_is_given_up_after_a_while() -> None:
    client = checks()
    assert not client.failed(GIVE_UP_S)
    assert client.failed(GIVE_UP_S + 0.1)


@pytest.mark.parametrize("source", [SECOND, HERE])
def test_an_answer_from_elsewhere_does_not_count(source: tuple[str, int]) -> None:
    client = checks()
    [(datagram, _), _] = client.due(0.0)
    assert not client.on_response(answer(datagram), source, 0.01)


def test_an_answer_counts_once_and_only_if_it_is_signed() -> None:
    client = checks(count=1)
    [(datagram, _)] = client.due(0.0)
    response = answer(datagram)
    forged = stun.parse_message(response)
    forged.add_message_integrity(b"wrong")
    assert not client.on_response(bytes(forged), FIRST, 0.01)
    assert client.on_response(response, FIRST, 0.01)
    assert not client.on_response(response, FIRST, 0.02)


def test_a_connected_client_checks_once_a_second() -> None:
    client = checks()
    now, sent = 0.0, []
    while now < 5.0:
        for datagram, target in client.due(now):
            sent.append(round(now, 2))
            if target == FIRST:
                assert client.on_response(answer(datagram), target, now + 0.001)
        now += 0.05
    assert sent == pytest.approx([0.0, 0.0, 1.05, 2.05, 3.1, 4.15], abs=0.06)


def test_a_silent_broker_is_looked_for_at_all_its_addresses() -> None:
    client = checks()
    [(datagram, _), _] = client.due(0.0)
    client.on_response(answer(datagram), FIRST, 0.0)
    assert [target for _, target in client.due(1.0)] == [FIRST]
    requests = client.due(SEARCH_AGAIN_S + 1.0)
    assert [target for _, target in requests] == [FIRST, SECOND]
    assert client.on_response(answer(requests[1][0]), SECOND, SEARCH_AGAIN_S + 1.1)
    assert client.selected == SECOND


def test_candidates_are_bounded_and_tried_once_each() -> None:
    many = [("192.0.2.1", port) for port in range(1, 100)] + [("192.0.2.1", 1)]
    client = Checks(CLIENT, BROKER, many, 0.0, tie_breaker=1, new_id=lambda: bytes(12))
    targets = [target for _, target in client.due(0.0)]
    assert len(targets) == len(set(targets)) == CANDIDATES_MAX


@pytest.mark.parametrize(
    "datagram", [b"", bytes(20), b"\x00\x01\x00\x00\x21\x12\xa4\x42", bytes(600), b"\x16" * 40]
)
def test_other_datagrams_are_not_stun(datagram: bytes) -> None:
    assert not is_stun(datagram)
