"""`POST /labels` and the ledger it settles."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.storage.ids import IdKind, decode, encode
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.support.api import ClientFactory


async def post(client: httpx.AsyncClient, label: dict[str, Any], status: int = 201) -> Any:
    answer = await client.post("/labels", json=label)
    assert answer.status_code == status, answer.text
    return answer.json()


async def held(client: httpx.AsyncClient, count: int = 1) -> list[dict[str, Any]]:
    pairs: list[dict[str, Any]] = (await claim(client, budget=count))["pairs"]
    assert len(pairs) == count
    return pairs


async def test_a_label_settles_the_ledger_and_closes_the_pair(
    client: httpx.AsyncClient, world: World
) -> None:
    (number,) = await world.add_pairs(1)
    (pair,) = await held(client)
    body = await post(client, {"assignment_id": pair["assignment_id"], "choice": "left"})
    (label,) = body["labels"]
    assert label["status"] == "counted"
    assert (label["pair_id"], label["prompt_id"]) == (pair["pair_id"], pair["prompt_id"])
    assert label["preferred_response_id"] == pair["left"]["response_id"]
    assert label["rejected_response_id"] == pair["right"]["response_id"]
    assert (body["ledger"]["spent"], body["ledger"]["reserved"]) == (1, 0)
    assert await world.entries_sum() == (1, 0)
    stored = await world.pair(number)
    assert (stored.held, stored.counted, stored.open) == (0, 1, False)


async def test_the_stored_preference_is_about_responses_whatever_the_side(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(16)
    pairs = await held(client, 16)
    # Whoever always prefers the response with the lower number must be recorded so.
    answers = {
        pair["assignment_id"]: (
            "left" if pair["left"]["response_id"] < pair["right"]["response_id"] else "right"
        )
        for pair in pairs
    }
    assert set(answers.values()) == {"left", "right"}
    labels = [{"assignment_id": key, "choice": choice} for key, choice in answers.items()]
    body = await post(client, {"labels": labels})
    for label in body["labels"]:
        assert label["preferred_response_id"] < label["rejected_response_id"]


@pytest.mark.parametrize("choice", ["tie", "both_bad", "skip"])
async def test_without_a_preference_both_responses_are_null(
    client: httpx.AsyncClient, world: World, choice: str
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    (label,) = (await post(client, {"assignment_id": pair["assignment_id"], "choice": choice}))[
        "labels"
    ]
    assert (label["preferred_response_id"], label["rejected_response_id"]) == (None, None)
    assert label["status"] == ("skipped" if choice == "skip" else "counted")


async def test_the_same_label_again_changes_nothing(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    label = {"assignment_id": pair["assignment_id"], "choice": "left", "strength": 2}
    first = await post(client, label)
    again = await post(client, label, status=200)
    assert first == again
    assert await world.entries_sum() == (1, 0)


async def test_the_same_label_five_times_at_once_is_recorded_once(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    label = {"assignment_id": pair["assignment_id"], "choice": "left"}
    answers = await asyncio.gather(*(client.post("/labels", json=label) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["labels"][0]["id"] for answer in answers}) == 1
    assert await world.entries_sum() == (1, 0)


@pytest.mark.parametrize(
    "other", [{"choice": "right"}, {"choice": "left", "strength": 1}, {"choice": "skip"}]
)
async def test_a_different_answer_to_an_answered_assignment_conflicts(
    client: httpx.AsyncClient, world: World, other: dict[str, Any]
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    await post(client, {"assignment_id": pair["assignment_id"], "choice": "left"})
    problem = await post(client, {"assignment_id": pair["assignment_id"], **other}, status=409)
    assert problem["type"].endswith("/label-differs")


async def test_a_batch_is_all_or_nothing(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(2)
    good, _ = await held(client, 2)
    labels = [
        {"assignment_id": good["assignment_id"], "choice": "left"},
        {"assignment_id": encode(IdKind.ASSIGNMENT, 10**9), "choice": "left"},
    ]
    problem = await post(client, {"labels": labels}, status=404)
    assert "labels.1" in problem["detail"]
    assert await world.entries_sum() == (0, 2)
    assert (await client.get("/labels")).json()["labels"] == []


async def test_a_batch_with_any_new_label_is_a_201(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(2)
    labels = [
        {"assignment_id": pair["assignment_id"], "choice": "tie"} for pair in await held(client, 2)
    ]
    await post(client, labels[0])
    body = await post(client, {"labels": labels}, status=201)
    assert len(body["labels"]) == 2
    await post(client, {"labels": labels}, status=200)


async def test_one_assignment_twice_in_a_batch_is_one_label(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    label = {"assignment_id": pair["assignment_id"], "choice": "left"}
    body = await post(client, {"labels": [label, label]})
    assert body["labels"][0] == body["labels"][1]
    await post(client, {"labels": [label, {**label, "choice": "right"}]}, status=409)


async def test_a_label_for_somebody_elses_assignment_is_unknown(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(await annotator_client("ana"))
    label = {"assignment_id": pair["assignment_id"], "choice": "left"}
    assert (await post(client, label, status=404))["type"].endswith("/unknown-assignment")


@pytest.mark.parametrize(
    ("label", "field"),
    [
        ({"choice": "left"}, "assignment_id"),
        ({"assignment_id": "asg_0000000000001", "choice": "up"}, "choice"),
        ({"assignment_id": "asg_0000000000001", "choice": "left", "strength": 4}, "strength"),
        ({"assignment_id": "asg_0000000000001", "choice": "left", "seconds": -1}, "seconds"),
        ({"assignment_id": "asg_0000000000001", "choice": "left", "colour": 1}, "colour"),
        ({"assignment_id": "x" * 10_000, "choice": "left"}, "assignment_id"),
        ({"assignment_id": "asg_0000000000001", "choice": "left", "edited": ""}, "edited"),
        (
            {"assignment_id": "asg_0000000000001", "choice": "left", "edited_rejected": 1},
            "edited_rejected",
        ),
    ],
)
async def test_a_label_of_the_wrong_form_names_the_field(
    client: httpx.AsyncClient, label: dict[str, Any], field: str
) -> None:
    problem = await post(client, label, status=422)
    assert field in problem["errors"][0]["loc"]


async def test_strength_goes_only_with_a_preference(client: httpx.AsyncClient) -> None:
    label = {"assignment_id": "asg_0000000000001", "choice": "tie", "strength": 2}
    await post(client, label, status=422)


async def test_an_edit_of_the_rejected_response_is_part_of_the_answer(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana = await annotator_client("ana")
    (pair,) = await held(ana)
    label = {"assignment_id": pair["assignment_id"], "choice": "left", "edited_rejected": "Nearer"}
    await post(ana, {**label, "choice": "tie"}, status=422)
    await post(ana, label)
    await post(ana, label, status=200)
    await post(ana, {**label, "edited_rejected": "Otherwise"}, status=409)
    (stored,) = (await client.get("/labels")).json()["labels"]
    assert (stored["edited"], stored["edited_rejected"]) == (None, "Nearer")


async def test_a_late_label_counts_when_pair_and_budget_have_room(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    (number,) = await world.add_pairs(1)
    (pair,) = await held(client)
    await world.lapse_all()
    await held(await annotator_client("ana"))
    await world.lapse_all()
    # Ana's lease is over too, though nobody has asked for a pair since.
    body = await post(client, {"assignment_id": pair["assignment_id"], "choice": "left"})
    assert body["labels"][0]["status"] == "counted"
    stored = await world.pair(number)
    assert (stored.held, stored.counted) == (0, 1)
    assert await world.entries_sum() == (1, 0)


async def test_late_labels_of_one_request_never_overspend_together(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(2)
    mine = await held(client, 2)
    await world.lapse_all()
    await claim(await annotator_client("ana"))
    await world.lapse_all()
    await client.patch("/projects/default", json={"budget": {"limit": 1}})
    labels = [{"assignment_id": pair["assignment_id"], "choice": "left"} for pair in mine]
    body = await post(client, {"labels": labels})
    assert [label["status"] for label in body["labels"]] == ["counted", "surplus"]
    assert body["ledger"]["spent"] == 1


async def test_a_late_label_without_room_is_surplus_and_promoted_when_there_is(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    (pair,) = await held(client)
    await world.lapse_all()
    ana = await annotator_client("ana")
    (of_ana,) = await held(ana)
    body = await post(client, {"assignment_id": pair["assignment_id"], "choice": "left"})
    assert body["labels"][0]["status"] == "surplus"
    assert (body["ledger"]["spent"], body["ledger"]["reserved"]) == (0, 1)
    assert (await ana.delete(f"/assignments/{of_ana['assignment_id']}")).status_code == 204
    label = (await client.get(f"/labels/{body['labels'][0]['id']}")).json()
    assert label["status"] == "counted"
    assert await world.entries_sum() == (1, 0)
    assert (await claim(ana))["status"] == "complete"


async def test_a_skipped_pair_goes_to_somebody_else_and_is_retired_after_three(
    world: World, annotator_client: ClientFactory
) -> None:
    (number,) = await world.add_pairs(1)
    for name in ("ana", "ben", "cem"):
        annotator = await annotator_client(name)
        (pair,) = await held(annotator)
        await post(annotator, {"assignment_id": pair["assignment_id"], "choice": "skip"})
        assert (await claim(annotator))["pairs"] == []
    assert (await claim(await annotator_client("dan")))["status"] == "complete"
    assert not (await world.pair(number)).open
    assert await world.entries_sum() == (0, 0)


async def test_minutes_are_paid_as_measured_and_never_above_the_lease(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(3, expected_seconds=60)
    await world.set_project(unit="minutes", budget_limit=Decimal(100), lease_seconds=120)
    one, two, three = await held(client, 3)
    await post(client, {"assignment_id": one["assignment_id"], "choice": "left", "seconds": 30})
    await post(client, {"assignment_id": two["assignment_id"], "choice": "skip", "seconds": 9999})
    body = await post(client, {"assignment_id": three["assignment_id"], "choice": "tie"})
    assert body["ledger"]["spent"] == pytest.approx(0.5 + 2 + 1)
    assert body["ledger"]["reserved"] == 0


async def test_undoing_an_own_label_refunds_it_and_the_annotator_holds_the_pair_again(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    await world.set_project(budget_limit=Decimal(1))
    ana = await annotator_client("ana")
    (pair,) = await held(ana)
    first = {"assignment_id": pair["assignment_id"], "choice": "left"}
    (label,) = (await post(ana, first))["labels"]
    assert (await ana.delete(f"/labels/{label['id']}")).status_code == 204
    assert await world.entries_sum() == (0, 1)
    (again,) = await held(ana)
    assert (again["assignment_id"], again["left"]) == (pair["assignment_id"], pair["left"])
    await post(ana, {**first, "choice": "right"})
    assert await world.entries_sum() == (1, 0)
    history = (await ana.get("/labels")).json()["labels"]
    assert [entry["status"] for entry in history] == ["withdrawn", "counted"]


async def test_an_admins_undo_opens_the_pair_for_anybody(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    (pair,) = await held(ana)
    (label,) = (await post(ana, {"assignment_id": pair["assignment_id"], "choice": "left"}))[
        "labels"
    ]
    path = f"/labels/{label['id']}"
    assert (await ben.delete(path)).status_code == 404
    assert (await client.delete(path)).status_code == 204
    assert (await client.delete(path)).status_code == 204
    assert await world.entries_sum() == (0, 0)
    assert len((await claim(ben))["pairs"]) == 1


async def test_annotators_see_their_own_labels_alone(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(2)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    for annotator in (ana, ben):
        (pair,) = await held(annotator)
        await post(annotator, {"assignment_id": pair["assignment_id"], "choice": "left"})
    everything = (await client.get("/labels")).json()["labels"]
    assert [label["annotator"] for label in everything] == ["ana", "ben"]
    own = (await ana.get("/labels")).json()["labels"]
    assert [label["annotator"] for label in own] == ["ana"]
    assert (await ana.get("/labels", params={"annotator": "ben"})).json()["labels"] == []
    assert (await ana.get(f"/labels/{everything[1]['id']}")).status_code == 404


async def test_labels_are_listed_in_pages(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(3)
    labels = [
        {"assignment_id": pair["assignment_id"], "choice": "tie"} for pair in await held(client, 3)
    ]
    await post(client, {"labels": labels})
    first = (await client.get("/labels", params={"limit": 2})).json()
    second = (
        await client.get("/labels", params={"limit": 2, "cursor": first["next_cursor"]})
    ).json()
    listed = [label["id"] for label in first["labels"] + second["labels"]]
    assert listed == sorted(listed, key=lambda label_id: decode(IdKind.LABEL, label_id) or 0)
    assert (len(listed), second["next_cursor"]) == (3, None)
