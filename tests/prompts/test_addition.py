import asyncio
from typing import Any

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.storage.tables import ProjectIntake, Prompt, Response
from tests.prompts.sending import counts, embedded, fields, prompt

Sessions = async_sessionmaker[AsyncSession]


async def _post(client: httpx.AsyncClient, sent: Any) -> str:
    public_id: str = (await client.post("/prompts", json=sent)).json()["prompts"][0]["id"]
    return public_id


async def _add(client: httpx.AsyncClient, public_id: str, *responses: Any) -> httpx.Response:
    body = {"responses": [{"text": each} if isinstance(each, str) else each for each in responses]}
    return await client.post(f"/prompts/{public_id}/responses", json=body)


async def test_added_responses_follow_those_that_were_there(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    public_id = await _post(client, prompt("a", "b"))
    answer = await _add(client, public_id, {"id": "c", "text": "c"}, " a", "", "d")
    assert answer.status_code == 201, answer.text
    added = answer.json()
    assert (added["created"], added["unchanged"]) == (2, 0)
    assert [each["reason"] for each in added["dropped"]] == ["empty", "duplicate"]
    found = (await client.get(f"/prompts/{public_id}")).json()["responses"]
    assert [each["text"] for each in found] == ["a", "b", "c", "d"]
    assert [each["id"] for each in found[2:]] == [each["id"] for each in added["responses"]]
    async with sessions() as session:
        assert await session.scalar(select(Prompt.pairs_total)) == 6


async def test_a_ready_prompt_is_pending_again_and_counted_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    public_id = await _post(client, prompt("a", "b"))
    async with sessions.begin() as session:  # as the embedder leaves it
        (await session.scalars(select(Prompt))).one().status = "ready"
        (await session.scalars(select(ProjectIntake))).one().pending = 0
    assert (await _add(client, public_id, "c")).json()["status"] == "pending"
    assert (await _add(client, public_id, "d")).json()["status"] == "pending"
    assert (await counts(client))["pending_prompts"] == 1


async def test_the_same_responses_again_change_nothing(client: httpx.AsyncClient) -> None:
    public_id = await _post(client, prompt("a", "b"))
    first = (await _add(client, public_id, {"id": "c", "text": "c"}, "d")).json()
    again = (await _add(client, public_id, {"id": "c", "text": "c", "score": 2}, "d")).json()
    assert (again["created"], again["unchanged"]) == (0, 1)
    assert again["responses"] == first["responses"][:1]
    assert again["dropped"] == [{"external_id": None, "reason": "duplicate"}]
    found = (await client.get(f"/prompts/{public_id}")).json()["responses"]
    assert [each["score"] for each in found] == [None, None, 2.0, None]


async def test_the_prompt_as_first_sent_is_still_the_same(client: httpx.AsyncClient) -> None:
    for name in ({"id": "p"}, {}):
        public_id = await _post(client, prompt("a", "b", **name))
        await _add(client, public_id, "c", "d")
        again = (await client.post("/prompts", json=prompt("a", "b", **name))).json()
        assert (again["unchanged"], again["prompts"][0]["id"]) == (1, public_id)
        assert len(again["prompts"][0]["responses"]) == 2


async def test_a_named_prompt_may_be_sent_again_with_what_was_added(
    client: httpx.AsyncClient,
) -> None:
    public_id = await _post(client, prompt("a", "b", "c", id="p"))
    await _add(client, public_id, "d")
    whole = await client.post("/prompts", json=prompt("d", "c", "b", "a", id="p"))
    assert whole.json()["unchanged"] == 1
    fewer = await client.post("/prompts", json=prompt("a", "b", id="p"))
    assert fewer.status_code == 409


async def test_a_response_id_with_another_text_is_a_conflict(client: httpx.AsyncClient) -> None:
    sent = {"prompt": "x", "responses": [{"id": "a", "text": "a"}, {"id": "b", "text": "b"}]}
    public_id = await _post(client, sent)
    for text in ("other", "a ", "b"):
        answer = await _add(client, public_id, {"id": "a", "text": text})
        assert answer.status_code == 409
        assert fields(answer) == [["body", "responses"]]


async def test_a_prompt_never_has_more_than_64_responses_or_two_references(
    client: httpx.AsyncClient,
) -> None:
    public_id = await _post(client, prompt(*(f"r{number}" for number in range(63))))
    reference = {"text": "x", "reference": True}
    assert (await _add(client, public_id, "one", "two")).status_code == 409
    assert (await _add(client, public_id, reference)).status_code == 201
    assert (await _add(client, public_id, "one")).status_code == 409
    other = await _post(client, prompt("a", "b"))
    assert (await _add(client, other, {"text": "c", "reference": True})).status_code == 201
    assert (await _add(client, other, {"text": "d", "reference": True})).status_code == 409


async def test_added_responses_need_embeddings_where_the_others_have_them(
    client: httpx.AsyncClient,
) -> None:
    public_id = await _post(client, embedded([1, 0], [0, 1]))
    assert (await _add(client, public_id, "bare")).status_code == 409
    longer = {"text": "c", "embedding": [1, 0, 0]}
    assert (await _add(client, public_id, longer)).status_code == 409
    added = await _add(client, public_id, {"text": "c", "embedding": [1, 1]})
    assert added.json()["status"] == "ready"
    assert (await counts(client))["pending_prompts"] == 0


async def test_no_response_is_refused(client: httpx.AsyncClient) -> None:
    public_id = await _post(client, prompt("a", "b"))
    answer = await _add(client, public_id)
    assert answer.status_code == 422
    assert fields(answer) == [["body", "responses"]]


async def test_responses_added_at_once_all_get_places_of_their_own(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    public_id = await _post(client, prompt("a", "b"))
    bodies = [(f"x{number}", "shared") for number in range(6)]
    answers = await asyncio.gather(*(_add(client, public_id, *body) for body in bodies))
    assert {answer.status_code for answer in answers} == {201}
    async with sessions() as session:
        positions = await session.scalars(select(Response.position).order_by(Response.position))
        assert positions.all() == list(range(9))
        assert await session.scalar(select(Prompt.pairs_total)) == 36
