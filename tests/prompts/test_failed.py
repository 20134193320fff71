"""Prompts that the embedding model fails on."""

from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import select

from app.annotation.verify import find_differences
from app.embedder.process import Embedder
from app.planner.process import Planner
from app.planner.queries.locks import ProjectLocks
from app.prompts.queries import reading
from app.settings import Settings
from app.storage.engine import raw_dsn
from app.storage.notifications import Channel, Listener
from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.annotation.plans import nodes, plan_of, recorded
from tests.embedder.world import LetterEncoder
from tests.prompts.sending import counts, prompt

BAD = "a text that the model cannot take"


@pytest.fixture
def encoder() -> LetterEncoder:
    made = LetterEncoder()
    made.fails_on = lambda text: text == BAD
    return made


@pytest.fixture
def embedder(encoder: LetterEncoder, sessions: Sessions) -> Embedder:
    return Embedder(encoder, sessions, 256)


async def _post(client: httpx.AsyncClient, *texts: str, **more: Any) -> str:
    taken = await client.post("/prompts", json=prompt(*texts, **more))
    public_id: str = taken.json()["prompts"][0]["id"]
    return public_id


async def _status(client: httpx.AsyncClient, public_id: str) -> str:
    status: str = (await client.get(f"/prompts/{public_id}")).json()["status"]
    return status


async def _plan(sessions: Sessions, settings: Settings) -> None:
    """Let a planner do all that there is to do."""
    locks = ProjectLocks(str(settings.database_url))
    planner = Planner(sessions, locks, settings.data_dir)
    while (await planner.take_turns())[1]:
        pass
    await planner.close()


async def _no_count_differs(sessions: Sessions) -> None:
    async with sessions() as session:
        assert await find_differences(session) == []


async def test_a_failed_prompt_is_told_counted_and_listed(
    client: httpx.AsyncClient, embedder: Embedder, sessions: Sessions
) -> None:
    bad = await _post(client, "a", BAD)
    good = await _post(client, "a", "b")
    await embedder.embed_batch()

    found = (await client.get(f"/prompts/{bad}")).json()
    assert found["status"] == "failed"
    assert found["failure"].endswith("(RuntimeError)")
    assert found["responses"][1]["id"] in found["failure"]
    assert (await client.get(f"/prompts/{good}")).json()["failure"] is None
    (listed,) = (await client.get("/prompts", params={"status": "failed"})).json()["prompts"]
    assert (listed["id"], listed["failure"]) == (bad, found["failure"])
    held = await counts(client)
    assert (held["prompts"], held["pending_prompts"], held["failed_prompts"]) == (2, 0, 1)
    again = (await client.post("/prompts", json=prompt("a", BAD))).json()
    assert (again["unchanged"], again["prompts"][0]["status"]) == (1, "failed")
    assert (await client.get(f"/prompts/{bad}/similar")).status_code == 409
    await _no_count_differs(sessions)


async def test_a_project_with_nothing_but_failed_prompts_left_is_complete(
    client: httpx.AsyncClient, embedder: Embedder, sessions: Sessions, settings: Settings
) -> None:
    await client.patch("/projects/default", json={"exploration": 0})
    await _post(client, "a", BAD)
    assert (await client.get("/next-pairs")).json()["status"] == "waiting"
    await embedder.embed_batch()
    await _plan(sessions, settings)

    claim = (await client.get("/next-pairs")).json()

    assert (claim["pairs"], claim["status"], claim["pending_prompts"]) == ([], "complete", 0)
    answer = await client.get("/exports/dpo")
    assert answer.headers["X-Pending-Prompts"] == "0"


async def test_a_failed_prompt_is_tried_again_on_request(
    client: httpx.AsyncClient,
    embedder: Embedder,
    encoder: LetterEncoder,
    sessions: Sessions,
    database_url: str,
) -> None:
    public_id = await _post(client, "a", BAD, id="p")
    await embedder.embed_batch()
    encoder.fails_on = lambda _: False
    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.TEXTS_PENDING) as announced:
            answer = await client.post(f"/prompts/{public_id}/retry")
            assert await announced.get(30) is not None

    assert answer.status_code == 200
    assert answer.json() == {"id": public_id, "external_id": "p", "status": "pending"}
    held = await counts(client)
    assert (held["pending_prompts"], held["failed_prompts"]) == (1, 0)
    await _no_count_differs(sessions)
    assert (await client.post(f"/prompts/{public_id}/retry")).status_code == 409
    await embedder.embed_batch()
    assert await _status(client, public_id) == "ready"
    ready = await client.post(f"/prompts/{public_id}/retry")
    assert ready.status_code == 409
    assert ready.json()["type"].endswith("/prompt-not-failed")
    await _no_count_differs(sessions)


