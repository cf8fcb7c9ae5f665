"""When a peer's address moves."""

from __future__ import annotations

from broker.rtc.port import Path
from broker.rtc.whereabouts import ADDRESSES_MAX, MOVE_AFTER_S, Whereabouts

HOME, CAFE, REPLAY = (("192.0.2.1", 1), ("198.51.100.2", 2), ("203.0.113.3", 3))


def path(address: tuple[str, int]) -> Path:
    return Path(address, [])


def at(where: Whereabouts) -> tuple[str, int]:
    assert where.current is not None
    host, port = where.current.remote
    return host, port


def connected() -> Whereabouts:
    where = Whereabouts(0.0)
    where.on_check(path(HOME), 0.0, nominated=True, connected=False)
    return where


def test_before_nomination_the_first_address_will_do() -> None:
    where = Whereabouts(0.0)
    where.on_check(path(HOME), 0.0, nominated=False, connected=False)
    where.on_check(path(CAFE), 0.0, nominated=False, connected=False)
    assert at(where) == HOME
    where.on_check(path(CAFE), 0.0, nominated=True, connected=False)
    assert at(where) == CAFE


def test_a_replayed_check_does_not_take_a_connected_peer_away() -> None:
    where = connected()
    where.on_check(path(HOME), 10.0, nominated=True, connected=True)
    where.on_check(path(REPLAY), 10.0 + MOVE_AFTER_S, nominated=True, connected=True)
    assert at(where) == HOME


def test_a_check_moves_a_connected_peer_that_fell_silent() -> None:
    where = connected()
    where.on_check(path(CAFE), MOVE_AFTER_S + 0.1, nominated=False, connected=True)
    assert at(where) == HOME
    where.on_check(path(CAFE), MOVE_AFTER_S + 0.1, nominated=True, connected=True)
    assert at(where) == CAFE


def test_media_moves_a_peer_at_once() -> None:
    where = connected()
    where.on_check(path(CAFE), 1.0, nominated=False, connected=True)
    cafe = where.path(CAFE)
    assert cafe is not None
    where.move(cafe, 1.0)
    assert at(where) == CAFE
    where.on_check(path(HOME), 1.0 + MOVE_AFTER_S, nominated=True, connected=True)
    assert at(where) == CAFE


def test_the_address_in_use_is_never_forgotten() -> None:
    where = connected()
    forgotten = [
        where.on_check(path(("10.0.0.1", port)), 0.0, nominated=False, connected=True)
        for port in range(1, 30)
    ]
    assert len(where.addresses) == ADDRESSES_MAX
    assert where.uses(HOME)
    assert where.path(HOME) is not None
    assert HOME not in forgotten
    assert set(where.addresses).isdisjoint(one for one in forgotten if one is not None)


def test_an_answer_leaves_from_the_address_that_was_asked_last() -> None:
    where = connected()
    asked = Path(HOME, [(0, 8, b"other")])
    where.on_check(asked, 1.0, nominated=False, connected=True)
    assert where.current is not None
    assert where.current.ancillary == [(0, 8, b"other")]
