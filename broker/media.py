"""The WebRTC engine in the words of the sessions: `sessions.ports.Media`.

One object a session: the person's peer publishes the picture, the technicians'
peers view it, and all of them have the same data channels.
"""

from __future__ import annotations

import logging

from broker.protocol import PERSON, MediaFailure, Refusal
from broker.rtc.engine import Engine, TooManyPeers
from broker.rtc.peer import Handlers, Peer, PeerState
from broker.rtc.relay import Relay
from broker.rtc.sdp import NoCommonCodec, SdpError
from broker.sessions.ports import MediaEvents, OfferRefused

logger = logging.getLogger(__name__)


class SessionMedia:
    """The peers of one session and the relay between them."""

    def __init__(self, engine: Engine, events: MediaEvents) -> None:
        self._engine = engine
        self._events = events
        self._peers: dict[str, Peer] = {}
        self._watching: set[str] = set()
        self._relay = Relay(on_watching=self._on_watching)

    async def answer(self, who: str, offer: str) -> str:
        """See `Media.answer`."""
        await self.close(who)
        try:
            peer, answer = await self._engine.answer(offer, self._handlers())
        except NoCommonCodec as error:
            raise OfferRefused(Refusal.NO_COMMON_CODEC, str(error)) from None
        except SdpError as error:
            raise OfferRefused(Refusal.BAD_OFFER, str(error)) from None
        except TooManyPeers as error:
            raise OfferRefused(Refusal.BUSY, str(error)) from None
        self._peers[who] = peer
        return answer

    def send(self, who: str, label: str, data: str) -> bool:
        """See `Media.send`."""
        peer = self._peers.get(who)
        return peer is not None and peer.send(label, data)

    def watching(self, who: str) -> bool:
        """See `Media.watching`."""
        return who in self._watching

    async def close(self, who: str) -> None:
        """See `Media.close`."""
        peer = self._peers.pop(who, None)
        if peer is not None:
            self._set_watching(who, False)
            self._relay.remove(peer)
            await peer.close()

    async def close_all(self) -> None:
        """See `Media.close_all`."""
        for who in list(self._peers):
            await self.close(who)
        self._relay.close()

    def _handlers(self) -> Handlers:
        return Handlers(
            on_state=self._on_state,
            on_message=self._on_message,
            on_rtp=self._relay.on_rtp,
            on_rtcp=self._relay.on_rtcp,
        )

    def _on_state(self, peer: Peer, state: PeerState, why: str) -> None:
        who = self._who(peer)
        if who is None:
            return
        if state is PeerState.CONNECTED:
            if who == PERSON:
                self._relay.set_publisher(peer)
            else:
                self._relay.add_viewer(peer)
            self._events.connected(who)
        elif state in (PeerState.LOST, PeerState.CLOSED):
            logger.info("media of %s is %s: %s", who, state.value, why)
            self._events.lost(who, MediaFailure.LOST)

    def _on_message(self, peer: Peer, label: str, data: str | bytes) -> None:
        who = self._who(peer)
        if who is not None:
            self._events.message(who, label, data)

    def _on_watching(self, peer: Peer, watching: bool) -> None:
        who = self._who(peer)
        if who is not None:
            self._set_watching(who, watching)

    def _set_watching(self, who: str, watching: bool) -> None:
        if watching == (who in self._watching):
            return
        (self._watching.add if watching else self._watching.discard)(who)
        self._events.watching(who, watching)

    def _who(self, peer: Peer) -> str | None:
        return next((who for who, known in self._peers.items() if known is peer), None)
