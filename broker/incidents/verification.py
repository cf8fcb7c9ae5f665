"""What a check of the log found."""

from __future__ import annotations

from msgspec import Struct

from broker.incidents.chain import Problem


class Verification(Struct, frozen=True):
    """How much was checked, and what is wrong with it."""

    events: int
    incidents: int
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems
