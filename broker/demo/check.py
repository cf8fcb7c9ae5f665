"""`demo --check`: plays the technician in headless Chromium, and reports what it saw."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

from broker.demo.children import StartFailed
from broker.demo.house import ORGANISATION, TECHNICIAN, House, PlayedAgent
from broker.demo.pixels import GRID, brightness_of_display

STEP_S: Final = 20.0
CHANGE_S: Final = 10.0
POLL_S: Final = 0.02
SAME_MAX: Final = 24.0
"""Half of the compared points may differ by this much of 255: the codec is lossy
and the desktop moves between the two looks at it."""

FLAGS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)

_SAMPLE: Final = """([columns, rows]) => {
    const video = document.querySelector('[data-testid="screen"]');
    if (!video || video.readyState < 2 || !video.videoWidth) return null;
    const width = video.videoWidth, height = video.videoHeight;
    const canvas = document.createElement('canvas');
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.drawImage(video, 0, 0);
    const data = context.getImageData(0, 0, width, height).data;
    const points = [];
    for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
            const x = Math.floor((column + 0.5) * width / columns);
            const y = Math.floor((row + 0.5) * height / rows);
            const at = 4 * (y * width + x);
            points.push(0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]);
        }
    }
    return {width, height, points};
}"""
_HAS_PICTURE: Final = """() => {
    const video = document.querySelector('[data-testid="screen"]');
    return Boolean(video && video.readyState >= 2 && video.videoWidth);
}"""
_INCIDENT: Final = """async (id) => {
    const answer = await fetch(`/api/incidents/${id}`);
    return answer.ok ? await answer.json() : {error: answer.status};
}"""

T = TypeVar("T")


class Missing(Exception):
    """Something that should have been seen was not."""


class Report:
    """The steps taken, with what was seen and how long it took."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, float]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time one step; the caller appends what it saw to the list."""
        began, saw = time.monotonic(), list[str]()
        try:
            yield saw
        except (Missing, BrowserError, StartFailed) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else "nothing"
            raise Missing(f"{name}: {first}") from None
        self.rows.append((name, ", ".join(saw) or "yes", time.monotonic() - began))

    def table(self) -> str:
        """All rows, aligned."""
        wide = max((len(name) for name, _, _ in self.rows), default=0)
        return "\n".join(
            f"  {name:<{wide}}  {seconds * 1000:7.0f} ms  {saw}" for name, saw, seconds in self.rows
        )


def check(house: House, agent_command: list[str], display: str) -> int:
    """Take all steps; the exit code: 0 if nothing was missing."""
    report = Report()
    transcript = missing = ""
    try:
        with _browser() as browser:
            page = browser.new_page(locale="en-GB")
            agent = PlayedAgent(agent_command, house.data / "agent.log")
            try:
                _take_steps(report, house, agent, page, display)
            finally:
                agent.close()
                transcript = agent.transcript()
    except (Missing, StartFailed) as error:
        missing = str(error)
    except BrowserError as error:
        missing = f"the browser: {str(error).splitlines()[0]}"
    print(f"\nWhat the check saw:\n\n{report.table()}\n")
    if missing:
        print(f"MISSING: {missing}\n\nThe agent's terminal:\n\n{transcript}")
        return 1
    print("Everything was there.")
    return 0


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_chromium(), args=[*FLAGS, *_as_root()]
        )
        try:
            yield browser
        finally:
            browser.close()


