"""A text counts as sent when it is recorded, once, and not before."""

from __future__ import annotations

import pytest

from agent.chat import PENDING_MAX, Conversation, Failed, Heard, News, Sent, TextRefused
from broker.protocol import CHAT_TEXT_MAX, PERSON, Chat, ChatSince, NotSaid, Refusal, Said, Say

AT = "2026-01-01T00:00:00Z"
MINE = Say("text-0001", "hello")
WAITING = Conversation(3, (MINE,))


def theirs(number: int) -> Chat:
    return Chat(number, "text-9999", "t1", "Ana", AT, "good morning")


def mine(number: int) -> Chat:
    return Chat(number, MINE.id, PERSON, "Eva", AT, MINE.text)


@pytest.mark.parametrize(
    ("before", "message", "after", "news"),
    [
        (WAITING, Said(MINE.id, 4, AT), Conversation(4), Sent("hello")),
        (Conversation(4), Said(MINE.id, 4, AT), Conversation(4), None),
        (
            WAITING,
            NotSaid(MINE.id, Refusal.LOG_FAILED),
            Conversation(3),
            Failed("hello", Refusal.LOG_FAILED),
        ),
        (Conversation(3), NotSaid(MINE.id, Refusal.BUSY), Conversation(3), None),
        (WAITING, mine(4), Conversation(4), Sent("hello")),
        (Conversation(4), mine(4), Conversation(4), None),
        (WAITING, theirs(4), Conversation(4, (MINE,)), Heard("Ana", "good morning")),
        (WAITING, theirs(3), WAITING, None),
    ],
)
def test_what_the_broker_says_about_texts(
    before: Conversation, message: Said | NotSaid | Chat, after: Conversation, news: News | None
) -> None:
    assert before.told(message) == (after, news)


def test_an_unacknowledged_text_is_sent_again_under_its_id() -> None:
    conversation, message = Conversation(7).write("hello", MINE.id)
    assert message == MINE
    assert conversation.opening() == [ChatSince(7), MINE]


def test_what_was_never_recorded_is_failed_at_the_end() -> None:
    assert WAITING.over() == [Failed("hello", Refusal.SESSION_OVER)]


def test_a_text_too_long_is_refused_before_it_is_sent() -> None:
    with pytest.raises(TextRefused):
        Conversation().write("x" * (CHAT_TEXT_MAX + 1), MINE.id)


def test_texts_that_wait_are_bounded() -> None:
    conversation = Conversation(0, (MINE,) * PENDING_MAX)
    with pytest.raises(TextRefused):
        conversation.write("one more", "text-0002")
