"""A signed-in technician without a browser: an HTTP client with the cookie."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp

from tests.support.broker import Broker


@contextlib.asynccontextmanager
async def signed_in(broker: Broker, name: str) -> AsyncIterator[aiohttp.ClientSession]:
    """Sends the broker's own Origin with everything, as its pages do."""
    token = (await broker.sign_in_link(name)).partition("#")[2]
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an IP address
    async with aiohttp.ClientSession(cookie_jar=jar, headers={"Origin": broker.url}) as session:
        async with session.post(f"{broker.url}/api/sign-in", json={"token": token}) as answer:
            assert answer.status == 200
        yield session
