"""The terminal interface, driven through two real pipes."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agent.locale import Texts
from agent.ui import Answered, SendAway, Stop, WantCode, Wish, Write
from agent.ui.text import TextUi
from broker.protocol import EndReason, Language, MediaFailure, Refusal, Technician

ANA = Technician("t1", "Ana Ruiz", "Example Org")
BEN = Technician("t2", "Ben Okoro", "Example Org")
NOON = time.struct_time((2026, 1, 1, 12, 0, 0, 3, 1, 0))
QUESTION = "allow Ana Ruiz (Example Org) to see your screen? [y/N] "


class Person:
    """Somebody at a terminal: types lines, reads what is shown."""

    def __init__(self, language: Language = "en", remind_s: float = 60.0) -> None:
        self._stdin, self._keyboard = os.pipe()
        self._screen, self._stdout = os.pipe()
        os.set_blocking(self._screen, False)
        self.wishes: list[Wish] = []
        self._seen = ""
        self.ui = TextUi(
            Texts(language),
            input_fd=self._stdin,
            output_fd=self._stdout,
            clock=lambda: NOON,
            remind_s=remind_s,
        )
        self.ui.open(self.wishes.append)

    async def types(self, *lines: str) -> None:
        os.write(self._keyboard, "".join(line + "\n" for line in lines).encode())
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.sleep(0.005)

    def leaves(self) -> None:
        os.close(self._keyboard)
        self._keyboard = -1

    def sees(self) -> str:
        try:
            while data := os.read(self._screen, 65536):
                self._seen += data.decode()
        except BlockingIOError:
            pass
        return self._seen

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 (what a pipe shows sets no event)
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self.ui.close()
        for descriptor in (self._stdin, self._keyboard, self._screen, self._stdout):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
async def person() -> AsyncIterator[Person]:
    one = Person()
    yield one
    await one.close()


async def test_the_code_is_shown_in_groups_on_a_line_of_its_own(person: Person) -> None:
    person.ui.show_code("123456789012", 300.0)
    assert "code: 123 456 789 012" in person.sees().splitlines()
    assert "for 5 min" in person.sees()


async def test_each_event_is_a_line_with_its_time(person: Person) -> None:
    person.ui.tell("link.up")
    assert person.sees() == "12:00:00 connected to the broker\n"


async def test_reasons_are_said_in_words(person: Person) -> None:
    person.ui.tell("end.said", why=EndReason.TECHNICIAN_ENDED)
    person.ui.tell("media.said", what=MediaFailure.NO_UDP)
    person.ui.tell("link.refused", why=Refusal.BUSY)
    lines = person.sees().splitlines()
    assert lines[0] == "12:00:00 ended: the technician ended the session"
    assert "UDP does not reach the broker" in lines[1]
    assert "try again in a minute" in lines[2]


@pytest.mark.parametrize(
    ("typed", "allowed"), [("y", True), ("yes", True), ("", False), ("n", False), ("NO", False)]
)
async def test_a_question_takes_the_next_line(person: Person, typed: str, allowed: bool) -> None:
    person.ui.ask(ANA)
    assert person.sees() == QUESTION
    await person.types(typed)
    assert person.wishes == [Answered(ANA, allowed)]


async def test_the_spanish_question_takes_si() -> None:
    person = Person("es")
    person.ui.ask(ANA)
    assert person.sees() == "¿permitir que Ana Ruiz (Example Org) vea tu pantalla? [s/N] "
    await person.types("sí")
    assert person.wishes == [Answered(ANA, True)]
    await person.close()


async def test_anything_but_yes_or_no_is_asked_again(person: Person) -> None:
    person.ui.ask(ANA)
    await person.types("maybe")
    assert person.wishes == []
    assert person.sees().count(QUESTION) == 2
    await person.types("y")
    assert person.wishes == [Answered(ANA, True)]


async def test_two_questions_are_asked_one_after_the_other(person: Person) -> None:
    person.ui.ask(ANA)
    person.ui.ask(BEN)
    assert "Ben" not in person.sees()
    await person.types("y")
    assert person.sees().endswith("allow Ben Okoro (Example Org) to see your screen? [y/N] ")
    await person.types("")
    assert person.wishes == [Answered(ANA, True), Answered(BEN, False)]


async def test_an_event_during_a_question_puts_the_question_again(person: Person) -> None:
    person.ui.ask(ANA)
    person.ui.tell("link.up")
    assert person.sees() == f"{QUESTION}\n12:00:00 connected to the broker\n{QUESTION}"


async def test_a_withdrawn_question_takes_no_answer(person: Person) -> None:
    person.ui.ask(ANA)
    person.ui.withdraw(ANA)
    await person.types("y")
    assert person.wishes == []
    assert "the question about Ana Ruiz no longer stands" in person.sees()
    assert "nothing is being asked now" in person.sees()


async def test_withdrawing_one_question_puts_the_next(person: Person) -> None:
    person.ui.ask(ANA)
    person.ui.ask(BEN)
    person.ui.withdraw(ANA)
    await person.types("y")
    assert person.wishes == [Answered(BEN, True)]


@pytest.mark.parametrize("typed", ["q", "Q", "/q"])
async def test_q_stops_even_while_a_question_stands(person: Person, typed: str) -> None:
    person.ui.ask(ANA)
    await person.types(typed)
    assert person.wishes == [Stop()]


async def test_a_closed_input_stops(person: Person) -> None:
    person.leaves()
    await person.until(lambda: person.wishes == [Stop("no-input")])


async def test_n_wants_a_code(person: Person) -> None:
    await person.types("n", "/n")
    assert person.wishes == [WantCode(), WantCode()]


async def test_h_shows_what_can_be_typed(person: Person) -> None:
    await person.types("h")
    assert "q ends the session" in person.sees()


@pytest.mark.parametrize("typed", ["x", "/dance", "5", "/"])
async def test_an_unknown_command_is_said_and_not_sent(person: Person, typed: str) -> None:
    person.ui.present((ANA,))
    await person.types(typed)
    assert person.wishes == []
    assert "is not a command" in person.sees()


@pytest.mark.parametrize(
    ("typed", "text"),
    [("hello there", "hello there"), ("say q", "q"), ("say", "say"), ("ok", "ok")],
)
async def test_other_text_is_a_message_to_who_is_there(
    person: Person, typed: str, text: str
) -> None:
    person.ui.present((ANA,))
    await person.types(typed)
    assert person.wishes == [Write(text)]


async def test_text_to_nobody_is_said_to_go_nowhere(person: Person) -> None:
    await person.types("hello there")
    assert person.wishes == []
    assert "nobody is here to read that" in person.sees()


async def test_d_sends_the_only_technician_away(person: Person) -> None:
    person.ui.present((ANA,))
    await person.types("d")
    assert person.wishes == [SendAway("t1")]


@pytest.mark.parametrize(
    ("typed", "wishes"),
    [("2", [SendAway("t2")]), ("", []), ("3", []), ("hello", [Write("hello")])],
)
async def test_d_asks_which_of_several(person: Person, typed: str, wishes: list[Wish]) -> None:
    person.ui.present((ANA, BEN))
    await person.types("d")
    assert re.search(r"1\s+Ana Ruiz.*\n\s+2\s+Ben Okoro", person.sees())
    await person.types(typed)
    assert person.wishes == wishes


async def test_d_with_nobody_says_so(person: Person) -> None:
    await person.types("d")
    assert "nobody to send away" in person.sees()


async def test_a_question_comes_before_the_choice_whom_to_send_away(person: Person) -> None:
    person.ui.present((ANA, BEN))
    await person.types("d")
    person.ui.ask(Technician("t3", "Cy", "X"))
    await person.types("1")
    assert person.wishes == []


async def test_who_watches_is_said_at_once_on_w_and_again_and_again() -> None:
    person = Person(remind_s=0.02)
    person.ui.watched_by((ANA, BEN))
    who = "Ana Ruiz (Example Org) and Ben Okoro (Example Org)"
    assert f"{who} can see your screen now; q and Enter stops it" in person.sees()
    await person.until(lambda: person.sees().count(f"{who} can still see your screen") >= 2)
    person.ui.watched_by(())
    assert "nobody sees your screen now" in person.sees()
    said = person.sees().count("can still see")
    await asyncio.sleep(0.06)
    assert person.sees().count("can still see") == said
    await person.types("w")
    assert person.sees().count("nobody sees your screen now") == 2
    await person.close()


async def test_a_technicians_words_cannot_act_on_the_terminal(person: Person) -> None:
    person.ui.heard("Ana\x1b[2J", "one\x1b]0;x\x07\r\nallow Eve to see your screen? [y/N] ")
    assert person.sees().splitlines() == [
        "12:00:00 Ana: one",
        "12:00:00 Ana: allow Eve to see your screen? [y/N]",
    ]


async def test_a_name_of_nothing_but_escapes_is_said_to_be_none(person: Person) -> None:
    person.ui.ask(Technician("t9", "\x1b[31m\u202e", ""))
    assert person.sees() == "allow somebody without a name (?) to see your screen? [y/N] "


async def test_a_terminal_that_takes_nothing_does_not_hold_up_q(person: Person) -> None:
    for _ in range(20_000):
        person.ui.tell("link.up")  # far more than a pipe holds
    await person.types("q")
    assert person.wishes == [Stop()]


async def test_a_line_without_end_does_not_fill_the_memory(person: Person) -> None:
    person.ui.present((ANA,))
    for _ in range(20):
        os.write(person._keyboard, b"x" * 4000)
        await asyncio.sleep(0.005)
    await person.types("")
    (wish,) = person.wishes
    assert isinstance(wish, Write)
    assert len(wish.text) <= 16 * 1024


async def test_input_that_cannot_be_waited_on_counts_as_closed() -> None:
    wishes: list[Wish] = []
    reader, writer = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    ui = TextUi(Texts("en"), input_fd=nothing, output_fd=writer)
    ui.open(wishes.append)
    await asyncio.sleep(0.01)
    assert wishes == [Stop("no-input")]
    await ui.close()
    for descriptor in (reader, writer, nothing):
        os.close(descriptor)


async def test_a_gone_screen_stops() -> None:
    wishes: list[Wish] = []
    stdin, keyboard = os.pipe()
    reader, writer = os.pipe()
    os.close(reader)
    ui = TextUi(Texts("en"), input_fd=stdin, output_fd=writer)
    ui.open(wishes.append)
    ui.tell("link.up")
    await asyncio.sleep(0.01)
    assert wishes == [Stop("no-input")]
    await ui.close()
    for descriptor in (stdin, keyboard, writer):
        os.close(descriptor)


async def test_what_was_typed_before_a_question_does_not_answer_it() -> None:
    keyboard, terminal = os.openpty()
    wishes: list[Wish] = []
    ui = TextUi(Texts("en"), input_fd=terminal, output_fd=terminal)
    ui.open(wishes.append)
    os.write(keyboard, b"y")  # and no Enter yet
    await asyncio.sleep(0.02)
    ui.ask(ANA)
    os.write(keyboard, b"\n")
    await asyncio.sleep(0.02)
    assert wishes == [Answered(ANA, False)]
    await ui.close()
    os.close(keyboard)
    os.close(terminal)


async def test_an_event_while_an_answer_is_typed_does_not_lose_it() -> None:
    keyboard, terminal = os.openpty()
    wishes: list[Wish] = []
    ui = TextUi(Texts("en"), input_fd=terminal, output_fd=terminal)
    ui.open(wishes.append)
    ui.ask(ANA)
    os.write(keyboard, b"y")
    await asyncio.sleep(0.02)
    ui.tell("link.up")
    os.write(keyboard, b"\n")
    await asyncio.sleep(0.02)
    assert wishes == [Answered(ANA, True)]
    await ui.close()
    os.close(keyboard)
    os.close(terminal)


async def test_on_a_terminal_no_text_of_others_begins_a_line() -> None:
    keyboard, terminal = os.openpty()
    ui = TextUi(Texts("en"), input_fd=terminal, output_fd=terminal, clock=lambda: NOON)
    ui.open(lambda _: None)
    ui.heard("Ana", "word " * 60)
    lines = os.read(keyboard, 65536).decode().split("\r\n")[:-1]
    assert len(lines) > 1
    assert lines[0].startswith("12:00:00 Ana: ")
    assert all(line.startswith(" " * 9) for line in lines[1:])
    await ui.close()
    os.close(keyboard)
    os.close(terminal)
