"""Setting a project up in five steps, as somebody does who has a file and a budget."""

import json
import re
import secrets
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.conftest import ContextFactory, Desk, Watch
from tests.e2e.serving import REPOSITORY, RunningService

pytestmark = pytest.mark.e2e

SAMPLE = REPOSITORY / "examples" / "qafeedback-50.ndjson"


@pytest.fixture
async def page(service: RunningService, new_context: ContextFactory) -> Page:
    return await (await new_context(service.key)).new_page()


async def test_five_steps_lead_from_a_file_to_a_link_that_annotates(
    page: Page, api: httpx.AsyncClient, new_context: ContextFactory, tmp_path: Path
) -> None:
    name = f"new-{secrets.token_hex(4)}"
    broken = tmp_path / "sample.jsonl"
    broken.write_text(SAMPLE.read_text() + '{"prompt": "alone", "responses": [{"text": "a"}]}\n')
    await page.goto("/projects")
    await page.click("text=New project")
    await page.fill("#name", name)
    await page.fill("#guidelines", "Be **kind**.\n\n<script>alert(1)</script>")
    await page.click("#preview summary")
    await expect(page.locator("#preview strong")).to_have_text("kind")
    await page.check("[name=plain_text]")
    await page.click("[type=submit]")

    await page.wait_for_url(f"**/p/{name}/setup/prompts")
    await page.set_input_files("#file", broken)
    await expect(page.locator("#map-found")).to_contain_text(
        "50 lines looked at · read as own (50)"
    )
    await page.click("#start")
    await expect(page.locator("#told")).to_have_text("50 prompts created · 1 line refused")
    await expect(page.locator("#refused-lines tr")).to_have_count(1)
    async with page.expect_download() as downloading:
        await page.click("#save-refused")
    saved = await (await downloading.value).path()
    assert json.loads(saved.read_text())["line"] == 51
    await page.click("text=Go on to strategy")

    await page.check("[name=strategy][value=dissimilar]")
    await page.fill("#exploration", "20")
    await page.click("[type=submit]")

    await page.wait_for_url("**/setup/budget")
    await page.fill("#limit", "1,000")
    await page.fill("#overlap", "7.5")
    await page.fill("#lease", "45")
    await page.click("[type=submit]")

    await page.wait_for_url("**/setup/annotators")
    project = (await api.get(f"/projects/{name}")).json()
    assert project["strategy"] == "dissimilar"
    assert project["plain_text"] is True
    assert project["exploration"] == 0.2
    assert project["budget"] == {"unit": "labels", "limit": 1000}
    assert project["overlap"] == {"share": 0.075, "labels": 2}
    assert project["lease_seconds"] == 2700
    somebody = f"new-{secrets.token_hex(4)}"
    await page.fill("#names", f"{somebody}\n\n{somebody}\n")
    await page.click("#invite [type=submit]")
    await expect(page.locator("#link-list")).to_contain_text(f"{somebody}: http")
    link = (await page.inner_text("#link-list")).partition(": ")[2].strip()
    desk = await (await new_context()).new_page()
    await desk.goto(link)
    await desk.click("#accept")
    await desk.click("#welcome-on")
    await desk.wait_for_url(f"**/p/{name}/annotate")
    await expect(desk.locator("#guide strong")).to_have_text("kind")
    await desk.wait_for_selector("#pair:not([hidden])")


async def test_what_is_wrong_is_told_at_its_field(desk: Desk, page: Page, watch: Watch) -> None:
    watch.expected += ["409", "422"]
    await page.goto("/new")
    await page.fill("#name", desk.project)
    await page.click("[type=submit]")
    await expect(page.locator("form > [role=alert]")).to_have_text("a project of that name exists")
    await page.goto(f"/p/{desk.project}/setup/budget")
    await page.fill("#limit", "a lot")
    await page.click("[type=submit]")
    await expect(page.locator(".field:has(#limit) .err")).to_be_visible()
    await page.fill("#limit", "-1")
    await page.click("[type=submit]")
    await expect(page.locator(".field:has(#limit) .err")).to_contain_text("0")


