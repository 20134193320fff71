"""The review of labels: filters in the address, a pair in detail, withdrawing and settling."""

import re
import secrets
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect

from tests.e2e.pages.conftest import PHONE, ContextFactory, Desk, Watch, make_desk
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e


async def _answer(desk: Desk, key: str, *answers: dict[str, Any]) -> None:
    bearer = {"Authorization": f"Bearer {key}"}
    query: dict[str, str | int] = {"project": desk.project, "budget": len(answers)}
    held = (await desk.api.get("/next-pairs", params=query, headers=bearer)).json()["pairs"]
    assert len(held) == len(answers)
    for pair, answer in zip(held, answers, strict=True):
        sent = dict(answer)
        if "prefer" in sent:
            ids = {pair[side]["response_id"]: side for side in ("left", "right")}
            sent["choice"] = ids[sent.pop("prefer")(ids)]
        posted = await desk.api.post(
            "/labels", json={"assignment_id": pair["assignment_id"], **sent}, headers=bearer
        )
        assert posted.status_code == 201, posted.text


@pytest.fixture
async def argued(api: httpx.AsyncClient) -> tuple[Desk, str]:
    """A desk with four pairs labelled by two, who disagree on the first; and the other's name."""
    desk = await make_desk(api, labels_per_pair=2, budget={"unit": "labels", "limit": 12})
    other = f"ben-{secrets.token_hex(4)}"
    key = (await api.post("/annotators", json={"name": other})).json()["key"]
    await _answer(
        desk,
        desk.key,
        {"prefer": min, "strength": 2, "seconds": 41.2, "rationale": "it is <b>right</b>"},
        {"prefer": min},
        {"choice": "tie"},
        {"choice": "both_bad"},
    )
    await _answer(desk, key, {"prefer": max, "edited": "Better so."}, {"prefer": min})
    return desk, other


@pytest.fixture
async def page(
    argued: tuple[Desk, str], service: RunningService, new_context: ContextFactory
) -> Page:
    opened = await (await new_context(service.key)).new_page()
    await opened.goto(f"/p/{argued[0].project}/labels")
    return opened


async def test_filters_stand_in_the_address_and_count(page: Page, argued: tuple[Desk, str]) -> None:
    desk, other = argued
    items = page.locator(".item")
    await expect(items).to_have_count(4)
    await expect(page.locator("#which")).to_have_text(
        re.compile(r"Disagreements 2\s*With a reason 1\s*Edited 1\s*All 6")
    )
    await page.click("#which >> text=Disagreements")
    await expect(items).to_have_count(1)
    await expect(items.locator(".vote")).to_have_text(["1", "2"])
    assert page.url.endswith("/labels?disagreement=true")
    await page.select_option("[name=annotator]", other)
    await page.wait_for_url(lambda url: f"annotator={other}" in url)
    assert "choice" not in page.url
    assert "disagreement=true" in page.url
    await expect(page.locator("#which [aria-current]")).to_have_text("Disagreements 1")
    await page.goto(f"/p/{desk.project}/labels?choice=both_bad")
    await expect(items.locator(".vote")).to_have_text("both bad")
    await page.goto(f"/p/{desk.project}/labels?choice=skip")
    await expect(page.locator("#browse")).to_contain_text("No label is like that.")
    await page.click("text=All labels")
    await expect(items).to_have_count(4)


async def test_a_search_finds_words_of_texts_and_reasons(page: Page) -> None:
    asked = await page.locator(".item .q").nth(3).inner_text()
    await page.keyboard.press("/")
    await page.keyboard.type(asked.upper())
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "q=" in url)
    await expect(page.locator(".item .q")).to_have_text(asked)
    await page.fill("#q", "  ")
    await page.press("#q", "Enter")
    await expect(page.locator(".item")).to_have_count(4)
    await page.fill("#q", "is <b>right")
    await page.press("#q", "Enter")
    await expect(page.locator("#said")).to_contain_text("“it is <b>right</b>”")


async def test_keys_move_through_the_list(page: Page) -> None:
    items = page.locator(".item")
    titles = await items.locator(".q").all_inner_texts()
    await expect(page.locator("#detail h2")).to_have_text(titles[0])
    await page.keyboard.press("j")
    await expect(page.locator("#detail h2")).to_have_text(titles[1])
    await expect(items.nth(1)).to_have_attribute("aria-current", "true")
    await expect(items.nth(0)).not_to_have_attribute("aria-current", "true")
    assert "pair=" in page.url
    await page.keyboard.press("j")
    await expect(page.locator("#detail h2")).to_have_text(titles[2])
    await page.keyboard.press("k")
    await expect(page.locator("#detail h2")).to_have_text(titles[1])
    await page.reload()
    await expect(page.locator("#detail h2")).to_have_text(titles[1])


async def test_a_pair_in_detail_tells_all_that_was_said(
    page: Page, argued: tuple[Desk, str]
) -> None:
    desk, other = argued
    await page.click("#which >> text=Disagreements")
    detail = page.locator("#detail")
    await expect(detail.locator(".badge-warn")).to_have_text("1 to 1")
    said = detail.locator("#said > li")
    await expect(said).to_have_count(2)
    await expect(said.nth(0)).to_have_text(
        re.compile(
            rf"{desk.annotator} chose response 1, shown on the (left|right) · clearly · 41 s"
        )
    )
    await expect(said.nth(1)).to_contain_text(f"{other} chose response 2")
    await said.nth(1).locator("summary").click()
    await expect(said.nth(1)).to_contain_text("Better so.")
    await detail.locator("text=Prompts like this").click()
    await expect(page.locator("#similar li")).to_have_count(5)


