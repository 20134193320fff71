"""The whole journey in browsers: a file, two annotators at once, a live overview, a dataset."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.conftest import ContextFactory, Watch
from tests.e2e.serving import REPOSITORY, RunningService

pytestmark = pytest.mark.e2e

SAMPLE = REPOSITORY / "examples" / "qafeedback-50.ndjson"
BUDGET = 20


async def answer_pairs(page: Page, keys: list[str]) -> list[str]:
    """Answer a pair with each key; gives the prompts that were shown."""
    shown = []
    for key in keys:
        await page.wait_for_selector("#pair:not([hidden])")
        shown.append(await page.inner_text(".turn-last .prose"))
        await page.wait_for_timeout(750)
        await page.keyboard.press(key)
    return shown


async def answer_to_the_end(page: Page) -> None:
    """Answer until the budget is spent; what another desk holds comes in time."""
    while True:
        await page.wait_for_selector("#pair:not([hidden]), #nothing:not([hidden])")
        if await page.is_hidden("#pair"):
            if await page.inner_text("#nothing-title") == "The budget is spent":
                return
            await page.wait_for_timeout(100)
        else:
            # An answered pair may still stand there, until it is known that none follows.
            await page.wait_for_timeout(750)
            await page.keyboard.press("1")


async def test_from_a_file_to_a_dataset(
    service: RunningService,
    api: httpx.AsyncClient,
    new_context: ContextFactory,
    watch: Watch,
    tmp_path: Path,
) -> None:
    name = f"journey-{secrets.token_hex(4)}"
    admin = await (await new_context()).new_page()
    await admin.goto(f"/sign-in#key={service.key}")
    await admin.wait_for_url("**/projects")
    await admin.click("text=New project")
    await admin.fill("#name", name)
    await admin.click("[type=submit]")
    await admin.wait_for_url("**/setup/prompts")
    await admin.set_input_files("#file", SAMPLE)
    await admin.click("#start")
    await expect(admin.locator("#told")).to_have_text("50 prompts created")
    await admin.goto(f"/p/{name}/setup/budget")
    await admin.fill("#limit", str(BUDGET))
    await admin.click("[type=submit]")
    await admin.wait_for_url("**/setup/annotators")
    people = [f"{who}-{name}" for who in ("ana", "ben")]
    await admin.fill("#names", "\n".join(people))
    await admin.click("#invite [type=submit]")
    await expect(admin.locator("#link-list")).to_contain_text(people[1])
    links = [line.partition(": ")[2] for line in (await admin.inner_text("#link-list")).split("\n")]
    await admin.click("text=Go to the overview")

    desks = []
    for link in filter(None, links):
        desk = await (await new_context()).new_page()
        await desk.goto(link)
        await desk.click("#accept")
        await desk.click("#welcome-on")
        # The first pairs come when the model has read the first prompts.
        await desk.wait_for_selector("#pair:not([hidden])", timeout=600_000)
        desks.append(desk)
    ana, ben = desks
    # One undo and one reload on the way: neither loses an answer or gives one twice.
    first = await answer_pairs(ana, ["1"])
    await ana.keyboard.press("u")
    again, _ = await asyncio.gather(
        answer_pairs(ana, ["2", "1", "t", "b", "2"]), answer_pairs(ben, ["1", "2"] * 2)
    )
    assert again[0] == first[0]
    await ana.reload()
    await asyncio.gather(answer_to_the_end(ana), answer_to_the_end(ben))

    await expect(admin.locator("#part-now .v").first).to_have_text(
        f"{BUDGET} of {BUDGET} labels spent"
    )
    for person in people:
        await expect(admin.locator("#part-annotators")).to_contain_text(person)
    labels = (await api.get("/labels", params={"project": name})).json()["labels"]
    counted = [label for label in labels if label["status"] == "counted"]
    assert len(counted) == BUDGET
    assert {label["annotator"] for label in counted} == {*people}
    assert len({label["pair_id"] for label in counted}) == BUDGET

    # The tie is settled by the admin; the label of both bad stays.
    await admin.goto(f"/p/{name}/labels?choice=tie")
    await admin.click("#settle-open")
    await admin.click("#settle >> text=1 is better")
    await admin.click("#settle [type=submit]")
    await expect(admin.locator("#toast")).to_have_text("Settled.")
    settled = (await api.get("/labels", params={"project": name, "order": "newest"})).json()
    mine = settled["labels"][0]
    assert (mine["annotator"], mine["status"]) == ("admin", "counted")
    ledger = (await api.get(f"/projects/{name}")).json()["ledger"]
    assert (ledger["spent"], ledger["remaining"]) == (BUDGET, 0)

    await admin.click("text=Export >> nth=0")
    await expect(admin.locator("#flow")).to_contain_text(f"Rows{BUDGET - 1}")
    async with admin.expect_download() as downloading:
        await admin.click("#download")
    await (await downloading.value).save_as(tmp_path / "rows.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == BUDGET - 1
    assert all(row.keys() == {"prompt", "chosen", "rejected"} for row in rows)
