"""Behind a path prefix: with proxies that remove it, and with those that do not."""

import asyncio
import contextlib
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from app.accounts.service import ensure_admin
from app.main import create_app
from app.settings import CALLS, PAGES, Settings
from app.storage.sessions import Sessions
from app.web import routes as page_routes
from tests.e2e.serving import (
    START_SECONDS,
    answers_ok,
    free_port,
    own_environment,
    process,
    running_service,
    wait_until,
)
from tests.support.api import ADMIN_KEY, client_of

PREFIX = "/tools/budget"
TLS = Path(__file__).parents[1] / "data" / "tls"


@pytest.fixture
async def prefixed(settings: Settings, sessions: Sessions) -> AsyncIterator[FastAPI]:
    """The application under a prefix."""
    async with sessions.begin() as session:
        await ensure_admin(session, ADMIN_KEY)
    application = create_app(settings.model_copy(update={"root_path": PREFIX}))
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture(params=["", PREFIX], ids=["removed", "kept"])
def sent(request: pytest.FixtureRequest) -> str:
    """What of the prefix is left in the requests that the proxy passes on."""
    left: str = request.param
    return left


@pytest.fixture
async def behind(prefixed: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(prefixed, ADMIN_KEY) as opened:
        yield opened


async def test_calls_are_served_with_and_without_the_prefix(
    behind: httpx.AsyncClient, sent: str
) -> None:
    for path in ("/healthz", "/readyz", "/projects", "/projects/default", "/metrics"):
        assert (await behind.get(sent + path)).status_code == 200, path
    made = await behind.post(f"{sent}/projects", json={"name": "new"})
    assert made.status_code == 201


async def test_a_prefix_is_no_other_word_that_begins_like_it(behind: httpx.AsyncClient) -> None:
    assert (await behind.get(f"{PREFIX}s/healthz")).status_code == 404
    assert (await behind.get(f"{PREFIX}{PREFIX}/healthz")).status_code == 404
    assert (await behind.get(PREFIX)).headers["location"].endswith(f"{PREFIX}/")


async def test_the_type_of_every_error_has_the_prefix(
    behind: httpx.AsyncClient, prefixed: FastAPI, sent: str
) -> None:
    answers = [
        await behind.get(f"{sent}/projects/none"),
        await behind.get(f"{sent}/nothing"),
        await behind.get(f"{sent}/next-pairs", params={"budget": "x"}),
        await behind.get(f"{sent}/projects/a%00"),
        await behind.patch(f"{sent}/next-pairs"),
    ]
    async with client_of(prefixed, None) as anonymous:
        answers.append(await anonymous.get(f"{sent}/projects"))
    for answer in answers:
        assert answer.json()["type"].startswith(f"{PREFIX}/problems/"), answer.text


async def test_a_redirect_stays_under_the_prefix(behind: httpx.AsyncClient, sent: str) -> None:
    answer = await behind.get(f"{sent}/projects/")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"http://service{PREFIX}/projects"


async def test_the_openapi_document_names_the_prefix_as_its_server(
    behind: httpx.AsyncClient, client: httpx.AsyncClient, sent: str
) -> None:
    document = (await behind.get(f"{sent}/openapi.json")).json()
    assert document["servers"] == [{"url": PREFIX}]
    assert "/projects" in document["paths"]
    assert "servers" not in (await client.get("/openapi.json")).json()


async def test_requests_are_counted_by_their_routes_whatever_the_proxy_leaves(
    behind: httpx.AsyncClient,
) -> None:
    for left in ("", PREFIX):
        await behind.get(f"{left}/projects/default")
    metrics = (await behind.get("/metrics")).text
    (line,) = [
        line
        for line in metrics.splitlines()
        if line.startswith("annotation_budget_requests_total") and "/projects/{name}" in line
    ]
    assert line.endswith(" 2.0")


@pytest.mark.parametrize(
    "root_path", ["budget", "/", "/a/", "/a//b", "/a b", "/ä", "/projects", "/docs/x", "http://a/b"]
)
def test_a_root_path_that_cannot_be_one_is_refused(root_path: str) -> None:
    with pytest.raises(ValidationError, match="root_path"):
        Settings.model_validate({"root_path": root_path})


def test_every_call_begins_with_a_part_that_no_root_path_may_begin_with(app: Any) -> None:
    firsts = {path.split("/")[1] for path in app.openapi()["paths"]}
    assert firsts | {"docs", "openapi.json"} == CALLS
    shown = {route.path.split("/")[1] for page in page_routes.PAGES for route in page.router.routes}
    assert shown - CALLS - {""} <= PAGES


class RemovingProxy:
    """A small reverse proxy: it takes a prefix from the requests that it passes on.

    With ``tls`` it takes HTTPS, and says so, and who asked, to the service.
    """

    def __init__(self, upstream: int, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        self.tls = tls

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self.tls)
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked, rest = head.split(b"\r\n", 1)
        asked = asked.replace(f" {PREFIX}/".encode(), b" /", 1)
        behind, onward = await asyncio.open_connection("127.0.0.1", self.upstream)
        told = b"" if self.tls is None else b"x-forwarded-proto: https\r\n"
        onward.write(asked + b"\r\nconnection: close\r\n" + told + rest)
        onward.write(await _body_of(head, reader))
        with contextlib.suppress(ConnectionError):
            writer.write(await behind.read())
            await writer.drain()
        writer.close()
        onward.close()


async def _body_of(head: bytes, reader: asyncio.StreamReader) -> bytes:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return await reader.readexactly(int(line.partition(b":")[2]))
    return b""


@contextlib.contextmanager
def api_process(database_url: str, folder: Path) -> Iterator[int]:
    """The API as a process of its own under the prefix; gives its port."""
    port = free_port()
    environment = own_environment(
        DATABASE_URL=database_url, ADMIN_KEY=ADMIN_KEY, ROOT_PATH=PREFIX, PORT=str(port)
    )
    command = [sys.executable, "-m", "app.cli", "api"]
    log = folder / "api.log"
    with process(command, environment, log):
        url = f"http://127.0.0.1:{port}/readyz"
        wait_until(lambda: answers_ok(url), START_SECONDS, f"{url} answers 200", log)
        yield port


@pytest.mark.e2e
async def test_a_real_service_answers_behind_both_kinds_of_proxies(
    database_url: str, tmp_path: Path
) -> None:
    bearer = {"Authorization": f"Bearer {ADMIN_KEY}"}
    with api_process(database_url, tmp_path) as port:
        async with RemovingProxy(port) as removing:
            for base in (f"http://127.0.0.1:{port}", removing):
                async with httpx.AsyncClient(base_url=base + PREFIX, headers=bearer) as client:
                    assert (await client.get("/projects/default")).json()["name"] == "default"
                    assert (await client.get("/projects/no")).json()["type"].startswith(PREFIX)
                    moved = await client.get("/projects/")
                    assert moved.headers["location"] == f"{base}{PREFIX}/projects"
                    assert (await client.get(moved.headers["location"])).status_code == 200
                    page = await client.get("/docs")
                    assert page.status_code == 200


@pytest.mark.e2e
async def test_a_browser_signs_in_through_tls_and_a_prefix(
    database_url: str, tmp_path: Path
) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    trusted = ssl.create_default_context(cafile=TLS / "certificate.pem")
    with api_process(database_url, tmp_path) as port:
        async with (
            RemovingProxy(port, tls) as proxy,
            httpx.AsyncClient(base_url=proxy + PREFIX, verify=trusted) as browser,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}{PREFIX}") as direct,
        ):
            ours = {"Origin": proxy, "Sec-Fetch-Site": "same-origin"}
            sent = {"key": ADMIN_KEY}
            signed_in = await browser.post("/session", json=sent, headers=ours)
            cookie = signed_in.headers["set-cookie"]
            assert f"Path={PREFIX};" in cookie
            assert "Secure" in cookie
            token = {"X-CSRF-Token": signed_in.json()["csrf_token"]}
            assert (await browser.get("/projects", headers=ours | token)).status_code == 200
            assert (await browser.get("/projects", headers=ours)).status_code == 403
            html = {"Accept": "text/html"}
            page = await browser.get("/projects", headers=html)
            assert f'src="{PREFIX}/static/' in page.text
            assert f'href="{PREFIX}/p/default"' in page.text
            (asset,) = re.findall(rf'href="{PREFIX}(/static/[^"]+app.css)"', page.text)
            assert (await browser.get(asset)).status_code == 200
            home = await browser.get("/", headers=html)
            assert home.headers["location"] == f"{PREFIX}/projects"
            plain = await direct.post("/session", json=sent)
            assert "Secure" not in plain.headers["set-cookie"]


@pytest.mark.e2e
def test_the_service_prints_its_addresses_with_the_prefix_and_commands_take_them() -> None:
    with running_service(ROOT_PATH=PREFIX) as service:
        shown = service.log.read_text()
        assert f"{service.url}{PREFIX}\n" in shown
        assert f"{service.url}{PREFIX}/docs" in shown
        done = subprocess.run(
            [
                *(sys.executable, "-m", "app.cli", "export", "dpo"),
                *("--url", service.url + PREFIX, "--key", service.key),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr  # no labels, no rows
