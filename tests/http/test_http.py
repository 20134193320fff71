"""What holds for every call: strict bodies, problem+json, request ids, health."""

import json
import subprocess
import sys
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.formats.json import parse_json
from tests.annotation.conftest import Sessions

PROBLEM = "application/problem+json"


async def send(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(
        "/projects", content=body, headers={"content-type": "application/json", **headers}
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 10_000,
        b'{"name": "a", "guidelines": NaN}',
        b'{"name": "\xff"}',
        b'{"name": "a", "guidelines": "\\ud800"}',
        b'{"name": "a", "guidelines": "x\\u0000y"}',
        b'{"name": "a", "cost": {"\\u0000": 1}}',
        b"[]",
        b'"name"',
        b"null",
        b"7",
    ],
)
async def test_a_body_that_is_not_strict_json_of_the_right_form_is_a_422(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await send(client, body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert {"type", "title", "status", "detail"} <= answer.json().keys()


async def test_an_error_names_the_place_of_a_nul_and_never_echoes_input(
    client: httpx.AsyncClient,
) -> None:
    answer = await send(client, b'{"name": "a", "guidelines": "secret\\u0000text"}')
    assert "guidelines" in answer.json()["detail"]
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_another_content_type_is_a_415(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await send(client, b'{"name": "a"}', **{"content-type": content_type})
    assert answer.status_code == 415
    assert answer.headers["content-type"] == PROBLEM


async def test_a_body_of_33_mib_is_a_413(client: httpx.AsyncClient) -> None:
    answer = await send(client, b" " * (33 * 1024 * 1024))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == PROBLEM


async def test_a_body_is_refused_before_it_is_read_whole(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * (1024 * 1024)

    answer = await client.post(
        "/projects", content=endless(), headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert sent < 50


@pytest.mark.parametrize("path", ["/projects/a%00b", "/labels?annotator=%00", "/next-pairs?x=%00"])
async def test_a_nul_in_path_or_query_is_a_422(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM


@pytest.mark.parametrize(
    "path",
    [
        "/projects/%ED%A0%80",
        "/labels?annotator=%ED%A0%80",
        "/next-pairs?project=%ED%A0%80%F0%9F%98%80",
        "/labels/lbl_%F0%9F%98%80",
    ],
)
async def test_surrogates_and_emoji_in_path_or_query_are_no_server_error(
    client: httpx.AsyncClient, path: str
) -> None:
    assert (await client.get(path)).status_code in (200, 404, 422)


async def test_an_unknown_path_or_method_answers_in_problem_json(
    client: httpx.AsyncClient,
) -> None:
    for answer, status in (
        (await client.get("/nowhere"), 404),
        (await client.put("/projects"), 405),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == PROBLEM


async def test_every_answer_carries_a_request_id_the_callers_own_if_it_gave_one(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/healthz")).headers["x-request-id"]
    given = await client.get("/healthz", headers={"x-request-id": "job-7"})
    assert given.headers["x-request-id"] == "job-7"


async def test_readyz_says_what_the_database_lacks(
    anonymous: httpx.AsyncClient, sessions: Sessions
) -> None:
    assert (await anonymous.get("/readyz")).status_code == 200
    async with sessions.begin() as session:
        version = (await session.scalars(text("SELECT version_num FROM alembic_version"))).one()
        await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        answer = await anonymous.get("/readyz")
    finally:
        async with sessions.begin() as session:
            await session.execute(
                text("UPDATE alembic_version SET version_num = :version"), {"version": version}
            )
    assert answer.status_code == 503
    assert "0000" in answer.json()["detail"]


async def test_the_openapi_document_gives_every_operation_a_summary_and_its_errors(
    anonymous: httpx.AsyncClient,
) -> None:
    document = (await anonymous.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            place = f"{method} {path}"
            assert operation["summary"], place
            if place not in ("get /healthz", "get /readyz", "get /session"):
                assert "401" in operation["responses"], place
            if "requestBody" in operation and path != "/prompts/import":  # of any length
                assert {"413", "415", "422"} <= operation["responses"].keys(), place


@pytest.mark.slow
def test_the_api_process_holds_neither_torch_nor_faiss() -> None:
    code = (
        "import sys, app.main; "
        "print([m for m in ('torch', 'sentence_transformers', 'faiss') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numbers_of_any_size_are_parsed_as_json_has_them() -> None:
    document = {"a": [1, 2.5, -(2**63), "\U0001f600", "\u2028"]}
    assert document == parse_json(json.dumps(document).encode())
