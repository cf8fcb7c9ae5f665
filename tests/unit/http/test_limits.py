"""What one address may ask for, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.http.guard import Denied
from broker.http.limits import ADDRESSES_MAX, RATE_WINDOW_S, LinkLimit, RequestRate


def test_a_link_more_than_allowed_is_refused_until_one_closes() -> None:
    limit = LinkLimit(2)
    with limit("a"), limit("b"):
        with limit("a"):
            with pytest.raises(Denied):
                limit("a")
            with limit("b"):
                pass
        with limit("a"):
            pass


def test_a_flood_of_requests_is_refused_and_may_go_on_later() -> None:
    rate = RequestRate(3)
    assert [rate.allows("a", float(n)) for n in range(5)] == [True, True, True, False, False]
    assert rate.allows("b", 4.0)
    assert rate.allows("a", RATE_WINDOW_S)
    assert not rate.allows("a", RATE_WINDOW_S)


def test_only_so_many_addresses_are_remembered() -> None:
    rate = RequestRate(1)
    for number in range(ADDRESSES_MAX + 100):
        assert rate.allows(str(number), 0.0)
    assert len(rate._made) == ADDRESSES_MAX


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 20)), max_size=60))
def test_no_window_ever_holds_more_than_the_most(asked: list[tuple[str, float]]) -> None:
    rate, now = RequestRate(4), 0.0
    allowed: list[tuple[str, float]] = []
    for address, pause_s in asked:
        now += pause_s
        if rate.allows(address, now):
            allowed.append((address, now))
    for address, at in allowed:
        window = [t for a, t in allowed if a == address and at - RATE_WINDOW_S < t <= at]
        assert len(window) <= 4
