"""The curve of a project in the database."""

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from app.errors import UnknownProject
from app.preference import service
from app.preference.service import Curve, read_curve
from app.storage.tables import Label, Prompt, PromptEmbedding
from tests.preference.planted import PlantedProject


async def read(planted: PlantedProject) -> Curve:
    async with planted.sessions() as session:
        return await read_curve(session, planted.project_id)


async def test_a_project_without_vectors_has_no_curve(planted: PlantedProject) -> None:
    found = await read(planted)

    assert found.points == ()
    assert found.test_labels == 0
    assert "200 more exploration labels" in found.advice


async def test_a_deleted_project_has_none(planted: PlantedProject) -> None:
    async with planted.sessions() as session:
        with pytest.raises(UnknownProject):
            await read_curve(session, planted.project_id + 1)


async def test_a_project_that_learns_has_a_rising_curve(planted: PlantedProject) -> None:
    planted.worth = 20
    await planted.label(700)
    await planted.label(300, arm="exploration")

    found = await read(planted)

    assert [point.labels for point in found.points] == [50, 100, 200, 400, 700]
    assert found.points[-1].accuracy > found.points[0].accuracy
    assert found.points[-1].low > 0.5
    assert all(point.low <= point.accuracy <= point.high for point in found.points)
    assert found.test_labels == 300
    assert found == await read(planted)


async def test_only_what_was_asked_for_here_tests(planted: PlantedProject) -> None:
    """Who labels elsewhere chooses what to label."""
    await planted.label(100)
    await planted.label(180, arm="exploration")
    await planted.label(40, arm="exploration", made_elsewhere=True)
    await planted.label(30, arm="exploration", status="surplus")
    await planted.label(30, arm="exploration", choices=["tie", "skip", "both_bad"] * 10)

    found = await read(planted)

    assert found.points == ()
    assert found.test_labels == 180
    assert "20 more exploration labels" in found.advice


async def test_labels_made_elsewhere_train_in_the_order_in_which_they_came(
    planted: PlantedProject,
) -> None:
    await planted.label(60, arm="imported", made_elsewhere=True)
    await planted.label(60)
    await planted.label(250, arm="exploration")

    assert [point.labels for point in (await read(planted)).points] == [50, 100, 120]


async def test_a_prompt_of_a_tested_group_does_not_train(planted: PlantedProject) -> None:
    await planted.label(210, arm="exploration", groups=[1] * 5 + list(range(1000, 1205)))
    await planted.label(80, groups=[1] * 30 + list(range(2000, 2050)))

    assert [point.labels for point in (await read(planted)).points] == [50]


async def test_near_duplicates_are_no_independent_test(planted: PlantedProject) -> None:
    """Two hundred labels on a few groups of prompts say less than on as many prompts."""
    await planted.label(200)
    ids = await planted.label(200, arm="exploration")
    apart = await read(planted)
    async with planted.sessions.begin() as session:
        prompts = select(Label.prompt_id).where(Label.id.in_(ids))
        await session.execute(
            update(Prompt).where(Prompt.id.in_(prompts)).values(group_id=Prompt.id % 7 + 10**9)
        )

    together = await read(planted)

    assert [point.accuracy for point in together.points] == pytest.approx(
        [point.accuracy for point in apart.points]
    )
    assert together.points[-1] != apart.points[-1]


async def test_what_is_read_is_bounded(
    planted: PlantedProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MAX_LABELS", 120)
    monkeypatch.setattr(service, "MAX_TEST_LABELS", 220)
    await planted.label(300)
    await planted.label(300, arm="exploration")

    found = await read(planted)

    assert found.points[-1].labels == 120
    assert found.test_labels == 220


async def test_labels_whose_vectors_are_gone_are_passed_over(planted: PlantedProject) -> None:
    ids = await planted.label(100)
    await planted.label(250, arm="exploration")
    async with planted.sessions.begin() as session:
        prompts = select(Label.prompt_id).where(Label.id.in_(ids[:30]))
        await session.execute(delete(PromptEmbedding).where(PromptEmbedding.prompt_id.in_(prompts)))

    assert [point.labels for point in (await read(planted)).points] == [50, 70]


async def test_where_annotators_toss_a_coin_nothing_is_learnt(planted: PlantedProject) -> None:
    planted.worth = 0
    planted.rng = np.random.default_rng(5)
    await planted.label(400)
    await planted.label(400, arm="exploration")

    found = await read(planted)

    assert found.points[-1].low <= 0.5 <= found.points[-1].high
    assert found.advice.startswith("Nothing is learnt so far")
