"""One-time codes: six digits to look a request up, six that are secret.

A code works once, for a limited time; three wrong secrets burn it, and a
technician who guesses is stopped. Codes live in memory: they end with the
broker, as the requests they belong to do. Time and randomness are arguments.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace

from broker.protocol import Refusal

DIGITS = 6
"""Length of each half."""

WRONG_SECRETS = 3
"""So many wrong secrets burn a code."""

TRIES = 10
"""So many wrong codes may one technician enter within `TRIES_WINDOW_S`."""

TRIES_WINDOW_S = 300.0

CODES_MAX = 20
"""So many codes may one participant ask for before the first is forgotten."""

REMEMBERED_S = 600.0
"""A code that no longer works is remembered so long, to say why."""


class CodeState(Enum):
    """Whether a code still works, and if not, why."""

    FRESH = auto()
    USED = auto()
    BURNED = auto()
    WITHDRAWN = auto()


class Code(Struct, frozen=True):
    """One code. Times are monotonic seconds."""

    lookup: str
    secret: str
    session: str
    owner: str  # participant id of who asked for it
    expires_at: float
    wrong: int = 0
    state: CodeState = CodeState.FRESH

    @property
    def digits(self) -> str:
        """All twelve."""
        return self.lookup + self.secret


class CodeRefused(Exception):
    """The digits open nothing.

    `code` is the one that they looked up, if any; `burned` says that this very
    try has burned it.
    """

    def __init__(self, reason: Refusal, code: Code | None = None, burned: bool = False) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.code = code
        self.burned = burned


class CodeBook:
    """All codes of one broker.

    `draw(n)` gives a uniform random integer below n: `secrets.randbelow`.
    """

    def __init__(self, draw: Callable[[int], int], lifetime_s: float) -> None:
        self._draw = draw
        self._lifetime_s = lifetime_s
        self._codes: dict[str, Code] = {}
        self._wrong_tries: dict[str, deque[float]] = {}

    def issue(self, session: str, owner: str, now: float) -> Code:
        """A fresh code; the one that `owner` had for this session is withdrawn.

        Raises CodeRefused for who asks without end.
        """
        self._forget(now)
        if self._count(session, owner) >= CODES_MAX:
            raise CodeRefused(Refusal.BUSY)
        self.withdraw(session, owner)
        code = Code(
            lookup=self._free_lookup(),
            secret=self._digits(),
            session=session,
            owner=owner,
            expires_at=now + self._lifetime_s,
        )
        self._codes[code.lookup] = code
        return code

    def submit(self, digits: str, technician: str, now: float) -> Code:
        """Use a code up: the first right submission gets it, later ones do not.

        Raises CodeRefused.
        """
        self._forget(now)
        if self._exhausted(technician, now):
            raise CodeRefused(Refusal.TOO_MANY_TRIES)
        code = self._codes.get(digits[:DIGITS])
        if code is None or not digits.isascii():
            self._count_wrong(technician, now)
            raise CodeRefused(Refusal.WRONG_CODE)
        if code.state is CodeState.BURNED:
            self._count_wrong(technician, now)
            raise CodeRefused(Refusal.CODE_BURNED, code)
        if not hmac.compare_digest(code.secret, digits[DIGITS:]):
            self._count_wrong(technician, now)
            raise self._wrong_secret(code)
        if code.state is not CodeState.FRESH:
            raise CodeRefused(Refusal.CODE_USED, code)
        if now >= code.expires_at:
            raise CodeRefused(Refusal.CODE_EXPIRED, code)
        used = replace(code, state=CodeState.USED)
        self._codes[code.lookup] = used
        return used

    def withdraw(self, session: str, owner: str | None = None) -> None:
        """Stop the fresh codes of a session (of one owner) from working."""
        for code in self._codes.values():
            if (
                code.session == session
                and code.state is CodeState.FRESH
                and owner in (None, code.owner)
            ):
                self._codes[code.lookup] = replace(code, state=CodeState.WITHDRAWN)

    def has_expired(self, lookup: str, now: float) -> bool:
        """Whether a code stopped working because its time ran out."""
        code = self._codes.get(lookup)
        return code is not None and code.state is CodeState.FRESH and now >= code.expires_at

    def _wrong_secret(self, code: Code) -> CodeRefused:
        wrong = code.wrong + 1
        burned = code.state is CodeState.FRESH and wrong >= WRONG_SECRETS
        state = CodeState.BURNED if burned else code.state
        self._codes[code.lookup] = replace(code, wrong=wrong, state=state)
        reason = Refusal.CODE_BURNED if burned else Refusal.WRONG_CODE
        return CodeRefused(reason, code, burned)

    def _count(self, session: str, owner: str) -> int:
        return sum(c.session == session and c.owner == owner for c in self._codes.values())

    def _exhausted(self, technician: str, now: float) -> bool:
        tries = self._wrong_tries.get(technician)
        if tries is None:
            return False
        while tries and tries[0] <= now - TRIES_WINDOW_S:
            tries.popleft()
        if not tries:
            del self._wrong_tries[technician]
        return len(tries) >= TRIES

    def _count_wrong(self, technician: str, now: float) -> None:
        self._wrong_tries.setdefault(technician, deque(maxlen=TRIES)).append(now)

    def _forget(self, now: float) -> None:
        gone = [c.lookup for c in self._codes.values() if now >= c.expires_at + REMEMBERED_S]
        for lookup in gone:
            del self._codes[lookup]

    def _free_lookup(self) -> str:
        while (lookup := self._digits()) in self._codes:
            pass
        return lookup

    def _digits(self) -> str:
        return f"{self._draw(10**DIGITS):0{DIGITS}}"


def grouped(digits: str) -> str:
    """Twelve digits as people read them: `123 456 789 012`."""
    return " ".join(digits[i : i + 3] for i in range(0, len(digits), 3))
