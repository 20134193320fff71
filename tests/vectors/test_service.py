from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.embedding.unit import to_bytes
from app.storage.sessions import Sessions
from app.storage.tables import (
    ErasedPrompt,
    Project,
    Prompt,
    PromptEmbedding,
    QuestionEmbedding,
)
from app.vectors import queries, snapshot
from app.vectors.index import VectorIndex
from app.vectors.marks import START, Mark, VectorSource
from app.vectors.service import apply_erasures, read_additions, restore
from tests.support.indexes import indexes
from tests.vectors.test_index import Floats, unit

DIMENSIONS = 32


@pytest.fixture
def vectors() -> Floats:
    return unit(np.random.default_rng(0), 10)


@pytest.fixture
async def project(sessions: Sessions) -> int:
    async with sessions() as session:
        return (await session.scalars(select(Project.id))).one()


@pytest.fixture
def source(project: int) -> VectorSource:
    return VectorSource(project)


async def add(session: AsyncSession, project: int, vectors: Floats) -> list[int]:
    """Prompts with these vectors, in the session's transaction."""
    ids = [
        (
            await session.scalars(
                insert(Prompt).returning(Prompt.id),
                [
                    {
                        "project_id": project,
                        "external_id": vector.tobytes().hex(),
                        "content": "A prompt",
                        "fingerprint": b"",
                        "status": "ready",
                        "pairs_total": 1,
                    }
                ],
            )
        ).one()
        for vector in vectors
    ]
    rows = [
        {"prompt_id": one, "project_id": project, "vector": to_bytes(vector)}
        for one, vector in zip(ids, vectors, strict=True)
    ]
    await session.execute(insert(PromptEmbedding), rows)
    return ids


async def test_nothing_is_read_past_a_transaction_that_may_still_commit(
    sessions: Sessions, project: int, source: VectorSource, vectors: Floats
) -> None:
    async with sessions() as reader, sessions() as early:
        first = await add(early, project, vectors[:2])
        async with sessions.begin() as late:
            second = await add(late, project, vectors[2:4])

        before = await read_additions(reader, source, START.embedded, DIMENSIONS)
        await early.commit()
        after = await read_additions(reader, source, before.position, DIMENSIONS)

    assert before.ids.tolist() == []
    assert after.ids.tolist() == first + second
    np.testing.assert_allclose(after.vectors, vectors[:4], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(after.vectors, axis=1), 1, atol=1e-6)


async def test_vectors_of_questions_are_read_apart_and_only_of_one_version(
    sessions: Sessions, project: int, source: VectorSource, vectors: Floats
) -> None:
    async with sessions.begin() as writer:
        ids = await add(writer, project, vectors[:4])
        await writer.execute(
            insert(QuestionEmbedding),
            [
                {
                    "prompt_id": one,
                    "project_id": project,
                    "version": version,
                    "vector": to_bytes(vector),
                }
                for one, version, vector in zip(ids, (1, 2, 1, 2), vectors[4:8], strict=True)
            ],
        )

    async with sessions() as reader:
        first = await read_additions(reader, VectorSource(project, 1), START.embedded, DIMENSIONS)
        own = await read_additions(reader, source, START.embedded, DIMENSIONS)

    assert first.ids.tolist() == [ids[0], ids[2]]
    np.testing.assert_allclose(first.vectors, vectors[[4, 6]], atol=1e-3)
    assert own.ids.tolist() == ids
    np.testing.assert_allclose(own.vectors, vectors[:4], atol=1e-3)


@pytest.mark.parametrize("question_version", [None, 1])
async def test_additions_are_found_by_an_index(
    sessions: Sessions, project: int, question_version: int | None
) -> None:
    async with sessions.begin() as session:
        ids = await add(session, project, unit(np.random.default_rng(0), 400))
        await session.execute(
            text(
                "INSERT INTO question_embeddings (prompt_id, project_id, version, vector)"
                " SELECT prompt_id, project_id, 1, vector FROM prompt_embeddings"
            )
        )
    async with sessions() as session:
        await session.execute(text("ANALYZE"))
        own = question_version is None
        used = await indexes(
            session,
            queries.OWN_VECTORS_AFTER if own else queries.QUESTIONS_AFTER,
            {
                "project_id": project,
                "question_version": question_version,
                "written_by": "0",
                "prompt_id": ids[0],
                "limit": 10,
            },
        )
    assert used == {f"ix_{'prompt' if own else 'question'}_embeddings_catch_up"}


async def test_additions_are_read_in_parts_without_a_gap(
    sessions: Sessions, project: int, source: VectorSource, vectors: Floats
) -> None:
    async with sessions.begin() as writer:
        ids = await add(writer, project, vectors)
    read = []
    position, complete = START.embedded, False

    async with sessions() as reader:
        while not complete:
            part = await read_additions(reader, source, position, DIMENSIONS, limit=4)
            read.append(part.ids.tolist())
            position, complete = part.position, part.complete

    assert read == [ids[:4], ids[4:8], ids[8:]]


async def _saved(sessions: Sessions, project: int, path: Path, vectors: Floats) -> list[int]:
    async with sessions.begin() as writer:
        ids = await add(writer, project, vectors)
    index = VectorIndex(DIMENSIONS)
    async with sessions() as reader:
        part = await read_additions(reader, VectorSource(project), START.embedded, DIMENSIONS)
    index.add(part.ids, part.vectors)
    snapshot.save(path, index, Mark(part.position, START.erased), owner="me")
    return ids


async def test_a_file_is_restored_without_what_was_erased_since(
    sessions: Sessions, project: int, source: VectorSource, vectors: Floats, tmp_path: Path
) -> None:
    path = tmp_path / "1.faiss"
    ids = await _saved(sessions, project, path, vectors)
    async with sessions.begin() as session:
        await session.execute(delete(Prompt).where(Prompt.id == ids[3]))
        await session.execute(insert(ErasedPrompt).values(prompt_id=ids[3], project_id=project))
        await add(session, project, unit(np.random.default_rng(1), 2))

    async with sessions() as session:
        restored = await restore(session, source, path, owner="me", dimensions=DIMENSIONS)
        erased = await apply_erasures(session, project, restored.index, restored.mark.erased)

    assert restored.index.ids().tolist() == ids[:3] + ids[4:]
    assert restored.mark != START
    assert erased.prompt_id == ids[3]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM prompts WHERE id = (SELECT min(id) FROM prompts)",
        "DELETE FROM prompts",
        "UPDATE prompt_embeddings SET written_by = pg_current_xact_id()",
    ],
)
async def test_a_file_that_knows_another_past_than_the_database_is_not_believed(
    sessions: Sessions,
    project: int,
    source: VectorSource,
    vectors: Floats,
    tmp_path: Path,
    change: str,
) -> None:
    path = tmp_path / "1.faiss"
    await _saved(sessions, project, path, vectors)
    async with sessions.begin() as session:
        await session.execute(text(change))

    async with sessions() as session:
        restored = await restore(session, source, path, owner="me", dimensions=DIMENSIONS)

    assert len(restored.index) == 0
    assert restored.mark == START
