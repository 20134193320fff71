"""Labels with vectors, and prompts: which are read, in what order, and by what index."""

from typing import Any

import numpy as np
import pytest
from sqlalchemy import delete, insert, select, text, update

from app.embedding.unit import InvalidVector
from app.preference import queries
from app.preference.queries import LabelledVectors, sample_prompts, stream_labels
from app.selection.candidates import blocks_of
from app.selection.model.features import FeatureSet, beside_vectors
from app.storage.tables import Label, Project, PromptEmbedding, Response, ResponseEmbedding
from app.vectors import queries as vectors
from tests.preference.at_once import read_labels
from tests.preference.planted import DIMENSIONS, PlantedProject
from tests.support.indexes import indexes

ALL = 10_000


async def read(planted: PlantedProject, limit: int = ALL, **which: Any) -> LabelledVectors:
    async with planted.sessions() as session:
        return await read_labels(
            session, planted.project_id, planted.dimensions, limit=limit, **which
        )


async def another_project(planted: PlantedProject, dimensions: int) -> PlantedProject:
    async with planted.sessions.begin() as session:
        row = (await session.execute(select(Project.__table__))).mappings().one()
        copied = {key: value for key, value in row.items() if key != "id"} | {"name": "other"}
        other_id = (
            await session.scalars(insert(Project).values(copied).returning(Project.id))
        ).one()
    return PlantedProject(planted.sessions, other_id, dimensions=dimensions)


async def test_a_label_is_a_target_and_a_weight(planted: PlantedProject) -> None:
    await planted.label(4, choices=["left", "right", "tie", "left"], strengths=[None, 3, None, 2])

    labels = await read(planted)

    assert labels.targets.tolist() == [1, 0, 0.5, 1]
    assert labels.weights.tolist() == [1, 3, 1, 2]
    assert (labels.response_ids[:, 0] < labels.response_ids[:, 1]).all()
    assert labels.prompts.shape == (4, DIMENSIONS)
    assert labels.responses.shape == (4, 2, DIMENSIONS)


async def test_the_vectors_are_those_of_the_labels_texts(planted: PlantedProject) -> None:
    await planted.label(7)

    labels = await read(planted)

    async with planted.sessions() as session:
        stored = {
            row.response_id: np.frombuffer(row.vector, dtype="<f2")
            for row in await session.execute(
                select(ResponseEmbedding.response_id, ResponseEmbedding.vector)
            )
        }
        own = {
            row.prompt_id: np.frombuffer(row.vector, dtype="<f2")
            for row in await session.execute(
                select(PromptEmbedding.prompt_id, PromptEmbedding.vector)
            )
        }
    for place in range(7):
        np.testing.assert_allclose(labels.prompts[place], own[labels.prompt_ids[place]], atol=2e-3)
        for side in (0, 1):
            expected = stored[labels.response_ids[place, side]]
            np.testing.assert_allclose(labels.responses[place, side], expected, atol=2e-3)


async def test_what_compares_nothing_or_does_not_count_is_left_out(planted: PlantedProject) -> None:
    await planted.label(3, choices=["skip", "both_bad", "left"])
    await planted.label(2, status="withdrawn")
    await planted.label(4, status="surplus")

    assert len(await read(planted)) == 1
    assert len(await read(planted, surplus=True)) == 5


async def test_arms_are_told_apart(planted: PlantedProject) -> None:
    await planted.label(2, arm="strategy")
    await planted.label(3, arm="imported", made_elsewhere=True)
    await planted.label(4, arm="exploration")

    assert len(await read(planted)) == 9
    assert len(await read(planted, arms=("strategy", "imported"))) == 5
    assert len(await read(planted, arms=("exploration",))) == 4


async def test_labels_made_elsewhere_can_be_left_out(planted: PlantedProject) -> None:
    await planted.label(2, arm="exploration")
    await planted.label(3, arm="exploration", made_elsewhere=True)

    async with planted.sessions() as session:
        parts = [
            len(part)
            async for part in stream_labels(
                session, planted.project_id, DIMENSIONS, handed_out=True, limit=ALL
            )
        ]

    assert parts == [2]


