"""The desk: one key answers, nothing is lost, and everything can be taken back."""

import asyncio
import statistics

import httpx
import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.pages.conftest import PHONE, ContextFactory, Desk, Watch, make_desk

pytestmark = pytest.mark.e2e

LONG_ENOUGH = 750  # milliseconds: past the guard against double keys
PAIR = "#pair:not([hidden])"


async def prompt_of(page: Page) -> str:
    return await page.inner_text(".turn-last .prose")


async def past_the_guard(page: Page) -> None:
    """Let the pair be on the screen for so long that a key is meant for it."""
    await page.wait_for_timeout(LONG_ENOUGH)


async def answer(page: Page, key: str) -> None:
    await past_the_guard(page)
    await page.keyboard.press(key)


async def test_one_key_answers_and_the_next_pair_is_there(page: Page, desk: Desk) -> None:
    first = await prompt_of(page)
    shown = await page.inner_text("#right .prose")
    await answer(page, "2")
    assert await prompt_of(page) != first
    await expect(page.locator("#last")).to_have_text("Last: 2 is slightly better")
    await expect(page.locator("#mine")).to_have_text("1")
    (label,) = await desk.until_labelled(1)
    assert (label["choice"], label["strength"]) == ("right", 1)
    assert label["seconds"] >= 0.5
    prompt = (await desk.api.get(f"/prompts/{label['prompt_id']}")).json()
    preferred = [each["text"] for each in prompt["responses"]
                 if each["id"] == label["preferred_response_id"]]  # fmt: skip
    assert preferred[0].split("\n")[0].replace("`", "").replace("**", "") in shown


async def test_the_next_pair_comes_within_50_ms(page: Page) -> None:
    for key in ("1", "t", "2", "b"):
        await answer(page, key)
    measured = await page.evaluate(
        "performance.getEntriesByName('key to next pair').map(({duration}) => duration)"
    )
    assert statistics.median(measured) < 50


async def test_the_same_key_again_strengthens_and_any_other_does_nothing(
    page: Page, desk: Desk
) -> None:
    first = await prompt_of(page)
    await answer(page, "1")
    second = await prompt_of(page)
    await page.keyboard.press("1")
    await page.keyboard.press("2")
    await page.keyboard.press("t")
    await page.keyboard.press("1")
    await page.keyboard.press("1")
    assert await prompt_of(page) == second != first
    (label,) = await desk.until_labelled(1)
    assert (label["choice"], label["strength"]) == ("left", 3)
    await page.wait_for_timeout(LONG_ENOUGH)
    assert len(await desk.labels()) == 1


async def test_every_key_and_every_button_gives_its_answer(page: Page, desk: Desk) -> None:
    await answer(page, "ArrowLeft")
    await answer(page, "Shift+Digit2")
    await answer(page, "t")
    await answer(page, "b")
    await past_the_guard(page)
    await page.click('[data-choice="right"][data-strength="3"]')
    labels = await desk.until_labelled(5)
    assert [(label["choice"], label["strength"]) for label in labels] == [
        ("left", 1), ("right", 2), ("tie", None), ("both_bad", None), ("right", 3),
    ]  # fmt: skip


async def test_undo_takes_back_what_is_sent_and_what_is_not_any_number_of_times(
    page: Page, desk: Desk
) -> None:
    prompts = [await prompt_of(page)]
    for key in ("1", "2", "t"):
        await answer(page, key)
        prompts.append(await prompt_of(page))
    for shown in reversed(prompts[:-1]):
        await page.keyboard.press("u")
        await expect(page.locator(".turn-last .prose")).to_have_text(shown)
    await expect(page.locator('[data-choice="left"][data-strength="1"]')).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(page.locator("#mine")).to_have_text("0")
    assert await page.is_disabled("#undo")
    assert await desk.labels() == []
    await answer(page, "2")
    (label,) = await desk.until_labelled(1)
    assert label["choice"] == "right"


