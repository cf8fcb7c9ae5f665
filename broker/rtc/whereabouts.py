"""Where a peer is: the addresses that its checks proved, and the one in use.

Pure: `now` is monotonic seconds. A check is signed but can be replayed from
anywhere; media and data cannot. So a check moves a connected peer only when
nothing has come from where it was, and authentic media or data always does.
"""

from __future__ import annotations

from typing import Final

from broker.rtc.port import Address, Path

ADDRESSES_MAX: Final = 8
"""Most addresses kept for one peer; the oldest that is not in use goes first."""

MOVE_AFTER_S: Final = 2.0
"""Silence from the address in use after which a check may move a connected peer."""


class Whereabouts:
    """The addresses of one peer."""

    def __init__(self, now: float) -> None:
        self.current: Path | None = None
        self._known: dict[Address, Path] = {}  # oldest first
        self._heard_at = now  # from the address in use

    @property
    def addresses(self) -> list[Address]:
        """Every address from which a check was authentic, oldest first."""
        return list(self._known)

    def uses(self, remote: Address) -> bool:
        """Whether this is the address in use."""
        return self.current is not None and self.current.remote == remote

    def path(self, remote: Address) -> Path | None:
        """The path to an address, if a check has proved it."""
        return self._known.get(remote)

    def on_check(
        self, path: Path, now: float, *, nominated: bool, connected: bool
    ) -> Address | None:
        """An authentic check came by this path. Returns an address to be forgotten."""
        forgotten: Address | None = None
        known = self._known.get(path.remote)
        if known is None:
            known = self._known[path.remote] = path
            if len(self._known) > ADDRESSES_MAX:
                forgotten = next(
                    one for one in self._known if not self.uses(one) and one != path.remote
                )
                del self._known[forgotten]
        else:
            known.ancillary = path.ancillary  # the address that was asked may change
        silent = now - self._heard_at > MOVE_AFTER_S
        # Before any nomination, the first address will do.
        if self.current is None or (nominated and (silent or not connected)):
            self.move(known, now)
        elif known is self.current:
            self._heard_at = now
        return forgotten

    def move(self, path: Path, now: float) -> None:
        """Something that cannot be replayed came by this path: use it from now on."""
        self._heard_at = now
        self.current = path
