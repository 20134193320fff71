"""What every page has in common: a strict policy, nothing inline, and little to load."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from app.web.assets import assets
from tests.support.api import ADMIN_KEY, client_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PAGES = [
    "/sign-in",
    "/projects",
    "/p/default",
    "/p/default/annotate",
    "/p/nothing/annotate",
    "/nothing",
    "/projects?limit=x",
]


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, None) as opened:
        await opened.post("/session", json={"key": ADMIN_KEY})
        opened.headers.update(BROWSER)
        yield opened


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_the_policy_and_nothing_inline(
    browser: httpx.AsyncClient, path: str
) -> None:
    page = await browser.get(path)
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
    for attributes, content in re.findall(r"<script([^>]*)>(.*?)</script>", page.text, re.DOTALL):
        assert content == ""
        assert 'src="/static/' in attributes
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)


def test_everything_a_browser_loads_is_at_most_100_kib() -> None:
    loaded = {
        name: len(asset.compressed)
        for name, asset in assets().files.items()
        if name.endswith((".css", ".js"))
    }
    assert sum(loaded.values()) <= 100 * 1024, loaded


async def test_a_page_sends_those_who_are_not_signed_in_to_sign_in_and_back(
    anonymous: httpx.AsyncClient,
) -> None:
    sent = await anonymous.get("/p/default/annotate?a=1&b=2", headers=BROWSER)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/sign-in?next=/p/default/annotate%3Fa%3D1%26b%3D2"


async def test_a_part_of_a_page_lets_the_page_be_loaded_again_to_sign_in(
    anonymous: httpx.AsyncClient,
) -> None:
    part = await anonymous.get("/p/default?part=now", headers=BROWSER | {"HX-Request": "true"})
    assert part.status_code == 204
    assert part.headers["hx-refresh"] == "true"


async def test_a_key_in_a_header_opens_no_page(client: httpx.AsyncClient) -> None:
    assert (await client.get("/p/default/annotate", headers=BROWSER)).status_code == 303


async def test_errors_are_pages_for_browsers_and_problems_for_scripts(
    browser: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    page = await browser.get("/p/nothing/annotate")
    assert page.status_code == 404
    assert "no project has that name" in page.text
    problem = await client.get("/p/nothing/annotate/pairs")
    assert problem.headers["content-type"] == "application/problem+json"


async def test_an_annotators_one_project_is_where_the_bare_address_leads(
    app: FastAPI, client: httpx.AsyncClient, browser: httpx.AsyncClient
) -> None:
    await client.post("/projects", json={"name": "one"})
    key = (await client.post("/annotators", json={"name": "ana", "projects": ["one"]})).json()[
        "key"
    ]
    async with client_of(app, None) as annotator:
        assert (await annotator.get("/")).headers["location"].startswith("/sign-in")
        await annotator.post("/session", json={"key": key})
        assert (await annotator.get("/")).headers["location"] == "/p/one/annotate"
        other = await annotator.get("/p/default/annotate", headers=BROWSER)
        assert other.status_code == 404
    assert (await browser.get("/")).headers["location"] == "/projects"


async def test_looking_at_the_desk_reserves_nothing(
    browser: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    assert (await browser.get("/p/default/annotate")).status_code == 200
    refused = await browser.post("/p/default/annotate/pairs?budget=3")
    assert refused.status_code == 403
    assert (await client.get("/projects/default")).json()["counts"]["held_assignments"] == 0
