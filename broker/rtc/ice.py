"""ICE of both ends: the lite end's answers, and the client that knows one lite peer.

Pure: `now` is monotonic seconds, datagrams are values (RFC 8445, 8489, 7675).
The lite end has no checks of its own. The client sends one signed request to
every candidate of the answer until one answers, then one a second as consent.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from aioice import stun
from msgspec import Struct

LIVENESS_S: Final = 6.0
"""A peer from whom nothing authentic came for this long is lost."""

CONSENT_S: Final = 1.0
"""Time between the client's checks once it is connected."""

GIVE_UP_S: Final = 10.0
"""The client gives up if no candidate has answered for this long."""

FIRST_RETRY_S: Final = 0.05
RETRY_MAX_S: Final = 1.0
SEARCH_AGAIN_S: Final = 2.5
"""After this much silence the client tries all candidates again."""

REQUEST_MAX: Final = 548
"""Largest STUN message looked at, in bytes (RFC 8489 §6.1)."""

CANDIDATES_MAX: Final = 16
_OPEN_REQUESTS_MAX: Final = 64
_COOKIE: Final = (0x2112A442).to_bytes(4, "big")
_BINDING_REQUEST: Final = b"\x00\x01"
_BINDING_SUCCESS: Final = b"\x01\x01"
# host candidate of the highest type preference (RFC 8445 §5.1.2.1)
PRIORITY: Final = 126 << 24 | 65_535 << 8 | 255

Target = tuple[str, int]


class Credentials(Struct, frozen=True):
    """User fragment and password of one end (RFC 8445 §5.3)."""

    ufrag: str
    password: str


class BindingRequest(Struct, frozen=True):
    """A binding request, not yet authenticated."""

    local_ufrag: str  # whom it is for
    remote_ufrag: str  # who says to have sent it
    use_candidate: bool
    message: stun.Message


def is_stun(datagram: bytes) -> bool:
    """Whether a datagram looks like STUN (RFC 7983, RFC 8489 §5)."""
    return 20 <= len(datagram) <= REQUEST_MAX and datagram[0] < 2 and datagram[4:8] == _COOKIE


# ── the lite end ─────────────────────────────────────────────────────────────


def read_request(datagram: bytes) -> BindingRequest | None:
    """The binding request in a datagram, or None if it is none that we take."""
    if datagram[:2] != _BINDING_REQUEST:
        return None
    message = _parse(datagram)
    if message is None:
        return None
    username = message.attributes.get("USERNAME")
    if not isinstance(username, str) or "MESSAGE-INTEGRITY" not in message.attributes:
        return None
    local, separator, remote = username.partition(":")
    if not separator:
        return None
    return BindingRequest(local, remote, "USE-CANDIDATE" in message.attributes, message)


def accept_request(
    request: BindingRequest, local: Credentials, remote_ufrag: str, source: Target
) -> bytes | None:
    """The answer to a request from `source`; None (say nothing) if it is not authentic."""
    if request.local_ufrag != local.ufrag or request.remote_ufrag != remote_ufrag:
        return None
    key = local.password.encode()
    if not request.message.check_message_integrity(key):
        return None
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.message.transaction_id,
    )
    response.attributes["XOR-MAPPED-ADDRESS"] = source
    response.add_message_integrity(key)
    return bytes(response)


# ── the client ───────────────────────────────────────────────────────────────


class Checks:
    """The client's checks of one lite peer.

    The shell sends what `due(now)` returns, calls it again at `next_at`, and
    feeds responses to `on_response`. `selected` is where the peer answers.
    """

    def __init__(
        self,
        local: Credentials,
        remote: Credentials,
        candidates: Sequence[Target],
        now: float,
        *,
        tie_breaker: int,
        new_id: Callable[[], bytes],
    ) -> None:
        self.selected: Target | None = None
        self.next_at = now
        self._username = f"{remote.ufrag}:{local.ufrag}"
        self._key = remote.password.encode()
        self._candidates = list(dict.fromkeys(candidates))[:CANDIDATES_MAX]
        self._tie_breaker = tie_breaker
        self._new_id = new_id
        self._started = now
        self._answered_at = now
        self._retry_s = FIRST_RETRY_S
        self._requests: dict[bytes, Target] = {}  # by transaction id, oldest first

    def failed(self, now: float) -> bool:
        """Whether no candidate ever answered in time."""
        return self.selected is None and now - self._started > GIVE_UP_S

    def due(self, now: float) -> list[tuple[bytes, Target]]:
        """The requests to send now."""
        if now < self.next_at:
            return []
        targets: list[Target] = self._candidates
        if self.selected is None:
            self.next_at = now + self._retry_s
            self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        else:
            self.next_at = now + CONSENT_S
            if now - self._answered_at < SEARCH_AGAIN_S:
                targets = [self.selected]
        return [(self._request(target), target) for target in targets]

    def on_response(self, datagram: bytes, source: Target, now: float) -> bool:
        """Take a datagram; True if it is an authentic answer to a check of ours."""
        if datagram[:2] != _BINDING_SUCCESS:
            return False
        # The answer must come from where the check went (RFC 8445 §7.2.5.2.1).
        if self._requests.get(datagram[8:20]) != source:
            return False
        message = _parse(datagram)
        if message is None or not message.check_message_integrity(self._key):
            return False
        del self._requests[datagram[8:20]]
        silent = now - self._answered_at >= SEARCH_AGAIN_S
        if self.selected is None:
            self.next_at = now + CONSENT_S
        if self.selected is None or silent:
            self.selected = source
        if source == self.selected:
            self._answered_at = now
        return True

    def _request(self, target: Target) -> bytes:
        message = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.REQUEST,
            transaction_id=self._new_id(),
        )
        message.attributes["USERNAME"] = self._username
        message.attributes["PRIORITY"] = PRIORITY
        message.attributes["ICE-CONTROLLING"] = self._tie_breaker
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(self._key)
        self._requests[message.transaction_id] = target
        while len(self._requests) > _OPEN_REQUESTS_MAX:
            del self._requests[next(iter(self._requests))]
        return bytes(message)


def _parse(datagram: bytes) -> stun.Message | None:
    """A STUN message; None for anything that is not one."""
    try:
        return stun.parse_message(datagram)
    except (ValueError, struct.error):  # the two ways in which aioice refuses
        return None