async def test_an_undo_that_the_budget_has_no_room_for_says_so(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api, budget={"unit": "minutes", "limit": None})
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    await answer(page, "1")
    await desk.until_labelled(1)
    # A second was spent; the eight seconds that the pair may take do not fit into it.
    ledger = (await api.get(f"/projects/{desk.project}")).json()["ledger"]
    full = {"unit": "minutes", "limit": ledger["spent"] + ledger["reserved"] + 0.01}
    changed = await api.patch(f"/projects/{desk.project}", json={"budget": full})
    assert changed.status_code == 200
    await page.keyboard.press("u")
    await expect(page.locator("#toast")).to_have_text(
        "Withdrawn; the budget has no room to ask it again."
    )
    assert await desk.labels() == []


async def test_a_draft_survives_a_reload(page: Page, desk: Desk) -> None:
    await page.keyboard.press("r")
    await page.keyboard.type("It invents a source.")
    await page.focus("body")
    await page.locator("#left .resp-body").click()
    await page.keyboard.press("1")
    await page.keyboard.press("e")
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" And more.")
    await page.reload()
    await page.wait_for_selector("#drawer:not([hidden])")
    assert await page.input_value("#reason") == "It invents a source."
    assert (await page.input_value("#left textarea")).endswith(" And more.")
    await page.keyboard.press("Control+Enter")
    (label,) = await desk.until_labelled(1)
    assert label["choice"] == "left"
    assert label["rationale"] == "It invents a source."
    assert label["edited"].endswith(" And more.")
    assert await page.evaluate("Object.keys(localStorage).filter((k) => /draft/.test(k))") == []


async def test_both_responses_can_be_edited_and_change_their_parts_with_the_choice(
    page: Page, desk: Desk
) -> None:
    await page.keyboard.press("r")
    await page.locator("#right .resp-body").click()
    await page.keyboard.press("2")
    await page.keyboard.press("w")
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" Nearer.")
    await expect(page.locator("#left textarea")).to_be_focused()
    await page.locator("#right .resp-body").click()
    await page.keyboard.press("e")
    await page.keyboard.press("Control+End")
    await page.keyboard.type(" Better.")
    await page.reload()
    await page.wait_for_selector("#drawer:not([hidden])")
    assert (await page.input_value("#left textarea")).endswith(" Nearer.")
    await page.keyboard.press("Control+Enter")
    (label,) = await desk.until_labelled(1)
    assert label["choice"] == "right"
    assert label["edited"].endswith(" Better.")
    assert label["edited_rejected"].endswith(" Nearer.")

    # Taken back, with the other side chosen: what was the better text is the worse one's now.
    await page.locator("#undo").click()
    await page.wait_for_selector("#left textarea")
    await page.locator("[data-choice=left][data-strength='1']").click()
    await page.keyboard.press("Control+Enter")
    label = (await desk.until_labelled(1))[-1]
    assert label["choice"] == "left"
    assert label["edited"].endswith(" Nearer.")
    assert label["edited_rejected"].endswith(" Better.")


async def test_answers_wait_while_there_is_no_connection(
    page: Page, desk: Desk, watch: Watch
) -> None:
    watch.expected += ["ERR_INTERNET_DISCONNECTED"]
    await page.context.set_offline(True)
    await answer(page, "1")
    await answer(page, "2")
    await expect(page.locator("#offline")).to_be_visible()
    assert await desk.labels() == []
    await page.context.set_offline(False)
    labels = await desk.until_labelled(2)
    assert [label["choice"] for label in labels] == ["left", "right"]
    await expect(page.locator("#offline")).to_be_hidden()


async def test_an_answer_that_was_not_sent_is_sent_after_a_reload(
    page: Page, desk: Desk, watch: Watch
) -> None:
    watch.expected += ["ERR_INTERNET_DISCONNECTED", "ERR_FAILED"]
    await page.route("**/labels", lambda route: route.abort())
    first = await prompt_of(page)
    await answer(page, "1")
    await page.wait_for_timeout(LONG_ENOUGH)
    await page.unroute("**/labels")
    await page.reload()
    await page.wait_for_selector(PAIR)
    (label,) = await desk.until_labelled(1)
    assert label["choice"] == "left"
    assert await prompt_of(page) != first


