"""A pair that has room again, and whose it is then."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.annotation.imported_labels import ImportedLabel, store_imported_labels
from app.projects import service as projects
from app.prompts.service import erase_prompt
from app.storage.tables import Pair, Project
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim, pair_ids
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory

LEFT = {"choice": "left"}


async def late_label(
    annotator: httpx.AsyncClient, competitor: httpx.AsyncClient, world: World
) -> tuple[str, dict[str, Any]]:
    """A surplus label of one annotator's, and the same pair as another holds it."""
    (pair,) = await held(annotator)
    await world.lapse_all()
    (of_competitor,) = await held(competitor)
    assert of_competitor["pair_id"] == pair["pair_id"]
    body = await post(annotator, {"assignment_id": pair["assignment_id"], **LEFT})
    assert body["labels"][0]["status"] == "surplus"
    return body["labels"][0]["id"], of_competitor


async def status_of(client: httpx.AsyncClient, label_id: str) -> str:
    status: str = (await client.get(f"/labels/{label_id}")).json()["status"]
    return status


async def test_a_surplus_label_takes_the_room_that_a_skip_leaves(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    (number,) = await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    surplus, pair = await late_label(ana, ben, world)
    body = await post(ben, {"assignment_id": pair["assignment_id"], "choice": "skip"})
    assert await status_of(client, surplus) == "counted"
    assert (body["ledger"]["spent"], body["ledger"]["reserved"]) == (1, 0)
    stored = await world.pair(number)
    assert (stored.held, stored.counted, stored.skips, stored.open) == (0, 1, 1, False)


@pytest.mark.parametrize("who", ["admin", "its own"])
async def test_after_an_undo_a_surplus_label_takes_the_room_unless_the_pair_is_held_again(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory, who: str
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    surplus, pair = await late_label(ana, ben, world)
    (label,) = (await post(ben, {"assignment_id": pair["assignment_id"], **LEFT}))["labels"]
    undone_by = client if who == "admin" else ben
    assert (await undone_by.delete(f"/labels/{label['id']}")).status_code == 204
    assert await status_of(client, surplus) == ("counted" if who == "admin" else "surplus")
    assert await world.entries_sum() == ((1, 0) if who == "admin" else (0, 1))


async def test_an_undo_finds_the_room_that_absent_annotators_take_up(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    surplus, of_ben = await late_label(ana, ben, world)
    await world.lapse_all()
    # Ben is away: the label counts now, and its undo gives the pair to ana.
    assert (await ana.delete(f"/labels/{surplus}")).status_code == 204
    body = await post(ben, {"assignment_id": of_ben["assignment_id"], **LEFT})
    assert body["labels"][0]["status"] == "surplus"
    assert await world.entries_sum() == (0, 1)


async def test_a_late_label_finds_no_room_in_minutes_that_are_overspent(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(3, expected_seconds=60)
    await world.set_project(unit="minutes", budget_limit=Decimal(3), lease_seconds=6000)
    slow, late, third = await held(client, 3)
    ana = await annotator_client("ana")
    await client.delete(f"/assignments/{late['assignment_id']}")
    await post(client, {"assignment_id": slow["assignment_id"], **LEFT, "seconds": 600})
    # The third takes less than it reserves; what it leaves pays for what was overspent.
    labels = [
        {"assignment_id": third["assignment_id"], **LEFT, "seconds": 6},
        {"assignment_id": late["assignment_id"], **LEFT, "seconds": 6},
    ]
    body = await post(client, {"labels": labels})
    assert [label["status"] for label in body["labels"]] == ["counted", "surplus"]
    assert (await claim(ana))["status"] == "exhausted"


async def test_a_promotion_never_overspends(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    surplus, pair = await late_label(ana, ben, world)
    await world.set_project(unit="minutes", budget_limit=Decimal("0.5"), reserved=1)
    await client.delete(f"/assignments/{pair['assignment_id']}")
    assert await status_of(client, surplus) == "surplus"


async def test_an_imported_label_is_compared_by_response_and_not_by_side(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(12)
    ana = await annotator_client("ana")
    for pair in await held(ana, 12):
        preferred, rejected = sorted((pair["left"]["response_id"], pair["right"]["response_id"]))
        imported = {"prompt_id": pair["prompt_id"], "annotator": "ana"}
        made = await post(client, {**imported, "preferred": preferred, "rejected": rejected})
        same, other = (
            ("left", "right")
            if pair["left"]["response_id"] == preferred
            else (
                "right",
                "left",
            )
        )
        answer = {"assignment_id": pair["assignment_id"]}
        await post(ana, {**answer, "choice": other}, status=409)
        again = await post(ana, {**answer, "choice": same}, status=200)
        assert again["labels"] == made["labels"]
    # Nothing is held for what has been judged.
    assert await world.entries_sum() == (0, 0)
    assert (await claim(ana))["status"] == "complete"


async def test_of_an_annotators_imported_labels_one_may_say_what_is_answered(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1, labels_wanted=3)
    ana = await annotator_client("ana")
    (pair,) = await held(ana, 1)
    async with world.sessions.begin() as session:
        project = (await session.scalars(select(Project))).one()
        row = (await session.scalars(select(Pair))).one()
        both = (row.first_response_id, row.second_response_id)
        labels = [ImportedLabel(row.prompt_id, both, each, "ana") for each in both]
        await store_imported_labels(session, project.id, labels)
    answer = {"assignment_id": pair["assignment_id"]}
    await post(ana, {**answer, "choice": "tie"}, status=409)
    for choice, side in (("left", "right"), ("right", "left")):
        (label,) = (await post(ana, {**answer, "choice": choice}, status=200))["labels"]
        assert label["rejected_response_id"] == pair[side]["response_id"]
    assert await world.entries_sum() == (0, 0)
    assert (await claim(ana))["status"] == "complete"
    stored = {"prompt_id": pair["prompt_id"], "annotator": "ana"}
    names = [pair[side]["response_id"] for side in ("left", "right")]
    await post(client, {**stored, "preferred": names[0], "rejected": names[1]}, status=200)
    await post(client, {**stored, "ranking": [names]}, status=409)


async def test_nobody_waits_for_pairs_that_have_only_imported_labels(
    client: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    assert (await client.patch("/projects/default", json={"labels_per_pair": 2})).is_success
    responses = [{"id": name, "text": name, "embedding": [1.0, 0.5]} for name in "abc"]
    await client.post("/prompts", json={"id": "p", "prompt": "?", "responses": responses})
    await post(client, {"prompt_id": "p", "ranking": [["a"], ["b"], ["c"]]})
    counts = (await client.get("/projects/default")).json()["counts"]
    assert (counts["open_pairs"], counts["labels"]) == (0, 3)
    assert (await client.patch("/projects/default", json={"labels_per_pair": 3})).is_success
    assert (await client.get("/projects/default")).json()["counts"]["open_pairs"] == 0


async def test_a_waiting_claim_of_somebody_who_is_deactivated_gets_nothing(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    (pair,) = (await claim(ana))["pairs"]
    waiting = asyncio.create_task(ben.get("/next-pairs", params={"wait": 20}))
    async with asyncio.timeout(15):
        await asyncio.sleep(0)
        assert (await client.delete("/annotators/ben")).status_code == 204
        await ana.delete(f"/assignments/{pair['assignment_id']}")
        assert (await waiting).status_code == 401
    assert await world.entries_sum() == (0, 0)


async def test_a_label_for_a_prompt_that_is_erased_meanwhile_is_not_found(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    answer = {"assignment_id": pair["assignment_id"], **LEFT}
    imported = {
        "prompt_id": pair["prompt_id"],
        "preferred": pair["left"]["response_id"],
        "rejected": pair["right"]["response_id"],
    }
    async with world.sessions.begin() as session:
        project = await world.project()
        await projects.lock_project(session, project.id)
        waiting = [
            asyncio.create_task(client.post("/labels", json=label)) for label in (answer, imported)
        ]
        await world.until_waiting(len(waiting))
        await erase_prompt(session, pair["prompt_id"])
    assert [(await each).status_code for each in waiting] == [404, 404]


async def test_two_tabs_of_one_annotator_hold_the_same_and_answer_it_once(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(5)
    tabs = await asyncio.gather(*(claim(client, budget=budget) for budget in (1, 3, 1, 3, 2)))
    largest = max((pair_ids(body) for body in tabs), key=len)
    assert len(largest) == 3
    for body in tabs:
        assert pair_ids(body) == largest[: len(body["pairs"])]
    assert (await world.project()).reserved == 3
    assignment = {"assignment_id": tabs[0]["pairs"][0]["assignment_id"]}
    answers = await asyncio.gather(
        *(
            client.post("/labels", json={**assignment, "choice": choice})
            for choice in ("left", "right", "left", "right", "tie")
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(201) == 1
    assert set(statuses) <= {200, 201, 409}
    assert (await world.project()).counted_labels == 1