async def test_a_file_that_is_none_is_refused_in_words(
    api: httpx.AsyncClient, page: Page, tmp_path: Path
) -> None:
    name = f"new-{secrets.token_hex(4)}"
    await api.post("/projects", json={"name": name})
    (tmp_path / "array.json").write_text(
        json.dumps([{"prompt": "One?", "responses": [{"text": "a"}, {"text": "b"}]}])
    )
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    await page.goto(f"/p/{name}/settings")
    await page.set_input_files("#file", tmp_path / "array.json")
    await page.click("#start")
    await expect(page.locator("#told")).to_have_text("1 prompt created")
    await page.set_input_files("#file", tmp_path / "picture.json")
    await expect(page.locator("#refused, #upload .err:not(:empty)")).not_to_have_count(0)


async def test_settings_are_saved_and_a_project_is_erased_by_its_name(
    desk: Desk, page: Page, watch: Watch
) -> None:
    watch.expected += ["409", "422"]
    await page.goto(f"/p/{desk.project}/settings")
    await page.fill("#guidelines", "New words.")
    await page.locator("form:has(#guidelines) [type=submit]").click()
    await expect(page.locator("#toast")).to_have_text("Saved.")
    changed = (await desk.api.get(f"/projects/{desk.project}")).json()
    assert changed["guidelines"] == "New words."
    assert changed["budget"]["limit"] is None
    await page.fill("#confirm", "something else")
    await page.click("#erase [type=submit]")
    await expect(page.locator("#erase [role=alert]")).not_to_be_empty()
    await page.fill("#confirm", desk.project)
    await page.click("#erase [type=submit]")
    await page.wait_for_url("**/projects")
    assert (await desk.api.get(f"/projects/{desk.project}")).status_code == 404


async def test_columns_are_named_before_the_import(
    page: Page, api: httpx.AsyncClient, tmp_path: Path
) -> None:
    name = f"new-{secrets.token_hex(4)}"
    await api.post("/projects", json={"name": name})
    table = tmp_path / "answers.csv"
    table.write_text('q,good,bad,by\n"Why?",Because.,"So, ""there""",me\nHow?,Thus.,No.,you\n')
    await page.goto(f"/p/{name}/setup/prompts")
    await page.set_input_files("#file", table)
    found = page.locator("#map-found")
    await expect(found).to_contain_text("2 lines looked at · no known shape")
    await expect(found).to_contain_text("2 would be refused")
    rows = page.locator("#map-rows .map-row")
    await expect(rows).to_have_count(4)
    for column, use in (("q", "prompt"), ("good", "chosen"), ("bad", "rejected")):
        await (
            rows.filter(has=page.get_by_text(column, exact=True))
            .locator("select")
            .select_option(use)
        )
    await expect(found).to_contain_text("read as trl (2) · 2 preferences")
    await expect(rows.nth(3).locator("[data-use]")).to_have_text("left out")
    await expect(page.locator("#first-responses li")).to_have_text(["Because.", 'So, "there"'])
    await rows.nth(3).locator("select").select_option("metadata")
    await expect(rows.nth(3).locator("[data-use]")).to_be_hidden()
    await page.check("[name=labels][value=keep]", force=True)
    await page.click("#start")
    await expect(page.locator("#told")).to_have_text("2 prompts created · 2 labels kept")
    (first, _) = (await api.get("/prompts", params={"project": name})).json()["prompts"]
    stored = (await api.get(f"/prompts/{first['id']}")).json()
    assert (stored["prompt"], stored["metadata"]) == ("Why?", {"by": "me"})


async def test_the_budget_tells_the_hours_of_work(desk: Desk, page: Page) -> None:
    await page.goto(f"/p/{desk.project}/setup/budget")
    work = page.locator("#work")
    await expect(work).to_have_text(
        re.compile(r"^A pair takes about [\d.]+ s to read and answer\.$")
    )
    seconds = float(await work.get_attribute("data-seconds") or 0)
    await page.fill("#limit", str(round(36_000 / seconds)))
    await expect(work).to_contain_text("That makes 10 hours of work.")
    await page.check("[value=minutes]", force=True)
    await page.fill("#limit", "120")
    await expect(work).to_contain_text("2 hours of work, for about")
    await page.fill("#limit", "much")
    await expect(work).not_to_contain_text("hours")


async def test_the_sample_is_a_click_away(page: Page, api: httpx.AsyncClient) -> None:
    name = f"new-{secrets.token_hex(4)}"
    await api.post("/projects", json={"name": name})
    await page.goto(f"/p/{name}/setup/prompts")
    await page.click("#sample")
    await expect(page.locator("#first-responses li")).to_have_count(4)
    await page.click("#start")
    await expect(page.locator("#told")).to_have_text("50 prompts created")
