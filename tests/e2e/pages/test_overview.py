"""The projects and the overview: what the figures say, live, in eight tabs as well as in one."""

import pytest
from playwright.async_api import Request, expect

from tests.e2e.pages.conftest import ContextFactory, Desk, Watch
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e


async def label_one(desk: Desk, choice: str = "left") -> None:
    bearer = {"Authorization": f"Bearer {desk.key}"}
    held = await desk.api.get("/next-pairs", params={"project": desk.project}, headers=bearer)
    assignment = held.json()["pairs"][0]["assignment_id"]
    label = {"assignment_id": assignment, "choice": choice, "seconds": 12.0}
    assert (await desk.api.post("/labels", json=label, headers=bearer)).status_code == 201


async def test_the_overview_moves_by_itself(
    desk: Desk, service: RunningService, new_context: ContextFactory
) -> None:
    await desk.api.patch(
        f"/projects/{desk.project}", json={"budget": {"unit": "labels", "limit": 6}}
    )
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}")
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(page.locator("#part-now .v").first).to_have_text("0 of 6 labels spent")
    await label_one(desk)
    await expect(page.locator("#part-now .v").first).to_have_text("1 of 6 labels spent")
    await expect(page.locator("#part-recent")).to_contain_text(f"{desk.annotator} · 1 better")
    await expect(page.locator("#part-annotators")).to_contain_text(desk.annotator)
    await page.reload()
    await page.click("text=Hours")
    await expect(page.locator("#part-budget")).to_contain_text("5 left")
    await page.locator("#part-budget summary").click()
    await expect(page.locator("#part-budget td").last).to_have_text("5")


async def test_eight_tabs_share_one_stream_and_all_are_live(
    desk: Desk, service: RunningService, new_context: ContextFactory
) -> None:
    context = await new_context(service.key)
    streams: list[str] = []

    def note(request: Request) -> None:
        if "/events" in request.url:
            streams.append(request.url)

    context.on("request", note)
    pages = [await context.new_page() for _ in range(8)]
    for page in pages:
        await page.goto(f"/p/{desk.project}")
    await label_one(desk)
    for page in pages:
        await expect(page.locator("#part-recent")).to_contain_text(f"{desk.annotator} · 1 better")
    assert len(streams) == 1
    await pages[0].close()  # another one takes the lead
    await label_one(desk, "tie")
    await expect(pages[5].locator("#part-recent")).to_contain_text("tie")


async def test_tabs_of_many_projects_never_take_all_connections(
    desk: Desk, service: RunningService, new_context: ContextFactory
) -> None:
    context = await new_context(service.key)
    names = [desk.project, *(f"{desk.project}-{number}" for number in range(7))]
    for name in names[1:]:
        await desk.api.post("/projects", json={"name": name})
    pages = [await context.new_page() for _ in names]
    for page, name in zip(pages, names, strict=True):
        # A seventh connection to the host would never be opened.
        await page.goto(f"/p/{name}")
        await expect(page.locator("#live")).to_have_text("Live")
    held = (
        "navigator.locks.query().then(({ held }) =>"
        " held.filter(({ name }) => name.startsWith('ab:stream:')).length)"
    )
    assert await pages[0].evaluate(held) == 4
    await pages[1].close()  # its stream is free for one that has none
    await pages[7].wait_for_function(f"() => {held}.then((streams) => streams === 4)")


async def test_projects_are_listed_with_what_is_spent(
    desk: Desk, service: RunningService, new_context: ContextFactory
) -> None:
    await desk.api.patch(
        f"/projects/{desk.project}", json={"budget": {"unit": "labels", "limit": 1}}
    )
    await label_one(desk)
    page = await (await new_context(service.key)).new_page()
    await page.goto("/projects")
    row = page.locator("tr", has_text=desk.project)
    await expect(row).to_contain_text("1 of 1 labels")
    await expect(row).to_contain_text("Budget spent")
    await row.locator("a").first.click()
    await expect(page.locator("h1")).to_have_text(desk.project)


async def test_an_annotator_sees_its_own_projects_and_no_overview(
    desk: Desk, new_context: ContextFactory, watch: Watch
) -> None:
    watch.expected += ["403"]
    page = await (await new_context(desk.key)).new_page()
    await page.goto("/projects")
    assert await page.locator("tbody tr").count() == 1
    assert "auto" not in await page.inner_text("main")
    await page.goto(f"/p/{desk.project}")
    await expect(page.locator("h1")).to_have_text("Forbidden")
