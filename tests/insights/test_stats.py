"""The figures of a project, told to an admin; and an annotator's own."""

from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import func, select, update

from app.annotation.imported_labels import ImportedLabel, store_imported_labels
from app.insights.statistics import wilson_interval
from app.storage.tables import Label, Pair, Project
from tests.annotation.conftest import World
from tests.insights.conftest import give_label
from tests.support.api import ClientFactory


async def test_a_project_without_labels_has_empty_figures(client: httpx.AsyncClient) -> None:
    stats = (await client.get("/stats")).json()

    assert stats["ledger"] == (await client.get("/projects/default")).json()["ledger"]
    assert stats["counts"] == (await client.get("/projects/default")).json()["counts"]
    assert stats["labels_per_day"] == []
    assert stats["annotators"] == []
    assert stats["agreement"] == {"krippendorff_alpha": None, "pairs": 0}
    histogram = stats["similarity_histogram"]
    assert histogram["edges"][0] == -1
    assert histogram["edges"][-1] == 1
    assert histogram["open"] == histogram["labelled"] == [0] * (len(histogram["edges"]) - 1)


async def test_labels_are_counted_by_the_day_in_utc(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(4)
    ana = await annotator_client("ana")
    for _ in range(3):
        await give_label(ana, "left")
    await give_label(ana, "skip")
    async with world.sessions.begin() as session:
        await session.execute(
            update(Label)
            .where(Label.id == await session.scalar(select(func.min(Label.id))))
            .values(created_at=datetime(2026, 1, 1, 23, 30, tzinfo=UTC))
        )

    stats = (await client.get("/stats")).json()

    assert stats["labels_per_day"][0] == {"day": "2026-01-01", "labels": 1}
    assert sum(day["labels"] for day in stats["labels_per_day"]) == 3
    assert len(stats["labels_per_day"]) == 2


async def test_each_annotator_has_its_labels_its_median_and_its_sides(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(8)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    for choice, seconds in (("left", 10.0), ("left", 12.0), ("right", 50.0), ("tie", None)):
        await give_label(ana, choice, seconds)
    await give_label(ana, "skip", 999.0)
    undone = await give_label(ana, "right", 999.0)
    assert (await client.delete(f"/labels/{undone}")).status_code == 204
    await give_label(ben, "tie")

    rows = {row["name"]: row for row in (await client.get("/stats")).json()["annotators"]}

    assert rows.keys() == {"ana", "ben"}
    low, high = wilson_interval(2, 3)
    (today,) = rows["ana"].pop("labels_per_day")
    assert today["labels"] == 4
    assert rows["ana"] == {
        "name": "ana",
        "labels": 4,
        "median_seconds": 12.0,
        "left_rate": pytest.approx(2 / 3),
        "left_rate_interval": {"low": pytest.approx(low), "high": pytest.approx(high)},
        "agreement": None,
    }
    assert rows["ben"]["labels"] == 1
    assert rows["ben"]["median_seconds"] is None
    assert rows["ben"]["left_rate"] is None
    assert rows["ben"]["left_rate_interval"] is None


async def prefer(client: httpx.AsyncClient, position: int) -> None:
    """Answer the next pair in favour of its first or second response, whatever side it is on."""
    (pair,) = (await client.get("/next-pairs")).json()["pairs"]
    first = min(pair["left"]["response_id"], pair["right"]["response_id"])
    is_first_left = pair["left"]["response_id"] == first
    choice = "left" if is_first_left == (position == 0) else "right"
    label = {"assignment_id": pair["assignment_id"], "choice": choice}
    assert (await client.post("/labels", json=label)).status_code == 201


async def test_agreement_is_about_responses_whatever_side_they_stood_on(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.set_project(labels_per_pair=2)
    await world.add_pairs(6, labels_wanted=2)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    for position in (0, 1, 0, 1, 0):
        await prefer(ana, position)
        await prefer(ben, position)
    await prefer(ana, 0)  # nobody else's yet

    stats = (await client.get("/stats")).json()

    assert stats["agreement"] == {"krippendorff_alpha": pytest.approx(1), "pairs": 5}
    assert {row["name"]: row["agreement"] for row in stats["annotators"]} == {"ana": 1, "ben": 1}


async def test_an_annotator_who_differs_agrees_less_than_the_others(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.set_project(labels_per_pair=3)
    await world.add_pairs(2, labels_wanted=3)
    ana, ben, eve = [await annotator_client(name) for name in ("ana", "ben", "eve")]
    for position in (0, 1):
        await prefer(ana, position)
        await prefer(ben, position)
        await prefer(eve, 1 - position)

    stats = (await client.get("/stats")).json()

    shares = {row["name"]: row["agreement"] for row in stats["annotators"]}
    assert shares == {"ana": 0.5, "ben": 0.5, "eve": 0}
    # Per pair two of three: observed disagreement 2/3, expected 3 of 5 other answers.
    assert stats["agreement"]["krippendorff_alpha"] == pytest.approx(1 - (2 / 3) / (3 / 5))


async def test_the_histogram_has_the_open_and_the_labelled_pairs(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    pairs = await world.add_pairs(6)
    async with world.sessions.begin() as session:
        for pair_id, similarity in zip(pairs, (0.31, 1.0, 1.0004, -1.0, None, 0.33), strict=True):
            await session.execute(
                update(Pair).where(Pair.id == pair_id).values(similarity=similarity)
            )
    await give_label(await annotator_client("ana"), "left")

    histogram = (await client.get("/stats")).json()["similarity_histogram"]

    edges = histogram["edges"]
    found = [
        (edges[number], edges[number + 1], opened, labelled)
        for number, (opened, labelled) in enumerate(
            zip(histogram["open"], histogram["labelled"], strict=True)
        )
        if opened or labelled
    ]
    assert found == [(-1, -0.95, 1, 0), (0.3, 0.35, 1, 1), (0.95, 1, 2, 0)]


async def test_a_label_shows_in_the_next_figures(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(2)
    ana = await annotator_client("ana")
    for labels in (1, 2):
        await give_label(ana, "left")
        stats = (await client.get("/stats")).json()
        assert stats["counts"]["labels"] == labels
        assert stats["annotators"][0]["labels"] == labels


async def test_labels_made_elsewhere_have_an_annotator_but_no_side(
    client: httpx.AsyncClient,
) -> None:
    line = {"prompt": "Q", "chosen": "good", "rejected": "bad"}
    imported = await client.post(
        "/prompts/import?labels=keep",
        content=httpx.Response(200, json=line).content + b"\n",
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert imported.json()["labels"] == 1, imported.text

    (row,) = (await client.get("/stats")).json()["annotators"]

    assert row["labels"] == 1
    assert row["left_rate"] is None


async def test_an_annotator_sees_its_own_figures_and_nothing_else(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.set_project(labels_per_pair=2)
    await world.add_pairs(3, labels_wanted=2)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    await give_label(ana, "left", 10.0)
    await give_label(ben, "left", 20.0)
    await give_label(ben, "right", 30.0)
    await ana.get("/next-pairs")

    stats = (await ana.get("/stats")).json()

    assert stats.keys() == {"ledger", "counts", "labels_per_day", "annotators"}
    assert stats["counts"] == {
        "pending_prompts": 0,
        "held_assignments": 1,
        "labels": 1,
        "surplus_labels": 0,
    }
    assert [day["labels"] for day in stats["labels_per_day"]] == [1]
    (row,) = stats["annotators"]
    assert row.keys() == {"name", "labels", "median_seconds", "left_rate", "left_rate_interval"}
    assert row["name"] == "ana"
    assert row["median_seconds"] == 10


async def test_a_project_that_is_not_ones_own_does_not_exist(
    client: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    await client.post("/projects", json={"name": "other"})
    ana = await annotator_client("ana", projects=["other"])

    assert (await ana.get("/stats")).status_code == 404
    assert (await ana.get("/stats?project=other")).status_code == 200
    assert (await client.get("/stats?project=none")).status_code == 404


async def test_figures_need_a_key(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/stats")).status_code == 401


async def test_who_gave_both_answers_to_a_pair_agrees_and_disagrees_with_nobody(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.set_project(labels_per_pair=4)
    await world.add_pairs(1, labels_wanted=4)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    await prefer(ana, 0)
    await prefer(ben, 0)
    before = (await client.get("/stats")).json()
    async with world.sessions.begin() as session:
        project = (await session.scalars(select(Project))).one()
        pair = (await session.scalars(select(Pair))).one()
        both = (pair.first_response_id, pair.second_response_id)
        labels = [ImportedLabel(pair.prompt_id, both, each, "eve") for each in both]
        await store_imported_labels(session, project.id, labels)

    stats = (await client.get("/stats")).json()

    assert stats["agreement"]["pairs"] == before["agreement"]["pairs"] == 1
    rows = {row["name"]: (row["labels"], row["agreement"]) for row in stats["annotators"]}
    assert rows == {"ana": (1, 1), "ben": (1, 1), "eve": (2, None)}