async def test_a_prompt_that_fails_again_is_failed_again(
    client: httpx.AsyncClient, embedder: Embedder, sessions: Sessions
) -> None:
    public_id = await _post(client, "a", BAD)
    for _ in range(2):
        assert await embedder.embed_batch() == 1
        assert await _status(client, public_id) == "failed"
        await _no_count_differs(sessions)
        await client.post(f"/prompts/{public_id}/retry")


async def test_only_an_admin_may_try_again_and_only_what_there_is(
    client: httpx.AsyncClient, annotator_client: Any
) -> None:
    public_id = await _post(client, "a", "b")
    ana = await annotator_client("ana")
    assert (await ana.post(f"/prompts/{public_id}/retry")).status_code == 403
    assert (await client.post("/prompts/prm_0000000000099/retry")).status_code == 404
    assert (await client.post("/prompts/nothing/retry")).status_code == 404


async def test_another_response_tries_a_failed_prompt_again(
    client: httpx.AsyncClient, embedder: Embedder, encoder: LetterEncoder, sessions: Sessions
) -> None:
    public_id = await _post(client, "a", BAD)
    await embedder.embed_batch()
    url = f"/prompts/{public_id}/responses"
    nothing_new = await client.post(url, json={"responses": [{"text": BAD}]})
    assert nothing_new.json()["status"] == "failed"
    encoder.fails_on = lambda _: False

    added = await client.post(url, json={"responses": [{"text": "c"}]})

    assert added.json()["status"] == "pending"
    await _no_count_differs(sessions)
    await embedder.embed_batch()
    assert await _status(client, public_id) == "ready"
    await _no_count_differs(sessions)


async def test_an_erased_failed_prompt_is_no_longer_counted(
    client: httpx.AsyncClient, embedder: Embedder, sessions: Sessions
) -> None:
    public_id = await _post(client, "a", BAD)
    await embedder.embed_batch()
    assert (await client.delete(f"/prompts/{public_id}")).status_code == 204
    assert (await counts(client))["failed_prompts"] == 0
    await _no_count_differs(sessions)


@pytest.mark.parametrize("planned_first", [True, False])
async def test_pairs_of_texts_that_were_embedded_before_stay_in_the_plan(
    client: httpx.AsyncClient,
    embedder: Embedder,
    sessions: Sessions,
    settings: Settings,
    planned_first: bool,
) -> None:
    """A prompt that has its vectors may arrive before or after a text added to it fails."""
    await client.patch("/projects/default", json={"exploration": 0, "pairs_per_prompt": 1})
    public_id = await _post(client, "a", "b")
    await embedder.embed_batch()
    if planned_first:
        await _plan(sessions, settings)
    url = f"/prompts/{public_id}/responses"
    await client.post(url, json={"responses": [{"text": BAD}]})
    await embedder.embed_batch()
    assert await _status(client, public_id) == "failed"
    await _plan(sessions, settings)

    await _no_count_differs(sessions)
    claim = (await client.get("/next-pairs")).json()
    assert len(claim["pairs"]) == int(planned_first)
    assert claim["status"] == ("ok" if planned_first else "complete")
    await client.post(f"/prompts/{public_id}/retry")
    await _no_count_differs(sessions)


async def test_failed_prompts_are_found_among_many_by_their_index(
    client: httpx.AsyncClient,
    embedder: Embedder,
    sessions: Sessions,
    database_url: str,
) -> None:
    many = [prompt(id=f"p{number}") for number in range(999)]
    await client.post("/prompts", json={"prompts": [*many, prompt("a", BAD)]})
    while await embedder.embed_batch():
        pass
    async with sessions() as session:
        project_id = await session.scalar(select(Project.id))
        assert project_id is not None
        async with recorded(sessions.kw["bind"]) as asked:
            (found,) = await reading.list_prompts(
                session, project_id, status="failed", after_id=0, limit=100
            )
    assert found.status == "failed"
    with psycopg.connect(raw_dsn(database_url), autocommit=True) as connection:
        connection.execute("ANALYZE prompts")
        plan = plan_of(connection, asked[0])
    assert "ix_prompts_failed" in {node.get("Index Name") for node in nodes(plan)}
