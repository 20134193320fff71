"""Annotators and keys: everything that can be done to somebody, asked before it is done."""

import secrets

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.conftest import ContextFactory, Desk, Watch
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e


@pytest.fixture
async def page(service: RunningService, new_context: ContextFactory) -> Page:
    opened = await (await new_context(service.key)).new_page()
    await opened.goto("/annotators")
    return opened


async def link_on(page: Page) -> str:
    """The link that is shown once."""
    await expect(page.locator("#shown-once")).to_be_visible()
    return await page.inner_text("#link")


async def status_of(service: RunningService, key: str) -> int:
    async with httpx.AsyncClient(base_url=service.url) as client:
        bearer = {"Authorization": f"Bearer {key}"}
        return (await client.get("/projects", headers=bearer)).status_code


async def test_somebody_is_added_and_signs_in_by_the_link(
    desk: Desk, page: Page, new_context: ContextFactory
) -> None:
    await page.reload()
    name = f"Zoë <b>{secrets.token_hex(3)} O'Neil"
    await page.click("#add")
    await page.fill("#new-name", name)
    await page.select_option("#new-projects", desk.project)
    await page.click("#adding button[type=submit]")
    link = await link_on(page)
    await expect(page.locator("#link-of")).to_have_text(name)
    theirs = await (await new_context()).new_page()
    await theirs.goto(link)
    await theirs.wait_for_url(f"**{desk.path}")
    await page.click("#seen")
    row = page.locator("tr", has_text=name)
    await expect(row).to_contain_text(desk.project)


async def test_a_name_that_is_taken_is_told_in_the_form(
    desk: Desk, page: Page, watch: Watch
) -> None:
    watch.expected += ["409", "422"]
    await page.click("#add")
    await page.fill("#new-name", desk.annotator)
    await page.keyboard.press("Enter")
    await expect(page.locator("#adding [role=alert]")).to_have_text(
        "an annotator of that name exists"
    )
    await page.fill("#new-name", "a/b")
    await page.keyboard.press("Enter")
    await expect(page.locator("#adding .err[data-problem]")).to_be_visible()


async def test_a_new_key_ends_the_old_one_after_a_question(
    desk: Desk, page: Page, service: RunningService
) -> None:
    await page.reload()
    row = page.locator(f'tr[data-name="{desk.annotator}"]')
    await row.locator("[data-act=key]").click()
    await row.locator("[data-no]").click()
    assert await status_of(service, desk.key) == 200
    await row.locator("[data-act=key]").click()
    await row.locator("[data-yes]").click()
    link = await link_on(page)
    assert await status_of(service, desk.key) == 401
    assert await status_of(service, link.partition("#key=")[2]) == 200


async def test_somebody_is_renamed_removed_let_in_again_and_erased(
    desk: Desk, page: Page, service: RunningService
) -> None:
    await page.reload()
    name = f"{desk.annotator}-renamed"
    await page.locator(f'tr[data-name="{desk.annotator}"] [data-act=change]').click()
    await page.fill("#old-name", name)
    await page.click("#changing button[type=submit]")
    row = page.locator(f'tr[data-name="{name}"]')
    for act in ("remove", "restore"):
        await row.locator(f"[data-act={act}]").click()
        await row.locator("[data-yes]").click()
        await expect(row).to_contain_text("inactive" if act == "remove" else "active")
    link = await link_on(page)
    assert await status_of(service, link.partition("#key=")[2]) == 200
    await page.click("#seen")
    for act in ("remove", "erase"):
        await row.locator(f"[data-act={act}]").click()
        await row.locator("[data-yes]").click()
        await expect(row.locator(f"[data-act={act}]")).to_have_count(0)
    await expect(page.locator("table")).not_to_contain_text(name)
