"""`GET /map`: prompts on a plane, with what is known of each."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.embedding.unit import normalise, to_bytes
from app.insights import prompt_map
from app.prompts.question import QUESTION_VERSION
from tests.annotation.conftest import World
from tests.insights.conftest import give_label
from tests.support.api import ClientFactory

VECTORS = [[1.0, 0.0, 0.1], [0.9, 0.1, 0.0], [-1.0, 0.0, 0.1], [0.0, 1.0, 0.0]]


@pytest.fixture
async def drawn(client: httpx.AsyncClient, world: World) -> list[int]:
    """Four prompts with vectors of a caller's own, the last one of exploration."""
    await world.set_project(embedding_source="caller", embedding_dimensions=3, exploration=0)
    await world.add_pairs(3)
    await world.add_pairs(1, arm="exploration", start=3)
    async with world.sessions.begin() as session:
        numbers = list(await session.scalars(text("SELECT id FROM prompts ORDER BY id")))
        for number, vector in zip(numbers, VECTORS, strict=True):
            await session.execute(
                text(
                    "INSERT INTO prompt_embeddings (prompt_id, project_id, vector)"
                    " SELECT id, project_id, :vector FROM prompts WHERE id = :number"
                ),
                {"number": number, "vector": to_bytes(normalise(vector))},
            )
    return numbers


async def _map(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/map")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_near_prompts_are_near_and_know_their_labels(
    client: httpx.AsyncClient, drawn: list[int]
) -> None:
    await give_label(client, "left")
    found = await _map(client)
    assert len({len(found[name]) for name in found if isinstance(found[name], list)}) == 1
    assert found["asked"] == [
        *(f"question strategy {number}" for number in range(3)),
        "question exploration 3",
    ]
    places = list(zip(found["x"], found["y"], strict=True))
    near = abs(places[0][0] - places[1][0])
    assert near < abs(places[0][0] - places[2][0])
    assert found["labels"] == [1, 0, 0, 0]
    assert found["exploration"] == [False, False, False, True]
    assert found["similarity"] == [0.3] * 4
    assert found["disputed"] == [False] * 4
    assert found["prompts"] == 4
    assert 0.5 < found["share"] <= 1


async def test_questions_have_vectors_of_their_own(
    client: httpx.AsyncClient, world: World, drawn: list[int]
) -> None:
    await world.set_project(embedding_source="service")
    assert (await _map(client))["ids"] == []  # none is embedded yet
    async with world.sessions.begin() as session:
        await session.execute(
            text(
                "INSERT INTO question_embeddings (prompt_id, project_id, version, vector)"
                " SELECT prompt_id, project_id, :version, vector FROM prompt_embeddings"
            ),
            {"version": QUESTION_VERSION},
        )
    assert len((await _map(client))["ids"]) == 4


async def test_a_chat_shows_its_last_turn_and_nothing_is_too_long(
    client: httpx.AsyncClient, world: World, drawn: list[int]
) -> None:
    turns = '[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "%s"}]'
    turns %= "é" * 99
    async with world.sessions.begin() as session:
        await session.execute(
            text("UPDATE prompts SET content = CAST(:turns AS jsonb)"),
            {"turns": turns},
        )
    assert set((await _map(client))["asked"]) == {"é" * 80}


async def test_of_very_many_an_even_part_is_shown(
    client: httpx.AsyncClient, drawn: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_map, "MAX_POINTS", 2)
    found = await _map(client)
    assert (len(found["ids"]), found["prompts"]) == (2, 4)


async def test_without_prompts_there_is_nothing_to_draw(
    client: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    found = await _map(client)
    assert (found["ids"], found["share"], found["prompts"]) == ([], None, 0)
    assert (await client.get("/map?project=nowhere")).status_code == 404
    ana = await annotator_client("ana")
    assert (await ana.get("/map")).status_code == 403
