"""The terminal interface: prints each event on a line, takes one line a wish.

A line answers the question that stands, if one does. Else a single letter, or
a word after `/`, is a command, and any other text is a message to who is there.
"""

from __future__ import annotations

import asyncio
import shutil
import textwrap
import time
from collections.abc import Callable

from agent.locale import Texts
from agent.ui import Answered, SendAway, Stop, WantCode, Wished, Write
from agent.ui.clean import clean, clean_lines
from agent.ui.terminal import Terminal
from broker.protocol import EndReason, MediaFailure, Refusal, Technician

REMIND_S = 60.0
"""While somebody sees the screen, a line says so this often."""


class TextUi:
    """A `Ui` on a terminal or on two pipes. `clock` gives the local time."""

    def __init__(
        self,
        texts: Texts,
        *,
        input_fd: int = 0,
        output_fd: int = 1,
        clock: Callable[[], time.struct_time] = time.localtime,
        remind_s: float = REMIND_S,
    ) -> None:
        self._texts = texts
        self._clock = clock
        self._remind_s = remind_s
        self._wished: Wished = _ignore
        self._questions: list[Technician] = []
        self._choices: tuple[Technician, ...] = ()  # of whom to send away
        self._present: tuple[Technician, ...] = ()
        self._watchers: tuple[Technician, ...] = ()
        self._reminder: asyncio.TimerHandle | None = None
        self._at_question = False  # the cursor stands behind one
        self._terminal = Terminal(
            on_line=self._line,
            on_closed=lambda: self._wished(Stop("no-input")),
            input_fd=input_fd,
            output_fd=output_fd,
        )

    # ── what happens ─────────────────────────────────────────────────────────

    def open(self, wished: Wished) -> None:
        """Begin to read lines."""
        self._wished = wished
        self._terminal.open()

    def tell(self, key: str, /, **values: object) -> None:
        """Print an event."""
        self._print(self._texts(key, **{name: self._word(v) for name, v in values.items()}))

    def show_code(self, digits: str, lifetime_s: float) -> None:
        """Print the code on a line of its own, as programs expect it."""
        grouped = " ".join(digits[i : i + 3] for i in range(0, len(digits), 3))
        self._print(self._texts("code", digits=grouped), timed=False)
        self.tell("code.read_it_out", minutes=max(1, round(lifetime_s / 60)))

    def ask(self, technician: Technician) -> None:
        """Put a question; the ones before it come first."""
        self._choices = ()
        self._questions.append(technician)
        if len(self._questions) == 1:
            self._put_question()

    def withdraw(self, technician: Technician) -> None:
        """Take a question back."""
        if technician not in self._questions:
            return
        was_put = self._questions[0] == technician
        self._questions.remove(technician)
        if was_put:
            self._end_question()
        self.tell("ask.withdrawn", name=self._name(technician))
        if was_put and self._questions:
            self._put_question()

    def present(self, technicians: tuple[Technician, ...]) -> None:
        """Who can read what is typed."""
        self._present = technicians

    def watched_by(self, technicians: tuple[Technician, ...]) -> None:
        """Say who sees the screen, now and every minute."""
        if technicians == self._watchers:
            return
        self._watchers = technicians
        self._say_watchers("watching.now")
        self._remind()

    def heard(self, name: str, text: str) -> None:
        """Print a technician's text, each of its lines under their name."""
        for line in clean_lines(text):
            self.tell("chat.theirs", name=clean(name) or self._texts("somebody"), text=line)

    async def close(self) -> None:
        """Print what still fits; no line is read from here on."""
        if self._reminder is not None:
            self._reminder.cancel()
        self._wished = _ignore
        self._questions.clear()
        self._end_question()
        await self._terminal.close()

    # ── lines ────────────────────────────────────────────────────────────────

    def _line(self, line: str) -> None:
        self._end_question(typed=True)
        text = line.strip()
        if text.lower() in ("q", "/q"):  # stopping is never the wrong answer
            self._wished(Stop())
        elif self._questions:
            self._answer(text)
        elif self._choices and self._chosen(text):
            pass
        elif len(text) == 1 or text.startswith("/"):
            self._command(text.removeprefix("/").lower())
        elif text:
            self._write(text)

    def _answer(self, text: str) -> None:
        allowed = self._texts.yes(text)
        if allowed is None:
            self.tell("ask.again")
        else:
            technician = self._questions.pop(0)
            self.tell("answered.yes" if allowed else "answered.no", name=self._name(technician))
            self._wished(Answered(technician, allowed))
        if self._questions and not self._at_question:
            self._put_question()

    def _command(self, command: str) -> None:
        match command:
            case "n":
                self.tell("code.wanted")
                self._wished(WantCode())
            case "d":
                self._ask_whom_to_send_away()
            case "w":
                self._say_watchers("watching.now")
            case "h" | "?":
                for line in self._texts("help").splitlines():
                    self._print(line, timed=False)
            case "y" | "s":
                self.tell("ask.none")
            case _:
                self.tell("unknown", command=command)

    def _write(self, text: str) -> None:
        if not self._present:
            self.tell("chat.nobody")
            return
        self._wished(Write(text.removeprefix("say ").strip() or text))

    def _ask_whom_to_send_away(self) -> None:
        if len(self._present) > 1:
            self._choices = self._present
            for number, technician in enumerate(self._choices, 1):
                choice = self._texts(
                    "dismiss.choice",
                    number=number,
                    name=self._name(technician),
                    organisation=clean(technician.organisation),
                )
                self._print(choice, timed=False)
            self.tell("dismiss.which")
        elif self._present:
            self._wished(SendAway(self._present[0].id))
        else:
            self.tell("dismiss.nobody")

    def _chosen(self, text: str) -> bool:
        choices, self._choices = self._choices, ()
        chosen = next((t for n, t in enumerate(choices, 1) if text == str(n)), None)
        if chosen is not None:
            self._wished(SendAway(chosen.id))
        return chosen is not None

    # ── the question that stands ─────────────────────────────────────────────

    def _put_question(self, again: bool = False) -> None:
        if not again:
            self._terminal.forget_typed()
        technician = self._questions[0]
        question = self._texts(
            "ask.see",
            name=self._name(technician),
            organisation=clean(technician.organisation) or "?",
        )
        self._terminal.write(question)
        self._at_question = True

    def _end_question(self, typed: bool = False) -> None:
        """Leave the question's line; a terminal's own echo has done so already."""
        if self._at_question and not (typed and self._terminal.echoes):
            self._terminal.write("\n")
        self._at_question = False

    # ── printing ─────────────────────────────────────────────────────────────

    def _print(self, text: str, timed: bool = True) -> None:
        asking = self._at_question
        self._end_question()
        at = time.strftime("%H:%M:%S ", self._clock()) if timed else ""
        for line in self._wrapped(at + text):
            self._terminal.write(line + "\n")
        if asking and self._questions:
            self._put_question(again=True)

    def _wrapped(self, line: str) -> list[str]:
        """On a terminal, no text of others may begin a line."""
        if not self._terminal.echoes:
            return [line]
        width = max(20, shutil.get_terminal_size().columns - 1)
        return textwrap.wrap(line, width, subsequent_indent=" " * 9, break_on_hyphens=False)

    def _say_watchers(self, key: str) -> None:
        if self._watchers:
            self.tell(key, names=self._texts("and").join(map(self._who, self._watchers)))
        else:
            self.tell("watching.nobody")

    def _remind(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None
        if self._watchers:
            loop = asyncio.get_running_loop()
            self._reminder = loop.call_later(self._remind_s, self._still)

    def _still(self) -> None:
        self._say_watchers("watching.still")
        self._remind()

    def _word(self, value: object) -> object:
        match value:
            case EndReason():
                return self._texts.ended(value)
            case Refusal():
                return self._texts.refused(value)
            case MediaFailure():
                return self._texts.media(value)
            case str():
                return clean(value)
        return value

    def _name(self, technician: Technician) -> str:
        return clean(technician.name) or self._texts("somebody")

    def _who(self, technician: Technician) -> str:
        organisation = clean(technician.organisation)
        name = self._name(technician)
        return f"{name} ({organisation})" if organisation else name


def _ignore(_: object) -> None:
    """What an interface that is not open does with wishes."""