async def test_a_second_tab_waits_until_it_is_asked_to_take_over(page: Page, desk: Desk) -> None:
    second = await page.context.new_page()
    await second.goto(desk.path)
    await expect(second.locator("#nothing-title")).to_have_text("You are answering in another tab")
    await second.click("text=Answer here instead")
    await second.wait_for_selector(PAIR)
    await expect(page.locator("#nothing-title")).to_have_text("You are answering in another tab")
    await answer(second, "1")
    await desk.until_labelled(1)


async def test_all_answered_is_told(page: Page, desk: Desk) -> None:
    for _ in range(6):
        await answer(page, "1")
    await expect(page.locator("#nothing-title")).to_have_text("You have answered every pair")
    await desk.until_labelled(6)
    await page.keyboard.press("u")
    await page.wait_for_selector(PAIR)


async def test_a_spent_budget_is_told(api: httpx.AsyncClient, new_context: ContextFactory) -> None:
    desk = await make_desk(api, budget={"unit": "labels", "limit": 2})
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    await answer(page, "1")
    await answer(page, "1")
    await expect(page.locator("#nothing-title")).to_have_text("The budget is spent")


async def test_a_waiting_desk_goes_on_by_itself(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api, [("Only this?", "Yes.", "No.")])
    other = await api.post("/annotators", json={"name": f"{desk.annotator}-2"})
    bearer = {"Authorization": f"Bearer {other.json()['key']}"}
    held = await api.get("/next-pairs", params={"project": desk.project}, headers=bearer)
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await expect(page.locator("#nothing-title")).to_have_text("Nothing for you right now")
    assignment = held.json()["pairs"][0]["assignment_id"]
    await api.delete(f"/assignments/{assignment}", headers=bearer)
    await page.wait_for_selector(PAIR)


async def test_a_lapsed_pair_says_so_and_still_takes_an_answer(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api, lease_seconds=10)
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    await expect(page.locator("#lapsed")).to_be_visible()
    await page.keyboard.press("1")
    (label,) = await desk.until_labelled(1)
    assert label["status"] == "counted"


async def test_keys_can_ask_for_enter_and_can_be_turned_off(page: Page, desk: Desk) -> None:
    await page.evaluate("prefs.save({enter: true})")
    first = await prompt_of(page)
    await page.keyboard.press("1")
    await page.keyboard.press("2")
    await page.keyboard.press("2")
    assert await prompt_of(page) == first
    await page.keyboard.press("Enter")
    (label,) = await desk.until_labelled(1)
    assert (label["choice"], label["strength"]) == ("right", 2)
    await page.evaluate("prefs.save({enter: false, keys: 'off'})")
    second = await prompt_of(page)
    await answer(page, "1")
    assert await prompt_of(page) == second


