import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.errors import Unavailable
from app.prompts import similar
from app.prompts.similar import find_similar
from app.storage.ids import IdKind, decode
from app.storage.notifications import Channel, Listener, notify
from tests.prompts.sending import embedded, prompt

Sessions = async_sessionmaker[AsyncSession]


@asynccontextmanager
async def _planner(
    database_url: str, sessions: Sessions, answers: Callable[[Any], list[Any]]
) -> AsyncIterator[None]:
    """Somebody who answers, as a planner does."""

    async def serve(next_question: Callable[[float], Awaitable[Any]]) -> None:
        while True:
            asked = await next_question(60)
            question = json.loads(asked.payload)
            for answer in answers(question):
                async with sessions.begin() as session:
                    await notify(session, Channel.SIMILAR_ANSWERED, json.dumps(answer))

    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.SIMILAR_ASKED) as questions:
            task = asyncio.create_task(serve(questions.get))
            yield
            task.cancel()


async def _post(client: httpx.AsyncClient, count: int) -> list[str]:
    sent = [
        embedded([1, 0], [0, 1], id=f"p{number}") | {"prompt": f"prompt {number}"}
        for number in range(count)
    ]
    answer = (await client.post("/prompts", json={"prompts": sent})).json()
    return [each["id"] for each in answer["prompts"]]


async def test_the_planners_answer_comes_back_with_the_prompts(
    client: httpx.AsyncClient, database_url: str, sessions: Sessions
) -> None:
    first, second, third = await _post(client, 3)
    numbers = {name: decode(IdKind.PROMPT, name) for name in (first, second, third)}
    asked: list[Any] = []

    def answers(question: Any) -> list[Any]:
        asked.append(question)
        near = [[numbers[third], 0.75], [numbers[second], 0.5], [10**9, 0.25]]
        return [
            {"request": "another", "similar": []},
            {"request": question["request"], "similar": near},
        ]

    async with _planner(database_url, sessions, answers):
        answer = await client.get(f"/prompts/{first}/similar", params={"limit": 3})
    assert answer.status_code == 200
    # The last is not there any more.
    assert answer.json()["similar"] == [
        {"id": third, "similarity": 0.75, "prompt": "prompt 2"},
        {"id": second, "similarity": 0.5, "prompt": "prompt 1"},
    ]
    assert [(each["prompt"], each["limit"]) for each in asked] == [(numbers[first], 3)]


async def test_without_a_planner_the_answer_is_unavailable(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "_ANSWER_SECONDS", 0.05)
    (name,) = await _post(client, 1)
    state = app.state
    with pytest.raises(Unavailable):
        await find_similar(state.sessions, state.listener, name, 5)


async def test_waiting_for_the_planner_holds_no_connection(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar, "_ANSWER_SECONDS", 3600)
    (name,) = await _post(client, 1)
    with app.state.listener.subscribe(Channel.SIMILAR_ASKED) as questions:
        state = app.state
        search = find_similar(state.sessions, state.listener, name, 5)
        waits = asyncio.create_task(search)
        assert await questions.get(10) is not None
        # The question is out with the commit, a moment before the connection is back.
        while state.engine.pool.checkedout():  # noqa: ASYNC110 - a pool announces nothing
            await asyncio.sleep(0.01)
        assert not waits.done()
        waits.cancel()


async def test_a_pending_prompt_has_no_similar_ones_yet(client: httpx.AsyncClient) -> None:
    name = (await client.post("/prompts", json=prompt())).json()["prompts"][0]["id"]
    assert (await client.get(f"/prompts/{name}/similar")).status_code == 409


async def test_a_limit_out_of_range_is_refused(client: httpx.AsyncClient) -> None:
    (name,) = await _post(client, 1)
    for limit in ("0", "101", "ten"):
        answer = await client.get(f"/prompts/{name}/similar", params={"limit": limit})
        assert answer.status_code == 422
