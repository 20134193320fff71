"""The prompt map: drawn, and used by pointer and by keys."""

import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.conftest import ContextFactory, Desk
from tests.e2e.pages.test_overview import label_one
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e

PICTURE = "document.getElementById('plane').toDataURL()"
IS_DRAWN = """() => {
    const drawn = document.getElementById("plane");
    const blank = Object.assign(document.createElement("canvas"), {
        width: drawn.width, height: drawn.height,
    });
    return drawn.toDataURL() !== blank.toDataURL();
}"""


async def picture(page: Page) -> str:
    """What is drawn, once something is."""
    await page.wait_for_function(IS_DRAWN)
    drawn: str = await page.evaluate(PICTURE)
    return drawn


@pytest.fixture
async def page(desk: Desk, service: RunningService, new_context: ContextFactory) -> Page:
    await label_one(desk)
    opened = await (await new_context(service.key)).new_page()
    await opened.goto(f"/p/{desk.project}/map")
    await expect(opened.locator("#legend")).to_contain_text("labelled, 1")
    return opened


async def test_the_map_says_what_it_shows_and_draws_it(page: Page) -> None:
    await expect(page.locator("#legend")).to_contain_text("open, 5")
    await expect(page.locator("#legend")).to_contain_text("% of their spread")
    await expect(page.locator("#plane")).to_have_attribute(
        "aria-label", "6 prompts on a plane: 17 percent labelled"
    )
    pictures = {await picture(page)}
    await page.click(".seg >> text=Similarity")
    pictures.add(await picture(page))
    await page.click("[data-theme-toggle]")
    pictures.add(await picture(page))
    assert len(pictures) == 3
    await expect(page.locator("#legend")).to_contain_text("alike responses")
    await expect(page.locator("#list li")).to_have_count(5)


async def test_a_prompt_is_chosen_by_keys_list_and_pointer(page: Page, desk: Desk) -> None:
    card = page.locator("#card")
    await page.focus("#plane")
    await page.keyboard.press("ArrowRight")
    await expect(card).to_be_visible()
    first = await page.inner_text("#card-asked")
    await expect(page.locator("#list-title")).to_have_text("Around it on the map")
    await expect(page.locator("#list .q").first).to_have_text(first)
    await expect(page.locator("#card-near")).to_contain_text("Nearest: ")
    seen = {first}
    for key in ("ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown") * 2:
        await page.keyboard.press(key)
        seen.add(await page.inner_text("#card-asked"))
    assert len(seen) > 1
    await page.keyboard.press("Escape")
    await expect(card).to_be_hidden()
    await expect(page.locator("#list-title")).to_have_text("Far from any label")
    await page.locator("#list button").nth(1).click()
    await expect(card).to_contain_text("open")
    await page.click("#card-close")
    await expect(card).to_be_hidden()
    box = await page.locator("#plane").bounding_box()
    assert box is not None
    for across in range(10, int(box["width"]), 7):
        if await card.is_visible():
            break
        for down in range(10, int(box["height"]), 40):
            await page.mouse.move(box["x"] + across, box["y"] + down)
            if await page.evaluate("document.querySelector('#plane.over') !== null"):
                await page.mouse.click(box["x"] + across, box["y"] + down)
                break
    await expect(card).to_be_visible()


async def test_a_labelled_prompt_leads_to_its_labels(page: Page) -> None:
    by_labels = page.locator("#list button", has_text="labelled")
    await page.focus("#plane")
    await page.keyboard.press("ArrowRight")
    await by_labels.first.click()
    await page.click("#card-open")
    await expect(page.locator(".item")).to_have_count(1)
    await expect(page.locator("main")).to_contain_text("Labels of one prompt.")


async def test_without_prompts_it_says_so(
    desk: Desk, service: RunningService, new_context: ContextFactory
) -> None:
    await desk.api.post("/projects", json={"name": f"{desk.project}-empty"})
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}-empty/map")
    await expect(page.locator("#map-why")).to_have_text("This project has no prompts yet.")
