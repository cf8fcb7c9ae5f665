"""Real processes for tests: broker, agent, display, browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from tests.support.agent import Agent
from tests.support.broker import Broker
from tests.support.display import xvfb
from tests.support.technician import Technician, launch

StartBroker = Callable[..., Awaitable[Broker]]
StartAgent = Callable[..., Awaitable[Agent]]
SignIn = Callable[..., Awaitable[Technician]]


@pytest.fixture
async def start_broker(tmp_path: Path) -> AsyncIterator[StartBroker]:
    """Starts brokers with `AYUDA_*` settings given as `code_lifetime_s=2`."""
    started: list[Broker] = []

    async def start(*options: str, prefix: tuple[str, ...] = (), **settings: object) -> Broker:
        environment = {f"AYUDA_{name.upper()}": str(value) for name, value in settings.items()}
        data = tmp_path / f"broker{len(started)}"
        broker = Broker(data, environment, options, prefix)
        await broker.start()
        started.append(broker)
        return broker

    yield start
    for broker in started:
        await broker.process.end()


@pytest.fixture
async def broker(start_broker: StartBroker) -> Broker:
    """A broker with default settings."""
    return await start_broker()


@pytest.fixture
async def display() -> AsyncIterator[str]:
    """An empty X display of 1280 x 720."""
    async with xvfb() as name:
        yield name


@pytest.fixture
async def start_agent(tmp_path: Path, display: str) -> AsyncIterator[StartAgent]:
    """Starts agents on the display; each `state` is a device of its own."""
    started: list[Agent] = []

    async def start(broker: Broker, *, state: str = "device", **options: Any) -> Agent:
        agent = await Agent.start(
            broker, options.pop("display", display), tmp_path / state, **options
        )
        started.append(agent)
        return agent

    yield start
    for agent in started:
        await agent.child.end()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with async_playwright() as playwright:
        chromium = await launch(playwright)
        yield chromium
        await chromium.close()


@pytest.fixture
async def sign_in(browser: Browser) -> SignIn:
    """Signs technicians in, each in a browser context of their own."""

    async def start(broker: Broker, name: str = "Ana Ruiz", **options: Any) -> Technician:
        return await Technician.sign_in(browser, broker, name, **options)

    return start
