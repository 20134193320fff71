"""Pages in the system's Chromium, on the real service. A page that complains fails its test."""

import asyncio
import itertools
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    Response,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.e2e.serving import RunningService

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM: Final = next(filter(None, map(shutil.which, _NAMES)), None)
WIDE: Final[ViewportSize] = {"width": 1440, "height": 900}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
expect.set_options(timeout=30_000)
_PROMPTS: Final = [
    ("Name the three largest moons of Jupiter.", "Ganymede, Callisto and Io.", "Titan and Rhea."),
    ("How do I undo the last commit?", "`git reset --soft HEAD~1` keeps the work.", "Delete it."),
    ("Why is the sky blue?", "Air scatters **blue** light more than red.", "It mirrors the sea."),
    ("What is a budget?", "A plan for money:\n\n- income\n- spending", "A kind of bird."),
    ("Translate: guten Abend.", "Good evening.", "Good morning, and sleep well."),
    ("Is seven a prime number?", "Yes: only 1 and 7 divide it.", "No."),
]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser, without a download of its own."""
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "CI needs Chromium: `make test` installs it as root"
        pytest.skip("no Chromium here: install the package `chromium`")
    async with async_playwright() as playwright:
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        opened = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if is_root else []
        )
        yield opened
        await opened.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once it holds; the test's own limit ends what never does."""
    for _ in itertools.count():
        if await holds():
            return
        await asyncio.sleep(0.05)


@dataclass
class Watch:
    """What pages complained of, and what of it a test expects."""

    host: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def of(self, page: Page) -> None:
        """Watch a page: its console, its errors, and where it asks for what."""
        page.on("console", lambda said: self._tell(f"console: {said.text} {said.location['url']}"))
        page.on("pageerror", lambda error: self._tell(f"error: {error}"))
        page.on("request", lambda request: self._look_at(request.url))
        page.on("response", self._look_at_answer)

    def check(self) -> None:
        """Fail if a page complained of what nobody expects."""
        found = [
            said
            for said in self.complaints
            if not any(re.search(pattern, said) for pattern in self.expected)
        ]
        assert not found, found

    def _tell(self, complaint: str) -> None:
        self.complaints.append(complaint)

    def _look_at(self, url: str) -> None:
        if urlsplit(url).netloc != self.host and not url.startswith(("data:", "blob:")):
            self._tell(f"another host: {url}")

    def _look_at_answer(self, answer: Response) -> None:
        if answer.status >= 500:
            self._tell(f"{answer.status}: {answer.url}")


@dataclass(frozen=True)
class Desk:
    """A project with pairs to annotate, and somebody who may."""

    project: str
    annotator: str
    key: str
    api: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The desk's address."""
        return f"/p/{self.project}/annotate"

    async def labels(self) -> list[dict[str, Any]]:
        """The project's labels that are not withdrawn, oldest first."""
        found = (await self.api.get("/labels", params={"project": self.project})).json()["labels"]
        return [label for label in found if label["status"] != "withdrawn"]

    async def until_labelled(self, count: int) -> list[dict[str, Any]]:
        """The labels, once there are that many."""

        async def are_there() -> bool:
            return len(await self.labels()) >= count

        await until(are_there)
        found = await self.labels()
        assert len(found) == count
        return found


@pytest.fixture
def watch(service: RunningService) -> Watch:
    """What the pages of this test complain of."""
    return Watch(urlsplit(service.url).netloc)


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin's key."""
    bearer = {"Authorization": f"Bearer {service.key}"}
    async with httpx.AsyncClient(base_url=service.url, headers=bearer, timeout=60) as client:
        yield client


ContextFactory = Callable[..., Awaitable[BrowserContext]]


@pytest.fixture
async def new_context(
    chromium: Browser, service: RunningService, watch: Watch
) -> AsyncIterator[ContextFactory]:
    """``await new_context(key)``: a browser of somebody's own, signed in if a key is given."""
    opened: list[BrowserContext] = []

    async def make(key: str | None = None, **options: Any) -> BrowserContext:
        context = await chromium.new_context(
            **{"base_url": service.url, "viewport": WIDE, **options}
        )
        context.on("page", watch.of)
        context.set_default_timeout(30_000)
        opened.append(context)
        if key is not None:
            answer = await context.request.post("/session", data={"key": key})
            assert answer.status == 201
        return context

    yield make
    for context in opened:
        await context.close()
    watch.check()


@pytest.fixture
async def desk(api: httpx.AsyncClient) -> Desk:
    """A project of this test's own with six pairs, and an annotator ``ana-…`` for it."""
    return await make_desk(api)


async def make_desk(
    api: httpx.AsyncClient, prompts: list[Any] | None = None, **settings: Any
) -> Desk:
    """A project with a pair for each prompt: ``(prompt, one response, another)``."""
    name = f"desk-{secrets.token_hex(4)}"
    made = await api.post("/projects", json={"name": name, **settings})
    assert made.status_code == 201, made.text
    sent = [
        {
            "prompt": prompt,
            "embedding": vector(number, 0.0),
            "responses": [
                {"text": one, "embedding": vector(number, 0.3)},
                {"text": another, "embedding": vector(number, 2.0)},
            ],
        }
        for number, (prompt, one, another) in enumerate(prompts or _PROMPTS)
    ]
    stored = await api.post("/prompts", params={"project": name}, json={"prompts": sent})
    assert stored.status_code == 201, stored.text
    annotator = f"ana-{secrets.token_hex(4)}"
    key = (await api.post("/annotators", json={"name": annotator, "projects": [name]})).json()[
        "key"
    ]

    async def are_planned() -> bool:
        counts = (await api.get(f"/projects/{name}")).json()["counts"]
        return bool(counts["open_pairs"] >= len(sent))

    await until(are_planned)
    return Desk(name, annotator, key, api)


def vector(number: int, turned: float) -> list[float]:
    """A vector of its own for each prompt, near to those of its responses."""
    return [1.0 if place == number else turned if place == 63 else 0.01 for place in range(64)]


@pytest.fixture
async def page(desk: Desk, new_context: ContextFactory) -> Page:
    """The annotator's desk with its first pair on the screen, and the guidelines read."""
    context = await new_context(desk.key)
    opened = await context.new_page()
    await opened.goto(desk.path)
    await opened.wait_for_selector("#pair:not([hidden])")
    return opened
