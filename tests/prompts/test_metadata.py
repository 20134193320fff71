"""Adding to the metadata of stored responses."""

import asyncio
from typing import Any

import httpx
import pytest

from app.settings import MAX_METADATA_BYTES
from tests.prompts.sending import fields

Json = dict[str, Any]


async def post(client: httpx.AsyncClient) -> Json:
    """A prompt with a response of the caller's id and metadata, and one without either."""
    responses = [
        {"id": "a", "text": "good", "score": 2.0, "metadata": {"source": "wiki", "logprob": -1}},
        {"text": "bad"},
    ]
    sent = {"prompt": "Explain DPO.", "responses": responses}
    public_id = (await client.post("/prompts", json=sent)).json()["prompts"][0]["id"]
    return await look(client, public_id)


async def look(client: httpx.AsyncClient, public_id: str) -> Json:
    found: Json = (await client.get(f"/prompts/{public_id}")).json()
    return found


async def patch(client: httpx.AsyncClient, prompt: Json, *responses: Any) -> httpx.Response:
    body = {"responses": list(responses)}
    return await client.patch(f"/prompts/{prompt['id']}/responses", json=body)


async def test_keys_are_added_and_the_rest_stays(client: httpx.AsyncClient) -> None:
    prompt = await post(client)
    sent = [
        {"id": "a", "metadata": {"logprob": -2.5, "deep": {"x": [None, "é"]}}},
        {"id": prompt["responses"][1]["id"], "metadata": {"logprob": -3}},
    ]
    answer = await patch(client, prompt, *sent)
    assert (answer.status_code, answer.json()) == (200, {"updated": 2})
    first, second = (await look(client, prompt["id"]))["responses"]
    assert first["metadata"] == {"source": "wiki", "logprob": -2.5, "deep": {"x": [None, "é"]}}
    assert (first["score"], first["text"]) == (2.0, "good")
    assert second["metadata"] == {"logprob": -3}
    assert (await patch(client, prompt, *sent)).json() == {"updated": 0}


async def test_the_prompt_as_sent_is_still_the_same(client: httpx.AsyncClient) -> None:
    prompt = await post(client)
    await patch(client, prompt, {"id": "a", "metadata": {"logprob": -2}})
    sent = {"prompt": "Explain DPO.", "responses": [{"id": "a", "text": "good"}, {"text": "bad"}]}
    assert (await client.post("/prompts", json=sent)).json()["unchanged"] == 1
    first = (await look(client, prompt["id"]))["responses"][0]
    assert first["metadata"] == {"source": "wiki", "logprob": -2}


_REFUSED: dict[str, tuple[list[Any], list[list[str | int]]]] = {
    "an unknown id": (
        [{"id": "a", "metadata": {"x": 1}}, {"id": "c", "metadata": {"x": 1}}],
        [["body", "responses", 1, "id"]],
    ),
    "one twice": (
        [{"id": "a", "metadata": {"x": 1}}, {"id": "a", "metadata": {"x": 2}}],
        [["body", "responses", 1, "id"]],
    ),
    "too large together": (
        [{"id": "a", "metadata": {"x": "y" * (MAX_METADATA_BYTES - 20)}}],
        [["body", "responses", 0, "metadata"]],
    ),
    "no metadata": ([{"id": "a"}], [["body", "responses", 0, "metadata"]]),
    "a list": ([{"id": "a", "metadata": [1]}], [["body", "responses", 0, "metadata"]]),
    "a text": ([{"id": "a", "metadata": {}, "text": "x"}], [["body", "responses", 0, "text"]]),
    "nothing": ([], [["body", "responses"]]),
}


@pytest.mark.parametrize("name", _REFUSED)
async def test_bad_input_changes_nothing(client: httpx.AsyncClient, name: str) -> None:
    prompt = await post(client)
    responses, at_fault = _REFUSED[name]
    answer = await patch(client, prompt, *responses)
    assert answer.status_code == 422, answer.text
    assert fields(answer) == at_fault
    assert await look(client, prompt["id"]) == prompt


async def test_an_unknown_prompt(client: httpx.AsyncClient) -> None:
    answer = await patch(client, {"id": "prm_000000000002a"}, {"id": "a", "metadata": {}})
    assert answer.status_code == 404


async def test_keys_that_are_added_at_once_are_all_kept(client: httpx.AsyncClient) -> None:
    prompt = await post(client)
    await asyncio.gather(
        *(patch(client, prompt, {"id": "a", "metadata": {f"key{n}": n}}) for n in range(8))
    )
    first = (await look(client, prompt["id"]))["responses"][0]
    assert first["metadata"].keys() == {"source", "logprob"} | {f"key{n}" for n in range(8)}