def _take_steps(report: Report, house: House, agent: PlayedAgent, page: Page, display: str) -> None:
    page.set_default_timeout(STEP_S * 1000)
    with report.step("the agent has a code") as saw:
        digits = _shown(agent, r"(?m)^code: ((?:\d{3} ){3}\d{3})$")
        saw.append(digits)
    with report.step("signed in by link") as saw:
        page.goto(house.sign_in_link())
        page.click(_handle("sign-in"))
        page.wait_for_url("**/console")
        page.wait_for_selector(_handle("code-input"))
        saw.append(page.url)
    with report.step("code entered, consent asked") as saw:
        page.fill(_handle("code-input"), digits)
        page.click(_handle("join"))
        question = _shown(agent, r"(allow .*\? \[y/N\])")
        if f"{TECHNICIAN} ({ORGANISATION})" not in question:
            raise Missing(f"the question does not name the technician: {question}")
        saw.append(question)
    with report.step("nothing shown before the yes"):
        page.wait_for_url("**/session/*")
        page.wait_for_selector(_handle("screen"), state="attached")
        if page.evaluate(_HAS_PICTURE):
            raise Missing("there was a picture before consent")
    with report.step("allowed, first picture"):
        agent.type("y")
        _until(lambda: page.evaluate(_HAS_PICTURE), "no picture came")
    with report.step("the person sees who watches"):
        _shown(agent, re.escape(f"{TECHNICIAN} ({ORGANISATION})") + " can see your screen")
    with report.step("the picture is this display") as saw:
        saw.append(_compare(page, display))
    with report.step("the picture moves") as saw:
        saw.append(_moves(page))
    with report.step("chat, technician to person"):
        _type_in_page(page, "Good morning, what can I do for you?")
        _shown(agent, re.escape("Good morning, what can I do for you?"))
    with report.step("chat, person to technician"):
        agent.type("The printer says nothing at all.")
        _until(
            lambda: "The printer says nothing" in page.inner_text(_handle("chat-log")),
            "the person's text did not arrive",
        )
        _shown(agent, r"you: The printer says nothing at all\.")
    session = page.url.rstrip("/").rpartition("/")[2].partition("?")[0]
    with report.step("ended by the technician") as saw:
        page.click(_handle("end-session"))
        page.click(_handle("end-confirm"))
        _shown(agent, r"ended: ")
        code = agent.exit_code(STEP_S)
        if code != 0:
            raise Missing(f"the agent's exit code is {code}")
        saw.append("agent ended with exit code 0")
    with report.step("the incident is recorded") as saw:
        saw.append(_recorded(page, session))
    with report.step("the incident log is whole") as saw:
        saw.append(_verified(house))


def _compare(page: Page, display: str) -> str:
    def points() -> str | None:
        sample = page.evaluate(_SAMPLE, list(GRID))
        shown = brightness_of_display(display)
        if sample is None or (sample["width"], sample["height"]) != shown.size:
            return None
        pairs = zip(sample["points"], shown.points, strict=True)
        differences = sorted(abs(a - b) for a, b in pairs)
        typical = statistics.median(differences)
        nearly_all = differences[int(len(differences) * 0.9)]
        if typical > SAME_MAX / 2 or nearly_all > SAME_MAX:
            return None
        return f"{sample['width']}x{sample['height']}, typical difference {typical:.1f} of 255"

    return _until(points, "the picture is not that of the display")


def _moves(page: Page) -> str:
    first = page.evaluate(_SAMPLE, [192, 108])

    def changed() -> str:
        now = page.evaluate(_SAMPLE, [192, 108])
        if not (first and now):
            return ""
        pairs = zip(first["points"], now["points"], strict=True)
        count = sum(abs(a - b) > 40 for a, b in pairs)
        return f"{count} of {192 * 108} points changed" if count else ""

    return _until(changed, "the picture stands still", CHANGE_S)


def _type_in_page(page: Page, text: str) -> None:
    page.fill(_handle("chat-input"), text)
    page.click(_handle("chat-send"))


def _recorded(page: Page, session: str) -> str:
    record: dict[str, Any] = page.evaluate(_INCIDENT, session)
    if "incident" not in record:
        raise Missing(f"the incident cannot be read: {record.get('error')}")
    if record["incident"]["state"] != "ended":
        raise Missing("the incident is still open")
    kinds = [event["kind"] for event in record["events"]]
    wanted = ("request-opened", "code-accepted", "consent-asked", "consent-answered", "joined")
    for kind in (*wanted, "picture", "ended"):
        if kind not in kinds:
            raise Missing(f"no {kind} event in the incident")
    if kinds.count("chat") != 2:
        raise Missing(f"{kinds.count('chat')} chat events, not 2")
    return f"{len(kinds)} events, {session}"


def _verified(house: House) -> str:
    said = house.command("log", "verify", "--json")
    if not re.search(r'"ok"\s*:\s*true', said):
        raise Missing(f"log verify says: {said.strip() or 'nothing'}")
    return "every hash is right"


def _shown(agent: PlayedAgent, pattern: str) -> str:
    found = agent.shown(pattern, STEP_S)
    if found is None:
        raise Missing(f"the agent did not show {pattern!r}")
    return found[1] if found.re.groups else found[0]


def _until(probe: Callable[[], T | None], otherwise: str, seconds: float = STEP_S) -> T:
    """Ask until the answer is truthy. Raises Missing."""
    give_up = time.monotonic() + seconds
    while not (answer := probe()):
        if time.monotonic() > give_up:
            raise Missing(otherwise)
        time.sleep(POLL_S)
    return answer


def _handle(name: str) -> str:
    return f'[data-testid="{name}"]'


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise StartFailed("no Chromium is installed; install the package chromium")


def _as_root() -> list[str]:
    return ["--no-sandbox"] if os.geteuid() == 0 else []