async def test_labels_without_all_vectors_wait(planted: PlantedProject) -> None:
    await planted.label(3)
    before = await read(planted)
    async with planted.sessions.begin() as session:
        await session.execute(
            delete(ResponseEmbedding).where(
                ResponseEmbedding.response_id == int(before.response_ids[0, 1])
            )
        )
        await session.execute(
            delete(PromptEmbedding).where(PromptEmbedding.prompt_id == int(before.prompt_ids[1]))
        )

    after = await read(planted)

    assert after.prompt_ids.tolist() == before.prompt_ids[2:].tolist()
    np.testing.assert_array_equal(after.responses, before.responses[2:])


async def test_a_project_without_labels_has_none(planted: PlantedProject) -> None:
    async with planted.sessions() as session:
        labels = stream_labels(session, planted.project_id, DIMENSIONS, limit=ALL)
        assert [part async for part in labels] == []


async def test_a_group_is_the_prompts_own_until_it_is_fixed(planted: PlantedProject) -> None:
    await planted.label(2, groups=[7, 7])
    await planted.label(1)

    labels = await read(planted)

    assert labels.groups.tolist() == [7, 7, labels.prompt_ids[2]]


async def test_projects_of_different_dimensions_do_not_mix(planted: PlantedProject) -> None:
    other = await another_project(planted, dimensions=5)
    await planted.label(3)
    await other.label(4)

    assert (await read(planted)).prompts.shape == (3, DIMENSIONS)
    assert (await read(other)).prompts.shape == (4, 5)
    async with planted.sessions() as session:
        assert len(await sample_prompts(session, other.project_id, 5, limit=ALL)) == 4
        with pytest.raises(InvalidVector):
            await read_labels(session, other.project_id, DIMENSIONS, limit=ALL)