async def test_differences_are_painted_and_the_text_stays(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    one = "The cat sat on the old mat and looked at the moon."
    desk = await make_desk(api, [("Write.", one, one.replace("old mat", "green roof"))])
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    before = await page.inner_html("#pair")
    await page.keyboard.press("d")
    marked = await page.evaluate(
        "[...CSS.highlights.get('only-here')].map((range) => range.toString()).sort()"
    )
    assert marked == ["green roof", "old mat"]
    assert await page.inner_html("#pair") == before
    assert await page.get_attribute("#diff", "aria-checked") == "true"


async def test_nothing_that_could_bias_is_in_the_page_or_its_requests(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api)
    context = await new_context(desk.key)
    page = await context.new_page()
    bodies: list[str] = []

    async def read(response: object) -> None:
        if "annotate" in response.url or "/labels" in response.url:  # type: ignore[attr-defined]
            bodies.append(await response.text())  # type: ignore[attr-defined]

    page.on("response", read)
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    everything = " ".join([*bodies, await page.content()])
    for word in (
        "similarity",
        "propensity",
        "strategy",
        "exploration",
        '"arm"',
        '"model"',
        "score",
    ):
        assert word not in everything, word
    assert "assignment_id" in everything


async def test_a_session_that_ends_is_renewed_over_the_page(
    page: Page, desk: Desk, watch: Watch
) -> None:
    watch.expected += ["401"]
    await page.keyboard.press("r")
    await page.keyboard.type("Half a thought")
    new = (await desk.api.post(f"/annotators/{desk.annotator}/key")).json()["key"]
    await page.locator("#left .resp-body").click()
    await page.keyboard.press("1")
    await page.keyboard.press("Control+Enter")
    await page.fill("#again-key", new)
    await page.keyboard.press("Enter")
    (label,) = await desk.until_labelled(1)
    assert label["rationale"] == "Half a thought"


async def test_the_desk_fits_a_phone(desk: Desk, new_context: ContextFactory) -> None:
    context = await new_context(desk.key, viewport=PHONE, has_touch=True)
    page = await context.new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    await past_the_guard(page)
    await page.tap('[data-choice="right"][data-strength="2"]')
    (label,) = await desk.until_labelled(1)
    assert (label["choice"], label["strength"]) == ("right", 2)


async def test_an_undo_while_pairs_are_on_their_way_shows_no_pair_twice(
    page: Page, desk: Desk
) -> None:
    first = await prompt_of(page)

    async def be_slow(route: Route) -> None:
        answer = await route.fetch()
        await page.wait_for_timeout(300)
        await route.fulfill(response=answer)

    await page.route("**/pairs?*", be_slow)
    await answer(page, "1")
    await page.keyboard.press("u")
    shown = []
    for key in ("2", "1", "t", "b", "1", "2"):
        shown.append(await prompt_of(page))
        await answer(page, key)
        await page.wait_for_selector(f"{PAIR}, #nothing:not([hidden])")
    assert shown[0] == first
    assert len(set(shown)) == 6
    labels = await desk.until_labelled(6)
    await page.unroute_all(behavior="ignoreErrors")
    assert [label["choice"] for label in labels] == [
        "right", "left", "tie", "both_bad", "left", "right",
    ]  # fmt: skip


async def test_a_pair_whose_label_somebody_withdrew_comes_back(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api, [("Only this?", "Yes.", "No.")])
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector(PAIR)
    await answer(page, "1")
    await expect(page.locator("#nothing-title")).to_have_text("You have answered every pair")
    (label,) = await desk.until_labelled(1)
    await api.delete(f"/labels/{label['id']}")
    await page.wait_for_selector(PAIR)  # the plan has changed
    await answer(page, "2")
    (label,) = await desk.until_labelled(1)
    assert label["choice"] == "right"


async def test_a_project_may_show_texts_as_they_are(
    api: httpx.AsyncClient, new_context: ContextFactory
) -> None:
    desk = await make_desk(api, [("**Why?**", "# One", "- two\n- three")], plain_text=True)
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector("#pair:not([hidden])")
    assert await page.inner_text(".turn-last .prose") == "**Why?**"
    texts = {await page.inner_text(f"#{side} .prewrap") for side in ("left", "right")}
    assert texts == {"# One", "- two\n- three"}
    assert await page.locator("#pair h3, #pair li, .turn-last strong").count() == 0


async def test_answers_given_while_another_is_on_its_way_are_sent_too(
    page: Page, desk: Desk
) -> None:
    async def slowly(route: Route) -> None:
        await asyncio.sleep(3)
        await route.continue_()

    await page.route("**/labels", slowly)
    for key in ("1", "2", "t"):
        await page.wait_for_selector("#pair:not([hidden])")
        await page.wait_for_timeout(750)
        await page.keyboard.press(key)
    await desk.until_labelled(3)
