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


async def test_somebody_is_invited_and_takes_their_key(
    desk: Desk, page: Page, service: RunningService, new_context: ContextFactory
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
    assert "invitation" not in theirs.url
    await page.click("#seen")
    row = page.locator("tr", has_text=name)
    await expect(row).to_contain_text(desk.project)
    await expect(row).to_contain_text("invited until")
    await theirs.click("#accept")
    await expect(theirs.locator("#welcome-name")).to_have_text(name)
    key = await theirs.inner_text("#welcome-key")
    assert await status_of(service, key) == 200
    await theirs.click("#welcome-on")
    await theirs.wait_for_url(f"**{desk.path}")
    await page.reload()
    await expect(row).to_contain_text("active")
    await expect(row).to_contain_text("now")


async def test_a_link_is_good_once(
    desk: Desk, page: Page, service: RunningService, new_context: ContextFactory, watch: Watch
) -> None:
    watch.expected.append("401")
    await page.reload()
    row = page.locator(f'tr[data-name="{desk.annotator}"]')
    await row.locator("[data-act=link]").click()
    await row.locator("[data-yes]").click()
    link = await link_on(page)
    signed_in = await (await new_context(service.key)).new_page()
    await signed_in.goto(link)
    await expect(signed_in.locator("#invited-as")).to_have_text("admin")
    first, second = [await (await new_context()).new_page() for _ in range(2)]
    for opened in (first, second):
        await opened.goto(link)
    await first.click("#accept")
    await expect(first.locator("#welcome")).to_be_visible()
    await second.click("#accept")
    await expect(second.locator("#invited-error")).to_contain_text("has been used")
    assert await status_of(service, desk.key) == 401


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


async def test_a_new_link_leaves_the_key_until_it_is_used(
    desk: Desk, page: Page, service: RunningService
) -> None:
    await page.reload()
    row = page.locator(f'tr[data-name="{desk.annotator}"]')
    await row.locator("[data-act=link]").click()
    await row.locator("[data-no]").click()
    await expect(page.locator("#shown-once")).to_be_hidden()
    await row.locator("[data-act=link]").click()
    await row.locator("[data-yes]").click()
    assert "#invitation=inv_" in await link_on(page)
    assert await status_of(service, desk.key) == 200


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
    await link_on(page)
    assert await status_of(service, desk.key) == 200
    await page.click("#seen")
    for act in ("remove", "erase"):
        await row.locator(f"[data-act={act}]").click()
        await row.locator("[data-yes]").click()
        await expect(row.locator(f"[data-act={act}]")).to_have_count(0)
    await expect(page.locator("table")).not_to_contain_text(name)
