"""Export: what the page promises is what the download holds."""

import json
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.pages.conftest import ContextFactory, Desk, Watch
from tests.e2e.pages.test_overview import label_one
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e


async def test_the_page_counts_shows_and_downloads(
    desk: Desk, service: RunningService, new_context: ContextFactory, tmp_path: Path
) -> None:
    for choice in ("left", "right", "tie"):
        await label_one(desk, choice)
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}/export")
    await expect(page.locator("#flow")).to_contain_text("Rows2")
    await expect(page.locator("#flow")).to_contain_text("ties− 1")
    await expect(page.locator("#few")).to_be_visible()
    await page.check("[name=metadata]")
    await expect(page.locator("#first")).to_contain_text("propensity")
    await expect(page.locator("#command")).to_contain_text("--metadata")
    async with page.expect_download() as downloading:
        await page.click("#download")
    download = await downloading.value
    assert download.suggested_filename == f"{desk.project}-dpo-all.jsonl"
    await download.save_as(tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert json.loads(await page.inner_text("#first")) == rows[0]
    assert len(rows) == 2


async def test_a_recipe_that_lacks_something_says_what(
    desk: Desk, service: RunningService, new_context: ContextFactory, watch: Watch
) -> None:
    watch.expected += ["409"]
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}/export")
    await page.check("[name=recipe][value=bridged]")
    await expect(page.locator("#problem")).to_contain_text("the recipe needs edits")
