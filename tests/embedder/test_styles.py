"""Responses get their style: with the vector, or later where it was stored without."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import delete, select, text

from app.embedder import styles
from app.embedder.process import Embedder
from app.embedder.queries import styles as queries
from app.embedder.styles import SECONDS_BETWEEN_PASSES, StyleFiller
from app.embedding.style import STYLE_VERSION, style_of, styles_from_bytes
from app.storage.sessions import Sessions
from app.storage.tables import Prompt, Response, ResponseEmbedding, ResponseStyle
from tests.embedder.world import LetterEncoder, add_project, add_prompts, embedder_process, until
from tests.support.indexes import indexes


async def _project(sessions: Sessions, count: int = 3, name: str = "p") -> list[int]:
    """Prompts of two embedded responses each."""
    project_id = await add_project(sessions, name)
    prompts: list[tuple[object, list[str]]] = [
        (f"{name} {number}?", [f"{name} {number}, so.", f"- {name} {number}\n- more!"])
        for number in range(count)
    ]
    ids = await add_prompts(sessions, project_id, prompts)
    await Embedder(LetterEncoder(), sessions, 10_000).embed_batch()
    return ids


async def _forget(sessions: Sessions) -> None:
    """As an older service, or a caller with vectors of their own, leaves the database."""
    async with sessions.begin() as session:
        await session.execute(delete(ResponseStyle))


async def _stored(sessions: Sessions) -> dict[str, NDArray[np.float32]]:
    """The style of each response, by its text."""
    async with sessions() as session:
        rows = await session.execute(
            select(Response.text, ResponseStyle.features)
            .join(ResponseStyle, ResponseStyle.response_id == Response.id)
            .where(ResponseStyle.version == STYLE_VERSION)
        )
        return {row.text: styles_from_bytes([row.features])[0] for row in rows}


async def _fill(filler: StyleFiller) -> None:
    while await filler.fill_batch():
        pass


async def test_a_response_gets_its_style_with_its_vector(sessions: Sessions) -> None:
    await _project(sessions)

    found = await _stored(sessions)

    assert len(found) == 6
    for answer, style in found.items():
        np.testing.assert_array_equal(style, style_of([answer])[0])


async def test_styles_are_filled_in_a_batch_at_a_time(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _project(sessions, 25)
    before = await _stored(sessions)
    await _forget(sessions)
    monkeypatch.setattr(styles, "TEXTS_AT_A_TIME", 7)
    filler = StyleFiller(sessions)

    await filler.fill_batch()
    assert len(await _stored(sessions)) == 7
    monkeypatch.setattr(styles, "IDS_AT_A_TIME", 20)
    await _fill(filler)

    found = await _stored(sessions)
    assert found.keys() == before.keys()
    for answer, style in found.items():
        np.testing.assert_array_equal(style, before[answer])
    assert await filler.fill_batch() == 0


async def test_a_response_without_a_vector_is_left_alone(sessions: Sessions) -> None:
    await _project(sessions)
    await _forget(sessions)
    async with sessions.begin() as session:
        first = select(Response.id).order_by(Response.id).limit(1).scalar_subquery()
        await session.execute(
            delete(ResponseEmbedding).where(ResponseEmbedding.response_id == first)
        )

    await _fill(StyleFiller(sessions))

    assert len(await _stored(sessions)) == 5


async def test_what_arrives_later_is_filled_in_and_what_was_passed_over_by_the_next_pass(
    sessions: Sessions,
) -> None:
    now = 0.0
    filler = StyleFiller(sessions, clock=lambda: now)
    await _project(sessions, 2, "early")
    await _forget(sessions)
    await _fill(filler)
    await _project(sessions, 2, "late")
    async with sessions.begin() as session:
        # The lowest and the highest: one is behind the filler, the other before it.
        await session.execute(
            text(
                "DELETE FROM response_styles WHERE response_id IN"
                " ((SELECT min(id) FROM responses), (SELECT max(id) FROM responses))"
            )
        )

    await _fill(filler)
    assert len(await _stored(sessions)) == 7

    now = SECONDS_BETWEEN_PASSES
    await _fill(filler)
    assert len(await _stored(sessions)) == 8


async def test_a_style_of_an_older_version_is_replaced_and_a_newer_one_kept(
    sessions: Sessions,
) -> None:
    await _project(sessions, 1)
    async with sessions.begin() as session:
        await session.execute(
            text(
                "UPDATE response_styles SET features = '',"
                " version = CASE WHEN response_id % 2 = 0 THEN :newer ELSE :older END"
            ),
            {"newer": STYLE_VERSION + 1, "older": STYLE_VERSION - 1},
        )

    await _fill(StyleFiller(sessions))

    async with sessions() as session:
        rows = await session.execute(select(ResponseStyle.response_id, ResponseStyle.version))
        versions = {(row.response_id % 2, row.version) for row in rows}
    assert versions == {(1, STYLE_VERSION), (0, STYLE_VERSION + 1)}


async def test_of_several_embedders_one_fills_in_styles_at_a_time(sessions: Sessions) -> None:
    await _project(sessions)
    await _forget(sessions)
    async with sessions.begin() as session:
        assert await queries.lock_styles(session)

        assert await StyleFiller(sessions).fill_batch() == 0

    await asyncio.gather(*(_fill(StyleFiller(sessions)) for _ in range(4)))
    await _fill(StyleFiller(sessions))
    assert len(await _stored(sessions)) == 6


async def test_an_erased_response_takes_its_style_along(sessions: Sessions) -> None:
    ids = await _project(sessions)
    async with sessions.begin() as session:
        await session.execute(delete(Prompt).where(Prompt.id == ids[0]))

    assert len(await _stored(sessions)) == 4


@pytest.mark.e2e
async def test_an_embedder_fills_in_what_lies_there(database_url: str, sessions: Sessions) -> None:
    await _project(sessions)
    await _forget(sessions)

    with embedder_process(database_url):

        async def all_filled() -> bool:
            return len(await _stored(sessions)) == 6

        await until(all_filled)


async def test_a_pass_reads_primary_keys_only(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        used = await indexes(
            session,
            queries._WITHOUT_STYLE,
            {"after": 0, "through": 65_536, "version": STYLE_VERSION, "limit": 100},
        )
    assert used == {"pk_response_embeddings", "pk_responses", "pk_response_styles"}
