"""From the labels in the database to the preference model."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import delete, insert, select

from app.embedding.style import STYLE_FEATURES, STYLE_VERSION, style_of, style_to_bytes
from app.preference import queries
from app.preference.features import find_features, label_features, read_answers
from app.preference.queries import sample_prompts
from app.preference.service import fit_project
from app.selection.model.features import FeatureSet
from app.selection.model.preference import PreferenceModel
from app.storage.arm import Arm
from app.storage.tables import PromptEmbedding, ResponseEmbedding, ResponseStyle
from tests.preference.at_once import fit_model, join_labels, read_labels
from tests.preference.planted import DIMENSIONS, PlantedProject


async def fit(planted: PlantedProject, *, arms: Collection[str] = tuple(Arm)) -> PreferenceModel:
    async with planted.sessions() as session:
        model = await fit_project(session, planted.project_id, DIMENSIONS, arms=arms)
    assert model is not None
    return model


async def test_without_prompts_or_labels_there_is_no_model(planted: PlantedProject) -> None:
    async with planted.sessions() as session:
        assert await fit_project(session, planted.project_id, DIMENSIONS) is None
    await planted.label(3, choices=["skip"] * 3)
    async with planted.sessions() as session:
        assert await fit_project(session, planted.project_id, DIMENSIONS) is None
    await planted.label(3, choices=["left"] * 3)
    async with planted.sessions.begin() as session:
        await session.execute(delete(PromptEmbedding))
        assert await fit_project(session, planted.project_id, DIMENSIONS) is None


async def test_the_same_labels_give_the_same_model(planted: PlantedProject) -> None:
    await planted.label(120)

    one, again = await fit(planted), await fit(planted)

    assert one.labels == 120
    np.testing.assert_array_equal(one.posterior.mean, again.posterior.mean)
    np.testing.assert_array_equal(one.posterior.precision, again.posterior.precision)
    np.testing.assert_array_equal(one.feature_map.basis, again.feature_map.basis)
    np.testing.assert_array_equal(one.labelled_prompts, again.labelled_prompts)


async def test_reading_a_part_at_a_time_gives_the_model_of_all_at_once(
    planted: PlantedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    await planted.label(50)
    async with planted.sessions() as session:
        labels = await read_labels(
            session, planted.project_id, DIMENSIONS, limit=1000, feature_set=FeatureSet.SIDES
        )
        prompts = await sample_prompts(
            session, planted.project_id, DIMENSIONS, limit=1000, with_words=True
        )
    expected = fit_model(labels, prompts)
    monkeypatch.setattr(queries, "BATCH_LABELS", 7)

    model = await fit(planted)

    np.testing.assert_allclose(model.posterior.mean, expected.posterior.mean, atol=1e-9)
    np.testing.assert_array_equal(model.labelled_prompts, expected.labelled_prompts)
    assert label_features(model.feature_map, labels).shape[:2] == (50, 2)


async def test_the_model_learns_what_annotators_like(planted: PlantedProject) -> None:
    planted.worth = 20
    await planted.label(600)
    async with planted.sessions() as session:
        labels = await read_labels(
            session, planted.project_id, DIMENSIONS, limit=1000, feature_set=FeatureSet.SIDES
        )

    model = await fit(planted)

    features = label_features(model.feature_map, labels)
    expected = (features[:, 0] - features[:, 1]) @ model.posterior.mean
    lead = labels.responses[:, 0, 0] - labels.responses[:, 1, 0]
    assert np.corrcoef(expected, lead)[0, 1] > 0.8


async def test_ties_pull_neither_way(planted: PlantedProject) -> None:
    await planted.label(30, choices=["tie"] * 30)

    np.testing.assert_allclose((await fit(planted)).posterior.mean, 0, atol=1e-12)


async def test_a_strong_label_pulls_as_so_many_weak_ones(planted: PlantedProject) -> None:
    await planted.label(12)
    async with planted.sessions() as session:
        labels = await read_labels(session, planted.project_id, DIMENSIONS, limit=100)
        prompts = await sample_prompts(session, planted.project_id, DIMENSIONS, limit=100)

    strong = fit_model(replace(labels, weights=np.full(12, 3.0)), prompts)

    thrice = fit_model(join_labels([labels] * 3), prompts)
    np.testing.assert_allclose(strong.posterior.mean, thrice.posterior.mean, atol=1e-8)


async def test_arms_and_surplus_are_what_is_asked_for(planted: PlantedProject) -> None:
    await planted.label(5, arm="strategy")
    await planted.label(6, arm="imported", made_elsewhere=True)
    await planted.label(7, arm="exploration")
    await planted.label(8, status="surplus")

    assert (await fit(planted)).labels == 18
    assert (await fit(planted, arms=("strategy", "imported"))).labels == 11
    async with planted.sessions() as session:
        feature_map = await find_features(session, planted.project_id, DIMENSIONS)
        assert feature_map is not None
        with_surplus = await read_answers(
            session, planted.project_id, DIMENSIONS, feature_map, surplus=True
        )
    assert with_surplus is not None
    assert len(with_surplus) == 26


async def _give_styles(planted: PlantedProject, share: float = 1.0) -> None:
    """Style for that share of the responses that have vectors, in the order of their ids."""
    async with planted.sessions.begin() as session:
        ids = list(
            await session.scalars(select(ResponseEmbedding.response_id).order_by("response_id"))
        )
        found = {one: style_of([f"{'word ' * (one % 7 + 1)}{one}!"])[0] for one in ids}
        rows = [
            {"response_id": one, "version": STYLE_VERSION, "features": style_to_bytes(found[one])}
            for one in ids[: round(share * len(ids))]
        ]
        await session.execute(insert(ResponseStyle), rows)


async def test_with_style_the_model_knows_more_and_says_how_likely_things_are(
    planted: PlantedProject,
) -> None:
    await planted.label(80)
    before = await fit(planted)
    await _give_styles(planted)

    model = await fit(planted)

    assert before.feature_map.feature_set is FeatureSet.SIDES
    assert model.feature_map.feature_set is FeatureSet.STYLE
    assert model.feature_map.size == before.feature_map.size + len(STYLE_FEATURES) - 1
    async with planted.sessions() as session:
        labels = await read_labels(
            session, planted.project_id, DIMENSIONS, limit=1000, feature_set=FeatureSet.STYLE
        )
        prompts = await sample_prompts(
            session, planted.project_id, DIMENSIONS, limit=1000, with_style=True
        )
    expected = fit_model(labels, prompts)
    np.testing.assert_allclose(model.posterior.mean, expected.posterior.mean, atol=1e-9)


async def test_a_project_does_without_style_until_nearly_all_of_it_is_known(
    planted: PlantedProject,
) -> None:
    await planted.label(40)
    before = await fit(planted)

    await _give_styles(planted, 0.9)

    model = await fit(planted)
    assert model.feature_map.feature_set is FeatureSet.SIDES
    np.testing.assert_array_equal(model.posterior.mean, before.posterior.mean)


async def test_a_prompt_without_style_is_judged_by_the_rest(planted: PlantedProject) -> None:
    await planted.label(60)

    await _give_styles(planted, 119 / 120)

    model = await fit(planted)
    assert model.feature_map.feature_set is FeatureSet.STYLE
    assert np.isfinite(model.posterior.mean).all()
