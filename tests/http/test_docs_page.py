"""`/docs`: Swagger UI from the installed packages; nothing is loaded from another server."""

import re
from html.parser import HTMLParser

import httpx
import pytest


class Loaded(HTMLParser):
    """What a page loads, and the scripts and styles that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get("src") or given.get("href")
        if address:
            self.addresses.append(address)
        elif tag in {"script", "style"}:
            self.inline += 1
        self.inline += sum(name == "style" or name.startswith("on") for name in given)


async def _page(client: httpx.AsyncClient) -> Loaded:
    answer = await client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    page = Loaded()
    page.feed(answer.text)
    return page


async def test_the_page_needs_no_key_and_loads_only_what_this_service_has(
    anonymous: httpx.AsyncClient,
) -> None:
    page = await _page(anonymous)
    assert page.inline == 0
    assert len(page.addresses) == 4
    for address in page.addresses:
        assert re.fullmatch(r"docs/[\w.-]+", address)
        answer = await anonymous.get(f"/{address}")
        assert answer.status_code == 200, address
        assert answer.content


async def test_its_script_asks_this_service_for_the_openapi_document(
    anonymous: httpx.AsyncClient,
) -> None:
    script = (await anonymous.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in script
    assert "validatorUrl: null" in script
    assert "://" not in script
    assert (await anonymous.get("/openapi.json")).json()["openapi"].startswith("3.1")
    bundle = (await anonymous.get("/docs/swagger-ui-bundle.js")).text
    assert "SwaggerUIBundle" in bundle
    assert re.search(r'PACKAGE_VERSION:"5\.', bundle)  # the first that reads OpenAPI 3.1


async def test_its_styles_load_nothing(anonymous: httpx.AsyncClient) -> None:
    styles = (await anonymous.get("/docs/swagger-ui.css")).text
    assert "@import" not in styles
    addresses = re.findall(r"url\([\"']?([^\"')]{5})", styles)
    assert set(addresses) == {"data:"}


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui-bundle.js"])
async def test_a_browser_may_load_nothing_else(anonymous: httpx.AsyncClient, path: str) -> None:
    headers = (await anonymous.get(path)).headers
    policy = dict(
        part.split(" ", 1) for part in headers["content-security-policy"].split("; ") if part
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path", ["/docs/none.js", "/docs/..%2fdocs.py", "/docs/docs.html", "/docs/oauth2-redirect"]
)
async def test_no_other_file_is_served(anonymous: httpx.AsyncClient, path: str) -> None:
    answer = await anonymous.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_trailing_slash_leads_to_the_page(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/docs/")
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://service/docs"


async def test_redoc_is_not_served(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/redoc")).status_code == 404
