"""When to look at the screen, when to encode, and with how many bits.

Pure: `now` is monotonic seconds.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.video import RATE_FRAMES_S

LOOKS: Final = ((2.0, 0.012), (10.0, 1 / 30), (float("inf"), 1 / 20))
"""Up to so long after the last change, look so often at a screen that does not tell of
its changes. Where something changed, something else soon will; a look costs 4 ms at
1920 x 1080."""

LOOK_PAUSE_S: Final = 0.008
"""Shortest pause between two looks at a screen that tells of its changes."""

LOOK_ANYWAY_S: Final = 0.5
"""Look so often at a screen that says that nothing changed: some things are not told,
such as a pointer that a program moves."""

REFINE_S: Final = (0.10, 0.25, 0.55, 1.15, 1.80, 2.50)
"""When a picture that stays is encoded once more, after its last change: what moved
was coarse, and becomes sharp. The first two suffice unless there is little room; what
is sharp already takes a few hundred bytes more."""

KEY_FRAME_PAUSE_S: Final = 0.2
"""Shortest time between two key frames, however often they are asked for."""

_INTERVALS: Final = ((1_500_000, 1 / 30), (700_000, 1 / 20), (0, 1 / 12))
# With little room, fewer pictures that can be read beat many that cannot.

_LARGE_BITS_PER_PIXEL: Final = 2.0  # half a megabyte at 1920 x 1080
_SMALL_BITS_PER_PIXEL: Final = 0.3
_SMALL_BELOW_BPS: Final = 1_200_000
_LARGE_ABOVE_BPS: Final = 2_000_000
_BUFFER_MIN_BITS: Final = 200_000


def frame_interval_s(target_bps: int) -> float:
    """Shortest time between two pictures at this rate."""
    return next(interval for least, interval in _INTERVALS if target_bps >= least)


def buffer_bits(pixels: int, target_bps: int, current: int | None) -> int:
    """How large a burst may be (VBV): two sizes, since another one needs a key frame.

    `current` is the one in use; the choice sticks to it between two rates.
    """
    large = max(_BUFFER_MIN_BITS, int(_LARGE_BITS_PER_PIXEL * pixels))
    small = max(_BUFFER_MIN_BITS, int(_SMALL_BITS_PER_PIXEL * pixels))
    if current == small:
        return large if target_bps > _LARGE_ABOVE_BPS else small
    return small if target_bps < _SMALL_BELOW_BPS else large


def budget_bps(target_bps: int, since_last_s: float) -> int:
    """The rate for one picture: the pause before it has saved bits for it."""
    return int(target_bps * max(1.0, since_last_s * RATE_FRAMES_S))


class Rhythm(Struct, frozen=True):
    """What happened last, and what that means for what comes next."""

    looked_at: float = -1.0e9
    encoded_at: float = -1.0e9
    changed_at: float = -1.0e9
    key_at: float = -1.0e9
    refined: int = len(REFINE_S)  # how often since the last change

    def next_look(self, target_bps: int, now: float, *, changed: bool | None) -> float:
        """When to read the screen again; `changed` is what it says of itself, None: nothing."""
        soonest = self.changed_at + frame_interval_s(target_bps)
        if changed is None:
            quiet_s = now - self.changed_at
            pause_s = next(pause_s for until_s, pause_s in LOOKS if quiet_s < until_s)
            return max(soonest, self.looked_at + pause_s)
        if changed:
            return max(soonest, self.looked_at + LOOK_PAUSE_S)
        return min(self.looked_at + LOOK_ANYWAY_S, self._refines_at())

    def looked(self, now: float) -> Rhythm:
        """The screen has been read."""
        return replace(self, looked_at=now)

    def next_key(self) -> float:
        """From when on a key frame that somebody wants can be made."""
        return self.key_at + KEY_FRAME_PAUSE_S

    def refines(self, now: float) -> bool:
        """Whether to encode an unchanged picture once more."""
        return now >= self._refines_at()

    def _refines_at(self) -> float:
        if self.refined == len(REFINE_S):
            return float("inf")
        return self.changed_at + REFINE_S[self.refined]

    def encoded(self, now: float, *, changed: bool, key: bool) -> Rhythm:
        """A picture has been encoded: one that changed, a key frame, or to refine."""
        fresh = changed or key
        return replace(
            self,
            encoded_at=now,
            changed_at=now if fresh else self.changed_at,
            key_at=now if key else self.key_at,
            refined=0 if fresh else self.refined + 1,
        )
