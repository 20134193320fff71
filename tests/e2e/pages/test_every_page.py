"""What holds on every page: it can be used by everybody, and nothing in it acts by itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page, ViewportSize

from tests.e2e.pages.conftest import PHONE, WIDE, ContextFactory, Desk, Watch, make_desk
from tests.e2e.pages.test_overview import label_one
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e

HOSTILE = [
    "<script>document.title = 'gone'</script><img src=x onerror=\"document.title = 'gone'\">",
    "[click](javascript:document.title='gone') <a href='javascript:alert(1)'>x</a> ![x](/y.png)",
    "x" * 5000,
    "word " * 10_000,
    "\u202eright to left: שלום \u202c and عربى",
    "[" * 20_000 + "> " * 500 + "*a **b " * 2000,
    "</script></textarea></div><style>*{display:none}</style>",
    "<!-- {{ 7 * 7 }} {% raw %} ${7*7} -->",
]


async def serious(page: Page) -> list[str]:
    """What axe finds serious or critical. Evaluated: the policy would refuse a script tag."""
    await page.evaluate(AXE_SCRIPT)
    found = await page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa',"
        " 'best-practice']})"
    )
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


def pages_of(desk: Desk) -> Sequence[str]:
    project = f"/p/{desk.project}"
    steps = [f"{project}/setup/{step}" for step in ("prompts", "strategy", "budget", "annotators")]
    parts = [f"{project}/{part}" for part in ("labels", "map", "export", "settings")]
    own = [project, *parts, *steps, desk.path]
    return ["/projects", "/annotators", "/new", *own]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
async def test_everybody_can_use_it(
    desk: Desk,
    service: RunningService,
    new_context: ContextFactory,
    watch: Watch,
    theme: str,
    viewport: ViewportSize,
) -> None:
    watch.expected += ["404"]
    # Without animations: a text that is just fading in has little contrast.
    context = await new_context(
        service.key, viewport=viewport, color_scheme=theme, reduced_motion="reduce"
    )
    page = await context.new_page()
    await label_one(desk)
    found = {}
    for path in ["/sign-in", *pages_of(desk), "/no-such-page"]:
        if path == "/sign-in":
            await context.clear_cookies()
        await page.goto(path)
        if path == desk.path:
            await page.wait_for_selector("#pair:not([hidden])")
        found[path] = await serious(page)
        if path == "/sign-in":
            await context.request.post("/session", data={"key": service.key})
    assert not any(found.values()), {path: each for path, each in found.items() if each}


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_what_opens_on_a_page_can_be_used_by_everybody(
    desk: Desk, service: RunningService, new_context: ContextFactory, theme: str, tmp_path: Path
) -> None:
    await label_one(desk)
    options: dict[str, Any] = {"color_scheme": theme, "reduced_motion": "reduce"}
    found = {}
    invited = (await desk.api.post(f"/annotators/{desk.annotator}/invitation")).json()
    page = await (await new_context(**options)).new_page()
    await page.goto(f"/sign-in#invitation={invited['invitation']}")
    await page.wait_for_selector("#invited:not([hidden])")
    found["an invitation"] = await serious(page)
    await page.click("#accept")
    await page.wait_for_selector("#welcome:not([hidden])")
    found["a key"] = await serious(page)

    page = await (await new_context(service.key, **options)).new_page()
    await page.goto(f"/p/{desk.project}/labels")
    await page.click("#settle-open")
    await page.click("#settle >> text=1 is better")
    found["an answer of one's own"] = await serious(page)
    await page.click("#settle-close")
    await page.click("[data-withdraw]")
    found["a question"] = await serious(page)
    await page.goto(f"/p/{desk.project}/map")
    await page.click("#list button >> nth=0")
    await page.wait_for_selector("#card:not([hidden])")
    found["a prompt of the map"] = await serious(page)
    await page.goto(f"/p/{desk.project}/setup/prompts")
    table = tmp_path / "a.csv"
    table.write_text("q,a,b\n?,yes,no\n")
    await page.set_input_files("#file", table)
    await page.wait_for_selector("#map-rows .map-row")
    found["columns"] = await serious(page)
    assert not any(found.values()), {state: each for state, each in found.items() if each}


async def test_hostile_texts_do_nothing(
    api: httpx.AsyncClient, service: RunningService, new_context: ContextFactory
) -> None:
    desk = await make_desk(
        api,
        [(text, f"{text} (one)", f"{text} (another)") for text in HOSTILE],
        guidelines="".join(HOSTILE[:3]),
    )
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    seen = set()
    for _ in HOSTILE:
        await page.wait_for_selector("#pair:not([hidden])")
        seen.add(await page.inner_text(".turn-last .prose"))
        assert await page.title() != "gone"
        assert await page.locator("#pair img, #pair script, #pair [onerror]").count() == 0
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= WIDE["width"]
        await page.wait_for_timeout(750)
        await page.keyboard.press("1")
    assert len(seen) == len(HOSTILE)
    # The same texts where labels are reviewed.
    await desk.until_labelled(len(HOSTILE))
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}/labels")
    for item in await page.locator(".item").all():
        await item.click()
        await page.click("summary:has-text('The whole prompt')")
        assert await page.title() == f"Labels of {desk.project} · annotation-budget"
        assert await page.locator("#browse img, #browse script, #browse [onerror]").count() == 0
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= WIDE["width"]
