"""An agent's link without the agent: says whatever a test wants said."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.broker import Broker

FACTS = {"host": "desk", "user": "eva", "system": "Debian", "display": "1x1", "agent": "raw"}


class RawAgent:
    """One WebSocket and the device key that signs its hello."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, key: Ed25519PrivateKey) -> None:
        self.socket = socket
        self.key = key

    async def receive(self) -> dict[str, Any]:
        """The next message; `{"type": "closed"}` at the end."""
        message = await self.socket.receive(timeout=15.0)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return {"type": "closed", "code": self.socket.close_code}
        found: dict[str, Any] = json.loads(message.data)
        return found

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of this type."""
        while True:
            message = await self.receive()
            if message["type"] in (kind, "closed"):
                assert message["type"] == kind, f"closed before {kind}"
                return message

    def proof(self, nonce: str) -> str:
        """The signature that answers a challenge."""
        signed = self.key.sign(b"ayuda-agent:" + base64.b64decode(nonce))
        return base64.b64encode(signed).decode()

    async def hello(self, **changes: Any) -> None:
        """Answer the challenge, with some fields changed."""
        challenge = await self.until("challenge")
        public = self.key.public_key().public_bytes_raw()
        hello = {
            "type": "hello",
            "version": 1,
            "product": "raw",
            "device_key": base64.b64encode(public).decode(),
            "proof": self.proof(challenge["nonce"]),
            "facts": FACTS,
        }
        await self.socket.send_json(hello | changes)


@contextlib.asynccontextmanager
async def raw_agent(
    broker: Broker, key: Ed25519PrivateKey | None = None, **headers: str
) -> AsyncIterator[RawAgent]:
    """An open link to /ws/agent."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{broker.url}/ws/agent", headers=headers) as socket,
    ):
        yield RawAgent(socket, key or Ed25519PrivateKey.generate())