async def test_a_label_is_withdrawn_after_a_question(
    page: Page, argued: tuple[Desk, str], api: httpx.AsyncClient
) -> None:
    desk, _ = argued
    await page.click("#which >> text=Disagreements")
    row = page.locator("#said > li").nth(1)
    await row.locator("[data-withdraw]").click()
    await page.click("text=Cancel")
    await row.locator("[data-withdraw]").click()
    await page.locator("[data-yes]").click()
    await expect(page.locator(".toast")).to_have_text("Withdrawn.")
    await expect(page.locator("#which")).to_contain_text("Disagreements 0")
    await expect(page.locator(".item")).to_have_count(0)
    await page.goto(f"/p/{desk.project}/labels?status=withdrawn")
    await expect(page.locator("#said .off")).to_contain_text("withdrawn by admin")
    project = (await api.get(f"/projects/{desk.project}")).json()
    assert project["ledger"]["spent"] == 5


async def test_an_admin_settles_a_disagreement(
    page: Page, argued: tuple[Desk, str], api: httpx.AsyncClient
) -> None:
    desk, other = argued
    await page.click("#which >> text=Disagreements")
    await page.click("#settle-open")
    await page.click("#settle >> text=1 is better")
    await expect(page.locator("#settle-what")).to_have_text(f"Withdraws what {other} said.")
    await page.click("#how-much >> text=Much")
    await page.fill("#settle-reason", "The edit says nothing new.")
    await page.click("text=Settle it >> nth=-1")
    await expect(page.locator(".toast")).to_have_text("Settled.")
    await expect(page.locator("#which")).to_contain_text("Disagreements 0")
    labels = (await api.get("/labels", params={"project": desk.project})).json()["labels"]
    mine = labels[-1]
    assert (mine["annotator"], mine["strength"], mine["status"]) == ("admin", 3, "counted")
    assert mine["rationale"] == "The edit says nothing new."
    (withdrawn,) = (label for label in labels if label["status"] == "withdrawn")
    assert (withdrawn["annotator"], withdrawn["withdrawn_by"]) == (other, "admin")


async def test_what_would_not_count_is_said_and_nothing_is_lost(page: Page, watch: Watch) -> None:
    watch.expected.append("409")
    # The newest pair: both say the same, and it wants two labels.
    await expect(page.locator("#said > li")).to_have_count(2)
    await page.click("#settle-open")
    await page.click("#settle >> text=1 is better")
    await expect(page.locator("#settle-what")).to_contain_text("Everybody says so already")
    await page.fill("#settle-reason", "so do I")
    watch_out = page.locator("#settle [role=alert]")
    await page.click("text=Settle it >> nth=-1")
    await expect(watch_out).to_contain_text("would not count")
    assert await page.input_value("#settle-reason") == "so do I"


async def test_annotators_look_at_their_own(
    argued: tuple[Desk, str], new_context: ContextFactory
) -> None:
    desk, other = argued
    page = await (await new_context(desk.key)).new_page()
    await page.goto(f"/p/{desk.project}/labels")
    await expect(page.locator("h1")).to_have_text("My labels")
    await expect(page.locator(".item")).to_have_count(4)
    content = await page.content()
    assert other not in content
    assert "similarity" not in content
    assert "Disagreements" not in content
    assert await page.locator("#settle-open").count() == 0
    await page.locator("[data-withdraw]").click()
    await page.locator("[data-yes]").click()
    await expect(page.locator(".item")).to_have_count(3)


async def test_older_labels_are_a_page_further(
    api: httpx.AsyncClient, service: RunningService, new_context: ContextFactory
) -> None:
    prompts = [(f"Question {n}?", f"Yes, {n}.", f"No, not {n}.") for n in range(22)]
    desk = await make_desk(api, prompts)
    for _ in range(11):
        await _answer(desk, desk.key, {"choice": "tie"}, {"choice": "left"})
    page = await (await new_context(service.key)).new_page()
    await page.goto(f"/p/{desk.project}/labels")
    await expect(page.locator(".item")).to_have_count(20)
    await page.click("text=Older")
    await expect(page.locator(".item")).to_have_count(2)
    await page.click(".pager >> text=Newest >> nth=-1")
    await expect(page.locator(".item")).to_have_count(20)


async def test_on_a_phone_the_detail_comes_into_view(
    argued: tuple[Desk, str], service: RunningService, new_context: ContextFactory
) -> None:
    page = await (await new_context(service.key, viewport=PHONE)).new_page()
    await page.goto(f"/p/{argued[0].project}/labels")
    await page.locator(".item").nth(3).click()
    await expect(page.locator("#detail")).to_be_in_viewport()


async def test_an_address_of_the_wrong_form_is_told(
    argued: tuple[Desk, str], service: RunningService, new_context: ContextFactory, watch: Watch
) -> None:
    watch.expected += ["422", "404"]
    page = await (await new_context(service.key)).new_page()
    for query, word in (("choice=up", "choice"), ("since=soon", "since"), ("pair=x", "pair")):
        await page.goto(f"/p/{argued[0].project}/labels?{query}")
        await expect(page.locator("main")).to_contain_text(word)
