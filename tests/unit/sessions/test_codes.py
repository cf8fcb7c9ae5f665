"""One-time codes: what works, what does not, and what a guesser gets."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.protocol import Refusal
from broker.sessions.codes import (
    CODES_MAX,
    REMEMBERED_S,
    TRIES,
    TRIES_WINDOW_S,
    CodeBook,
    CodeRefused,
    grouped,
)

ANA, BEN = "ana", "ben"


def book(lifetime_s: float = 300.0, seed: int = 1) -> CodeBook:
    return CodeBook(random.Random(seed).randrange, lifetime_s)


def refusal(codes: CodeBook, digits: str, technician: str = ANA, now: float = 0.0) -> Refusal:
    with pytest.raises(CodeRefused) as caught:
        codes.submit(digits, technician, now)
    return caught.value.reason


def wrong_secret(digits: str) -> str:
    return digits[:6] + f"{(int(digits[6:]) + 1) % 10**6:06}"


def test_a_code_is_twelve_digits_shown_in_groups_of_three() -> None:
    code = book().issue("s", "person", 0.0)
    assert len(code.digits) == 12
    assert code.digits.isdigit()
    assert grouped("123456789012") == "123 456 789 012"


def test_a_code_opens_its_session_once() -> None:
    codes = book()
    code = codes.issue("s", "person", 0.0)
    assert codes.submit(code.digits, ANA, 1.0).session == "s"
    assert refusal(codes, code.digits, BEN, 1.0) is Refusal.CODE_USED


def test_a_code_works_until_its_time_is_over_and_then_says_so() -> None:
    codes = book(300.0)
    code = codes.issue("s", "person", 0.0)
    assert refusal(codes, code.digits, now=300.0) is Refusal.CODE_EXPIRED
    assert codes.has_expired(code.lookup, 300.0)
    assert not codes.has_expired(code.lookup, 299.9)


def test_a_long_forgotten_code_is_just_wrong() -> None:
    codes = book(300.0)
    code = codes.issue("s", "person", 0.0)
    assert refusal(codes, code.digits, now=300.0 + REMEMBERED_S) is Refusal.WRONG_CODE


def test_three_wrong_secrets_burn_a_code_for_everybody() -> None:
    codes = book()
    code = codes.issue("s", "person", 0.0)
    wrong = wrong_secret(code.digits)
    assert refusal(codes, wrong) is Refusal.WRONG_CODE
    assert refusal(codes, wrong, BEN) is Refusal.WRONG_CODE
    with pytest.raises(CodeRefused) as caught:
        codes.submit(wrong, ANA, 0.0)
    assert caught.value.reason is Refusal.CODE_BURNED
    assert caught.value.burned
    assert caught.value.code is not None
    assert refusal(codes, code.digits, BEN) is Refusal.CODE_BURNED


def test_a_fresh_code_withdraws_the_one_before_of_the_same_owner_only() -> None:
    codes = book()
    first = codes.issue("s", "person", 0.0)
    colleague = codes.issue("s", ANA, 0.0)
    second = codes.issue("s", "person", 0.0)
    assert refusal(codes, first.digits) is Refusal.CODE_USED
    assert codes.submit(colleague.digits, BEN, 0.0).owner == ANA
    assert codes.submit(second.digits, ANA, 0.0).session == "s"


def test_the_codes_of_a_session_that_is_over_do_not_work() -> None:
    codes = book()
    code = codes.issue("s", "person", 0.0)
    codes.withdraw("s")
    assert refusal(codes, code.digits) is Refusal.CODE_USED


def test_a_technician_who_guesses_is_stopped_and_may_go_on_later() -> None:
    codes = book()
    for _ in range(TRIES):
        assert refusal(codes, "000000000000") is Refusal.WRONG_CODE
    code = codes.issue("s", "person", 0.0)
    assert refusal(codes, code.digits) is Refusal.TOO_MANY_TRIES
    assert codes.submit(code.digits, BEN, 0.0).session == "s"
    later = codes.issue("t", "person", TRIES_WINDOW_S)
    assert codes.submit(later.digits, ANA, TRIES_WINDOW_S).session == "t"


def test_who_asks_for_codes_without_end_has_to_wait() -> None:
    codes = book(300.0)
    for _ in range(CODES_MAX):
        codes.issue("s", "person", 0.0)
    with pytest.raises(CodeRefused):
        codes.issue("s", "person", 1.0)
    assert codes.issue("s", ANA, 1.0).owner == ANA
    assert codes.issue("s", "person", 300.0 + REMEMBERED_S).session == "s"


def test_lookups_never_collide_even_with_a_poor_draw() -> None:
    draws = iter([7, 1, 7, 7, 8, 2])
    codes = CodeBook(lambda _: next(draws), 300.0)
    first = codes.issue("a", "person", 0.0)
    second = codes.issue("b", "person", 0.0)
    assert (first.lookup, second.lookup) == ("000007", "000008")


@given(st.text(max_size=40), st.integers(0, 3))
def test_no_text_but_the_code_itself_opens_anything(text: str, seed: int) -> None:
    codes = book(seed=seed)
    code = codes.issue("s", "person", 0.0)
    if text != code.digits:
        assert refusal(codes, text) in (Refusal.WRONG_CODE, Refusal.CODE_BURNED)


@given(
    st.lists(
        st.tuples(st.sampled_from(["right", "wrong", "other"]), st.sampled_from([ANA, BEN, "cy"])),
        max_size=12,
    )
)
def test_whatever_the_order_of_tries_a_code_is_won_at_most_once(
    tries: list[tuple[str, str]],
) -> None:
    codes = book()
    code = codes.issue("s", "person", 0.0)
    digits = {"right": code.digits, "wrong": wrong_secret(code.digits), "other": "999999999999"}
    won, wrong = 0, 0
    for kind, technician in tries:
        try:
            codes.submit(digits[kind], technician, 0.0)
            won += 1
            assert wrong < 3, "a burned code was accepted"
        except CodeRefused:
            wrong += kind == "wrong" and won == 0
    assert won <= 1