async def test_batches_are_as_good_as_one(
    planted: PlantedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planted.label(11)
    whole = await read(planted)
    monkeypatch.setattr(queries, "BATCH_LABELS", 3)

    parts = await read(planted)

    for column in ("prompt_ids", "pair_ids", "groups", "targets", "responses", "prompts"):
        np.testing.assert_array_equal(getattr(parts, column), getattr(whole, column))


async def test_a_label_knows_how_typical_and_how_long_its_responses_are(
    planted: PlantedProject,
) -> None:
    """Beside all of the prompt's responses, not the two of the label alone."""
    await planted.label(4)
    for number, prompt_id in enumerate((await read(planted)).prompt_ids.tolist()[:3]):
        await planted.add_response(prompt_id, "a word and others" + " more" * number)
    async with planted.sessions.begin() as session:
        await session.execute(
            update(Response).where(Response.position == 1).values(text=" two  words, no: four ")
        )
        # A call is read too: `find({"at": 3})`.
        call = {"function": {"name": "find", "arguments": {"at": 3}}}
        await session.execute(
            update(Response).where(Response.position == 0).values(tool_calls=[call])
        )

    labels = await read(planted, feature_set=FeatureSet.SIDES)

    async with planted.sessions() as session:
        prompts = await sample_prompts(
            session, planted.project_id, DIMENSIONS, limit=ALL, with_words=True
        )
    assert labels.typicality is not None
    assert labels.words is not None
    assert labels.words.tolist() == [[4, 4]] * 4
    for block in blocks_of(prompts):
        expected = beside_vectors(block, FeatureSet.SIDES)
        for row, prompt_id in enumerate(block.prompt_ids):
            place = labels.prompt_ids.tolist().index(prompt_id)
            found = labels.typicality[place]
            np.testing.assert_allclose(found, expected[row, :2, 0], atol=1e-6)
            np.testing.assert_allclose(np.log1p(labels.words[place]), expected[row, :2, 1])
    assert sorted(len(one.response_ids) for one in prompts) == [2, 3, 3, 3]


async def test_the_earliest_labels_are_the_first(planted: PlantedProject) -> None:
    ids = await planted.label(30)

    async with planted.sessions() as session:
        parts = [
            part
            async for part in stream_labels(
                session, planted.project_id, DIMENSIONS, earliest=True, limit=10
            )
        ]
        first = await session.scalars(
            select(Label.pair_id).where(Label.id.in_(sorted(ids)[:10])).order_by(Label.id)
        )

    assert [each for part in parts for each in part.pair_ids.tolist()] == list(first)


async def test_a_sample_is_bounded_fixed_and_fair(planted: PlantedProject) -> None:
    await planted.label(3000)

    one, again = await read(planted, limit=1000), await read(planted, limit=1000)

    assert len(one) == 1000
    np.testing.assert_array_equal(one.pair_ids, again.pair_ids)
    everything = await read(planted)
    places = np.searchsorted(everything.pair_ids, one.pair_ids)
    # A third of any part of the labels; the shuffle is fixed by their numbers, which the sequence
    # gives: five standard deviations of a fair draw.
    parts = np.bincount(places // 300, minlength=10)
    assert np.abs(parts - 100).max() < 5 * np.sqrt(300 / 3 * 2 / 3)


async def test_more_labels_change_a_sample_little(planted: PlantedProject) -> None:
    await planted.label(400)
    before = await read(planted, limit=300)
    await planted.label(20)

    after = await read(planted, limit=300)

    assert len(np.intersect1d(before.pair_ids, after.pair_ids)) >= 280


async def test_sampled_prompts_are_fixed_and_have_all_of_their_responses(
    planted: PlantedProject,
) -> None:
    await planted.label(50)

    async with planted.sessions() as session:
        some = await sample_prompts(session, planted.project_id, DIMENSIONS, limit=20)
        again = await sample_prompts(session, planted.project_id, DIMENSIONS, limit=20)

    assert [one.prompt_id for one in some] == [one.prompt_id for one in again]
    assert len(some) == len({one.prompt_id for one in some}) == 20
    assert all(one.embeddings.shape == (2, DIMENSIONS) for one in some)
    assert all(one.prompt_embedding is not None for one in some)


async def test_prompts_with_fewer_than_two_vectors_are_no_sample(planted: PlantedProject) -> None:
    await planted.label(5)
    async with planted.sessions.begin() as session:
        await session.execute(
            delete(ResponseEmbedding).where(
                ResponseEmbedding.response_id == select(Response.id).limit(1).scalar_subquery()
            )
        )

    async with planted.sessions() as session:
        assert len(await sample_prompts(session, planted.project_id, DIMENSIONS, limit=ALL)) == 4


async def test_sampled_prompts_bring_no_more_numbers_than_they_may(
    planted: PlantedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planted.label(50)
    monkeypatch.setattr(queries, "_MAX_SAMPLE_NUMBERS", 2 * DIMENSIONS * 15)

    async with planted.sessions() as session:
        assert len(await sample_prompts(session, planted.project_id, DIMENSIONS, limit=ALL)) == 15


async def test_the_mean_cost_is_what_was_spent_on_what_was_asked_for(
    planted: PlantedProject,
) -> None:
    async with planted.sessions() as session:
        assert await queries.mean_cost(session, planted.project_id) is None
    await planted.label(4)
    await planted.label(3, made_elsewhere=True)
    await planted.change(spent=10)

    async with planted.sessions() as session:
        assert await queries.mean_cost(session, planted.project_id) == 2.5


async def test_the_reads_are_served_by_indexes(planted: PlantedProject) -> None:
    other = await another_project(planted, DIMENSIONS)
    await planted.label(200)
    await other.label(2000)
    about = {
        "project_id": planted.project_id,
        "statuses": ["counted"],
        "arms": ["strategy"],
        "handed_out": False,
        "limit": 50,
    }
    async with planted.sessions() as session:
        await session.execute(text("ANALYZE"))
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        used = await indexes(session, queries._EARLIEST_LABELS, about)
        assert {"ix_labels_listing", "pk_pairs", "pk_prompts"} <= used
        # Another index costs about the same where all labels are read. The session rolls this back.
        await session.execute(text("DROP INDEX ix_labels_annotator"))
        assert "ix_labels_listing" in await indexes(session, queries._SAMPLED_LABELS, about)
        assert "pk_response_embeddings" in await indexes(
            session, vectors.VECTORS_OF_RESPONSES, {"ids": [1, 2, 3]}
        )
        assert "ix_prompt_embeddings_catch_up" in await indexes(
            session, queries._SAMPLED_PROMPTS, {"project_id": planted.project_id, "limit": 10}
        )
