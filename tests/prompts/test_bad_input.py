import base64
import json
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

from app.prompts.schemas import PromptsBody
from app.settings import MAX_EXTERNAL_ID_CHARACTERS, MAX_METADATA_BYTES, MAX_TEXT_CHARACTERS
from tests.prompts.sending import counts, embedded, fields, in_base64, prompt
from tests.support.api import ClientFactory

_PROBLEM = "application/problem+json"
_JSON = {"Content-Type": "application/json"}


def _with_response(**more: Any) -> dict[str, Any]:
    sent = prompt("a", "b")
    sent["responses"][1] |= more
    return sent


_REFUSED: dict[str, tuple[Any, list[str | int]]] = {
    "no response": ({"prompt": "x", "responses": []}, ["responses"]),
    "one response": (prompt("a"), ["responses"]),
    "one text": (prompt("a", " a\n"), ["responses"]),
    "65 responses": (prompt(*map(str, range(65))), ["responses"]),
    "two of one id": (
        {"prompt": "x", "responses": [{"id": "r", "text": "a"}, {"id": "r", "text": "b"}]},
        ["responses"],
    ),
    "two references": (
        {
            "prompt": "x",
            "responses": [{"text": "a", "reference": True}, {"text": "b", "reference": True}],
        },
        ["responses"],
    ),
    "a long text": (_with_response(text="x" * (MAX_TEXT_CHARACTERS + 1)), ["responses", 1, "text"]),
    "a long prompt": (prompt(content="x" * (MAX_TEXT_CHARACTERS + 1)), ["prompt"]),
    "an empty prompt": (prompt(content=" "), ["prompt"]),
    "no messages": (prompt(content=[]), ["prompt"]),
    "a chat that ends with the assistant": (
        prompt(content=[{"role": "assistant", "content": "x"}]),
        ["prompt"],
    ),
    "an unknown role": (
        prompt(content=[{"role": "critic", "content": "x"}]),
        ["prompt", 0, "role"],
    ),
    "a long chat": (
        prompt(content=[{"role": "user", "content": "x" * 60_000}] * 2),
        ["prompt"],
    ),
    "a prompt that is a number": (prompt(content=17), ["prompt"]),
    "an id that is a number": (prompt(id=17), ["id"]),
    "an empty id": (prompt(id=""), ["id"]),
    "a long id": (prompt(id="x" * 10_000), ["id"]),
    "a long response id": (
        _with_response(id="x" * (MAX_EXTERNAL_ID_CHARACTERS + 1)),
        ["responses", 1, "id"],
    ),
    "a text that is a number": (_with_response(text=17), ["responses", 1, "text"]),
    "a score that is text": (_with_response(score="1"), ["responses", 1, "score"]),
    "a typing error": ({**prompt(), "response": []}, ["response"]),
    "a typing error in a response": (_with_response(txt="b"), ["responses", 1, "txt"]),
    "large metadata": (prompt(metadata={"x": "y" * MAX_METADATA_BYTES}), ["metadata"]),
    "metadata that are a list": (prompt(metadata=[1]), ["metadata"]),
    "a zero vector": (embedded([0, 0], [0, 1]), ["responses", 0, "embedding"]),
    "an empty vector": (embedded([], [0, 1]), ["responses", 0, "embedding"]),
    "numbers as text": (embedded(["1", "0"], [0, 1]), ["responses", 0, "embedding"]),
    "booleans for numbers": (embedded([True, 0.5], [0, 1]), ["responses", 0, "embedding"]),
    "a nested vector": (embedded([[1, 0]], [0, 1]), ["responses", 0, "embedding"]),
    "null in a vector": (embedded([None, 1], [0, 1]), ["responses", 0, "embedding"]),
    "NaN in base64": (
        embedded(in_base64(float("nan"), 1), [0, 1]),
        ["responses", 0, "embedding"],
    ),
    "infinity in base64": (
        embedded(in_base64(float("inf"), 1), [0, 1]),
        ["responses", 0, "embedding"],
    ),
    "broken base64": (embedded("AAAA*AAA", [0, 1]), ["responses", 0, "embedding"]),
    "half a number in base64": (
        embedded(base64.b64encode(bytes(6)).decode(), [0, 1]),
        ["responses", 0, "embedding"],
    ),
    "a vector too long": (embedded([1.5] * 8193, [0, 1]), ["responses", 0, "embedding"]),
    "vectors of different lengths": (embedded([1, 0], [0, 1, 0]), ["responses"]),
    "vectors for some responses": (_with_response(embedding=[1, 0]), ["responses"]),
    "a prompt's vector alone": (prompt(embedding=[1, 0]), ["embedding"]),
    "a prompt's vector of another length": (
        embedded([1, 0], [0, 1], embedding=[1, 0, 0]),
        ["embedding"],
    ),
    "not an object": ([1, 2], []),
    "nothing": ({}, ["prompt"]),
}


