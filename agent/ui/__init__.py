"""What every user interface of the agent offers: what it shows, what it passes on.

The agent tells an interface what happens, by the calls of `Ui`; the interface
tells the agent what the person wants, by one callable that takes a `Wish`.
Everything happens on the event loop, and no call waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from broker.protocol import Technician


class Answered(Struct, frozen=True):
    """The answer to the question about exactly this technician."""

    technician: Technician
    allowed: bool


class Stop(Struct, frozen=True):
    """End the session: asked for, or because nobody can be asked any more."""

    why: Literal["asked", "no-input", "signal"] = "asked"


class WantCode(Struct, frozen=True):
    """A new code."""


class SendAway(Struct, frozen=True):
    """One technician is to go."""

    participant: str


class Write(Struct, frozen=True):
    """A chat text."""

    text: str


Wish = Answered | Stop | WantCode | SendAway | Write
Wished = Callable[[Wish], None]


class Ui(Protocol):
    """One person's view of the agent."""

    def open(self, wished: Wished) -> None:
        """Begin to take wishes."""
        ...

    def tell(self, key: str, /, **values: object) -> None:
        """Something has happened: a sentence of `agent.locale`."""
        ...

    def show_code(self, digits: str, lifetime_s: float) -> None:
        """The code to read out."""
        ...

    def ask(self, technician: Technician) -> None:
        """Put the question whether this technician may see the screen."""
        ...

    def withdraw(self, technician: Technician) -> None:
        """That question no longer stands."""
        ...

    def present(self, technicians: tuple[Technician, ...]) -> None:
        """Who is in the session and allowed: who reads chat, who can be sent away."""
        ...

    def watched_by(self, technicians: tuple[Technician, ...]) -> None:
        """Who sees the screen from now on; nobody if empty."""
        ...

    def heard(self, name: str, text: str) -> None:
        """A technician's chat text; as untrusted as any."""
        ...

    async def close(self) -> None:
        """Show what is left to show, and let go of the person's input."""
        ...
