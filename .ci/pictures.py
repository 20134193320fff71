"""Draw the README's pictures: the desk and the overview of the sample project, light and dark.

Run by `make pictures`. A real service embeds and plans the sample; the votes that come with it
stand in for three annotators.
"""

import asyncio
import sys
from itertools import cycle
from pathlib import Path
from typing import Final

import httpx
from playwright.async_api import Browser, async_playwright

REPOSITORY: Final = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))
sys.path.insert(0, str(REPOSITORY / "examples"))

import quickstart  # type: ignore[import-not-found]  # noqa: E402

from tests.e2e.pages.conftest import CHROMIUM, WIDE  # noqa: E402
from tests.e2e.serving import RunningService, running_service  # noqa: E402

PICTURES: Final = REPOSITORY / "docs" / "pictures"
PROJECT: Final = "helpful-v1"
GUIDELINES: Final = "Choose the response that would **help the person who asked** more."
LABELS: Final = 120


def fill(service: RunningService) -> str:
    """Make the project, and have three annotators answer most of the budget; gives one's key."""
    votes = quickstart.read_votes(REPOSITORY / "examples" / "qafeedback-50-votes.ndjson")
    prompts = quickstart.read_lines(REPOSITORY / "examples" / "qafeedback-50.ndjson")
    with service.client() as api:
        budget = {"unit": "labels", "limit": 200}
        project = {"name": PROJECT, "budget": budget, "guidelines": GUIDELINES}
        project |= {"overlap": {"share": 0.3, "labels": 2}}
        api.post("/projects", json=project).raise_for_status()
        names = quickstart.add_prompts(api, PROJECT, prompts)
        keys = [
            api.post("/annotators", json={"name": name, "projects": [PROJECT]}).json()["key"]
            for name in ("ana", "ben", "chioma")
        ]
    answered = 0
    for key in cycle(keys):
        bearer = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=service.url, headers=bearer, timeout=60) as annotator:
            asked = annotator.get("/next-pairs", params={"project": PROJECT, "budget": 8})
            pairs = asked.raise_for_status().json()["pairs"]
            labels = [quickstart.answer_pair(pair, names, votes) for pair in pairs]
            if labels:
                annotator.post("/labels", json={"labels": labels}).raise_for_status()
        answered += len(labels)
        if answered >= LABELS:
            first: str = keys[0]
            return first
    raise AssertionError("unreachable: the keys never end")


async def draw(service: RunningService, annotator: str) -> None:
    """Write the four pictures."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            await _picture(browser, service, annotator, f"/p/{PROJECT}/annotate", theme, "desk")
            await _picture(browser, service, service.key, f"/p/{PROJECT}", theme, "overview")
        await browser.close()


async def _picture(
    browser: Browser, service: RunningService, key: str, path: str, theme: str, name: str
) -> None:
    context = await browser.new_context(
        base_url=service.url,
        viewport=WIDE,
        color_scheme="light" if theme == "light" else "dark",
        reduced_motion="reduce",
    )
    await context.request.post("/session", data={"key": key})
    page = await context.new_page()
    await page.goto(path)
    if name == "desk":
        await page.wait_for_selector("#pair:not([hidden])")
        await page.click("text=I have read them")
    else:
        await page.wait_for_selector("#live .dot-on")
    await page.screenshot(path=PICTURES / f"{name}-{theme}.png")
    await context.close()


def main() -> None:
    """Draw all of them."""
    PICTURES.mkdir(exist_ok=True)
    with running_service() as service:
        asyncio.run(draw(service, fill(service)))


if __name__ == "__main__":
    main()
