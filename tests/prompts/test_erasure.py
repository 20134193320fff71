from decimal import Decimal

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.storage.ids import IdKind, decode
from app.storage.notifications import Channel, Listener
from app.storage.tables import (
    Annotator,
    Assignment,
    ErasedPrompt,
    Label,
    LedgerEntry,
    Pair,
    Project,
    ProjectIntake,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
    Response,
    ResponseEmbedding,
)
from tests.prompts.sending import as_lines, counts, embedded, import_lines, prompt

Sessions = async_sessionmaker[AsyncSession]


async def _post(client: httpx.AsyncClient, sent: object) -> str:
    public_id: str = (await client.post("/prompts", json=sent)).json()["prompts"][0]["id"]
    return public_id


async def test_nothing_of_a_deleted_prompt_stays_but_its_number(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    public_id = await _post(client, embedded([1, 0], [0, 1], id="p"))
    other = await _post(client, embedded([1, 0], [0, 1], id="q"))
    await _add_questions(sessions)
    assert (await client.delete(f"/prompts/{public_id}")).status_code == 204
    assert (await client.get(f"/prompts/{public_id}")).status_code == 404
    assert (await client.delete(f"/prompts/{public_id}")).status_code == 404
    assert (await client.get(f"/prompts/{other}")).status_code == 200
    async with sessions() as session:
        for table, left in (
            (Prompt.id, 1),
            (Response.id, 2),
            (ResponseEmbedding.response_id, 2),
            (PromptEmbedding.prompt_id, 1),
            (QuestionEmbedding.prompt_id, 1),
        ):
            assert await session.scalar(select(func.count(table))) == left
        erased = await session.scalar(select(ErasedPrompt.prompt_id))
        assert erased == decode(IdKind.PROMPT, public_id)
        intake = (await session.scalars(select(ProjectIntake))).one()
    assert (intake.prompts, intake.pending, intake.unplanned) == (1, 0, 1)


async def _add_questions(sessions: Sessions) -> None:
    """Vectors of what the prompts ask, as the embedder stores them."""
    async with sessions.begin() as session:
        session.add_all(
            QuestionEmbedding(prompt_id=one.id, project_id=one.project_id, version=1, vector=b"")
            for one in await session.scalars(select(Prompt))
        )


async def test_a_deleted_pending_prompt_is_not_waited_for(client: httpx.AsyncClient) -> None:
    public_id = await _post(client, prompt())
    await client.delete(f"/prompts/{public_id}")
    found = await counts(client)
    assert (found["prompts"], found["pending_prompts"]) == (0, 0)


async def test_the_id_of_a_deleted_prompt_is_free_again(client: httpx.AsyncClient) -> None:
    public_id = await _post(client, prompt("a", "b", id="p"))
    await client.delete(f"/prompts/{public_id}")
    answer = await client.post("/prompts", json=prompt("c", "d", id="p"))
    assert answer.json()["created"] == 1


async def test_deletion_gives_reservations_back_and_keeps_what_was_spent(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    public_id = await _post(client, prompt("a", "b", "c"))
    await _hold_and_answer(sessions)
    assert (await client.delete(f"/prompts/{public_id}")).status_code == 204
    async with sessions() as session:
        project = (await session.scalars(select(Project))).one()
        entries = (await session.scalars(select(LedgerEntry).order_by(LedgerEntry.id))).all()
        assert await session.scalar(select(func.count(Pair.id))) == 0
        assert await session.scalar(select(func.count(Assignment.id))) == 0
        assert await session.scalar(select(func.count(Label.id))) == 0
    assert (project.spent, project.reserved) == (Decimal(1), Decimal(0))
    assert (project.counted_labels, project.surplus_labels) == (0, 0)
    assert [each.kind for each in entries] == ["settle", "reserve", "release"]
    assert sum((each.reserved for each in entries), Decimal(0)) == project.reserved
    assert sum((each.spent for each in entries), Decimal(0)) == project.spent


async def _hold_and_answer(sessions: Sessions) -> None:
    """As the annotation room leaves it: of one pair a label and a surplus one, another held."""
    async with sessions.begin() as session:
        project = (await session.scalars(select(Project))).one()
        annotator = (await session.scalars(select(Annotator))).one()
        row = (await session.scalars(select(Prompt))).one()
        first, second, third = await session.scalars(select(Response.id).order_by(Response.id))
        planned = {
            "project_id": project.id,
            "prompt_id": row.id,
            "arm": "strategy",
            "strategy": "random",
            "position": 0.0,
            "expected_seconds": 1.0,
            "labels_wanted": 1,
            "handed_out": True,
        }
        answered = Pair(
            **planned, first_response_id=first, second_response_id=second, counted=1, held=0
        )
        held = Pair(**planned, first_response_id=first, second_response_id=third, held=1)
        session.add_all([answered, held])
        await session.flush()
        given = {
            "project_id": project.id,
            "annotator_id": annotator.id,
            "swapped": False,
            "lease_seconds": 60,
            "expires_at": func.now(),
        }
        done = Assignment(**given, pair_id=answered.id, status="answered", reserved=Decimal(0))
        open_one = Assignment(**given, pair_id=held.id, status="held", reserved=Decimal(1))
        session.add_all([done, open_one])
        await session.flush()
        judged = {
            "project_id": project.id,
            "prompt_id": row.id,
            "pair_id": answered.id,
            "choice": "left",
            "preferred_response_id": first,
            "rejected_response_id": second,
            "rationale": "secret",
        }
        session.add_all(
            [
                Label(**judged, assignment_id=done.id, annotator="admin", status="counted", cost=1),
                Label(**judged, annotator="late", status="surplus"),
                LedgerEntry(project_id=project.id, kind="settle", spent=1, reserved=0),
                LedgerEntry(project_id=project.id, kind="reserve", spent=0, reserved=1),
            ]
        )
        project.spent, project.reserved = Decimal(1), Decimal(1)
        project.counted_labels, project.surplus_labels = 1, 1


async def test_imported_labels_of_a_deleted_prompt_are_no_longer_counted(
    client: httpx.AsyncClient,
) -> None:
    line = {"prompt": "x", "chosen": "a", "rejected": "b"}
    await import_lines(client, as_lines([line, {**line, "prompt": "y"}]), labels="keep")
    assert (await counts(client))["labels"] == 2
    (first, _) = (await client.get("/prompts")).json()["prompts"]
    await client.delete(f"/prompts/{first['id']}")
    assert (await counts(client))["labels"] == 1


async def test_a_deletion_is_announced(client: httpx.AsyncClient, database_url: str) -> None:
    public_id = await _post(client, prompt())
    async with Listener(database_url) as listener:
        with listener.subscribe(Channel.PLAN_CHANGED) as changes:
            await client.delete(f"/prompts/{public_id}")
            assert await changes.get(10) is not None