_body: TypeAdapter[Any] = TypeAdapter(PromptsBody)


@pytest.mark.parametrize("case", _REFUSED)
def test_a_prompt_of_the_wrong_form_is_refused_by_field(case: str) -> None:
    body, place = _REFUSED[case]
    with pytest.raises(ValidationError) as one:
        _body.validate_python(body)
    assert tuple(place) in [error["loc"] for error in one.value.errors()]
    with pytest.raises(ValidationError) as many:
        _body.validate_python({"prompts": [prompt(id="good"), body]})
    assert ("prompts", 1, *place) in [error["loc"] for error in many.value.errors()]


async def test_a_refused_prompt_is_told_as_a_problem_and_nothing_is_stored(
    client: httpx.AsyncClient,
) -> None:
    for case, (body, place) in _REFUSED.items():
        answer = await client.post("/prompts", json={"prompts": [prompt(id="good"), body]})
        assert answer.status_code == 422, case
        assert answer.headers["content-type"] == _PROBLEM
        assert ["body", "prompts", 1, *place] in fields(answer), case
    assert (await counts(client))["prompts"] == 0


async def test_what_is_just_within_the_limits_is_taken(client: httpx.AsyncClient) -> None:
    longest = "🙂" * MAX_TEXT_CHARACTERS
    sent = prompt(*(f"{number}" for number in range(63)), longest, content=longest)
    sent["id"] = "é" * MAX_EXTERNAL_ID_CHARACTERS
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 201, answer.text


async def test_over_a_thousand_prompts_a_request_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/prompts", json={"prompts": [prompt(id="x")] * 1001})
    assert answer.status_code == 422
    assert fields(answer) == [["body", "prompts"]]


async def test_prompts_with_and_without_vectors_in_one_request_are_refused(
    client: httpx.AsyncClient,
) -> None:
    sent = {"prompts": [prompt(id="p"), embedded([1, 0], [0, 1], id="q")]}
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 422
    assert fields(answer) == [["body", "prompts", 1, "responses"]]


def _with_mark(place: str) -> str:
    """A prompt with an @ at that place, as JSON."""
    sent = prompt("a", "b", id="p", metadata={})
    if place in ("text", "id of a response", "embedding"):
        sent["responses"][0][place.removesuffix(" of a response")] = "@"
    elif place == "metadata":
        sent["metadata"] = {"deep": [{"x": ["@"]}]}
    elif place == "key":
        sent["metadata"] = {"deep": [{"@": 1}]}
    else:
        sent[place] = "@"
    return json.dumps(sent)


@pytest.mark.parametrize("character", ["\\u0000", "\\ud83d"])
async def test_a_character_that_cannot_be_stored_is_refused_wherever_it_stands(
    client: httpx.AsyncClient, character: str
) -> None:
    places = ["prompt", "id", "unknown", "text", "id of a response", "embedding", "metadata", "key"]
    for place in places:
        body = _with_mark(place).replace("@", character)
        answer = await client.post("/prompts", content=body, headers=_JSON)
        assert answer.status_code == 422, place
        assert answer.headers["content-type"] == _PROBLEM
    assert (await counts(client))["prompts"] == 0


