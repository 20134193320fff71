"""Signing in: by key or by address, without leaving the key anywhere, and never by surprise."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.e2e.pages.conftest import ContextFactory, Desk, Watch
from tests.e2e.serving import RunningService

pytestmark = pytest.mark.e2e


async def test_an_address_with_the_key_signs_in_and_forgets_it(
    desk: Desk, new_context: ContextFactory
) -> None:
    context = await new_context()
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"/sign-in#key={desk.key}")
    await page.wait_for_url(f"**{desk.path}")  # an annotator with one project goes to the desk
    assert not any(desk.key in url for url in asked)
    (cookie,) = await context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert desk.key not in await page.evaluate("document.documentElement.outerHTML")
    await page.go_back()
    assert desk.key not in page.url


async def test_a_page_leads_to_the_sign_in_and_back(
    desk: Desk, new_context: ContextFactory
) -> None:
    page = await (await new_context()).new_page()
    await page.goto(desk.path)
    await page.wait_for_url(re.compile(r"/sign-in\?next="))
    await page.fill("#key", desk.key)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{desk.path}")


async def test_a_wrong_key_is_told_under_the_field(
    new_context: ContextFactory, watch: Watch
) -> None:
    watch.expected += ["401"]
    page = await (await new_context()).new_page()
    await page.goto("/sign-in")
    await page.fill("#key", "ab_wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("#error")).to_have_text("Nobody who is active has this key.")


@pytest.mark.parametrize("choice", ["stay", "switch"])
async def test_an_address_asks_before_it_replaces_a_session(
    desk: Desk, service: RunningService, new_context: ContextFactory, choice: str
) -> None:
    context = await new_context(desk.key)
    page = await context.new_page()
    await page.goto(f"/sign-in?next=/p/{desk.project}/annotate#key={service.key}")
    await expect(page.locator("#signed-in")).to_have_text(desk.annotator)
    await page.click(f"#{choice}")
    await page.wait_for_url(f"**{desk.path}")
    signed_in = await page.get_attribute('meta[name="viewer"]', "content")
    assert signed_in == (desk.annotator if choice == "stay" else "admin")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example/",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%5cevil",
    ],
)
async def test_the_way_back_leads_nowhere_else(
    desk: Desk, service: RunningService, new_context: ContextFactory, target: str, watch: Watch
) -> None:
    watch.expected += ["404"]
    page = await (await new_context(desk.key)).new_page()
    await page.goto("/sign-in?" + str(httpx.QueryParams({"next": target})))
    await page.wait_for_url(lambda url: "/sign-in" not in url)
    assert page.url.startswith(service.url)


async def test_signing_out_asks_before_it_drops_a_draft(
    desk: Desk, new_context: ContextFactory
) -> None:
    page = await (await new_context(desk.key)).new_page()
    await page.goto(desk.path)
    await page.wait_for_selector("#pair:not([hidden])")
    await page.keyboard.press("r")
    await page.keyboard.type("A thought")
    questions: list[str] = []

    async def refuse(dialog: object) -> None:
        questions.append(dialog.message)  # type: ignore[attr-defined]
        await dialog.dismiss()  # type: ignore[attr-defined]

    page.once("dialog", refuse)
    await page.click("[data-overlay=me]")
    await page.click("[data-sign-out]")
    assert questions == ["Sign out and drop 1 draft on this device?"]
    page.once("dialog", lambda dialog: dialog.accept())
    await page.click("[data-sign-out]")
    await page.wait_for_url("**/sign-in")
    assert await page.evaluate("Object.keys(localStorage).filter((k) => /draft/.test(k))") == []
    await page.goto(desk.path)
    await page.wait_for_url(re.compile(r"/sign-in\?next="))