async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    for body in (
        b"[" * 10_000,
        b'{"metadata": {"x":' + b"[" * 900 + b"]" * 900 + b'}, "prompt": "x", "responses": []}',
        b'{"prompt": "x", "metadata": {"x": NaN}}',
        b'{"prompt": "x", "metadata": {"x": 1e999}}',
        b"\xff\xfe",
        b"",
        b"null",
    ):
        answer = await client.post("/prompts", content=body, headers=_JSON)
        assert answer.status_code == 422, body[:40]
        assert answer.headers["content-type"] == _PROBLEM


@pytest.mark.parametrize("depth", [65, 300])
def test_metadata_nested_too_deeply_are_refused(depth: int) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = {"x": nested}
    with pytest.raises(ValidationError) as refusal:
        _body.validate_python(prompt(metadata=nested))
    assert [error["loc"] for error in refusal.value.errors()] == [("metadata",)]


async def test_the_deepest_metadata_come_back(client: httpx.AsyncClient) -> None:
    nested: Any = 1
    for _ in range(64):
        nested = {"x": nested}
    taken = (await client.post("/prompts", json=prompt(metadata=nested))).json()["prompts"][0]
    assert (await client.get(f"/prompts/{taken['id']}")).json()["metadata"] == nested


async def test_a_body_of_33_mib_is_too_large(client: httpx.AsyncClient) -> None:
    body = b'{"prompt": "' + b"x" * (33 * 1024 * 1024) + b'"}'
    answer = await client.post("/prompts", content=body, headers=_JSON)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == _PROBLEM


async def test_another_content_type_is_refused(client: httpx.AsyncClient) -> None:
    for path in ("/prompts", "/prompts/import"):
        answer = await client.post(path, content=b"x", headers={"Content-Type": "text/plain"})
        assert answer.status_code == 415
        assert answer.headers["content-type"] == _PROBLEM


async def test_only_an_admins_key_is_let_in(
    anonymous: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    annotator = await annotator_client("ana")
    one = "/prompts/prm_0000000000001"
    for method, path in (
        ("POST", "/prompts"),
        ("POST", "/prompts/import"),
        ("POST", f"{one}/responses"),
        ("GET", "/prompts"),
        ("GET", one),
        ("GET", f"{one}/similar"),
        ("DELETE", one),
    ):
        body = prompt() if method == "POST" else None
        assert (await anonymous.request(method, path, json=body)).status_code == 401
        assert (await annotator.request(method, path, json=body)).status_code == 403


async def test_an_unknown_prompt_is_not_found(client: httpx.AsyncClient) -> None:
    added = {"responses": [{"text": "x"}]}
    for name in ("prm_0000000000009", "rsp_0000000000001", "my-prompt", "%F0%9F"):
        for answer in (
            await client.get(f"/prompts/{name}"),
            await client.get(f"/prompts/{name}/similar"),
            await client.delete(f"/prompts/{name}"),
            await client.post(f"/prompts/{name}/responses", json=added),
        ):
            assert answer.status_code == 404
            assert answer.headers["content-type"] == _PROBLEM


async def test_a_list_asked_for_wrongly_is_refused(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=1001", "limit=ten", "cursor=x", "status=new", "project=%00"):
        assert (await client.get(f"/prompts?{query}")).status_code == 422, query


async def test_errors_never_repeat_the_input(client: httpx.AsyncClient) -> None:
    sent = prompt("secret-text", id="secret-id" * 100, content="secret-prompt")
    sent["responses"][0] |= {"score": "secret-score", "embedding": "secret-vector"}
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 422
    assert "secret" not in answer.text
