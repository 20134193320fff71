"""`GET /next-pairs` and `DELETE /assignments/{id}`."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.storage.ids import IdKind, encode
from tests.annotation.conftest import World
from tests.support.api import ClientFactory

pytestmark = pytest.mark.filterwarnings("error")


async def claim(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/next-pairs", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def pair_ids(body: dict[str, Any]) -> list[str]:
    return [pair["pair_id"] for pair in body["pairs"]]


async def test_the_first_pairs_of_the_plan_are_handed_out_in_its_order(
    client: httpx.AsyncClient, world: World
) -> None:
    planned = await world.add_pairs(5)
    body = await claim(client, budget=3)
    assert [encode(IdKind.PAIR, number) for number in planned[:3]] == pair_ids(body)
    assert body["ledger"] == {
        "unit": "labels",
        "limit": None,
        "spent": 0,
        "reserved": 3,
        "remaining": None,
    }
    assert (body["status"], body["retry_after"]) == ("ok", None)


async def test_an_answer_is_never_cached(client: httpx.AsyncClient) -> None:
    answer = await client.get("/next-pairs")
    assert answer.headers["cache-control"] == "no-store"


async def test_asking_again_gives_what_is_held_and_renews_nothing(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(5)
    first = await claim(client, budget=2)
    again = await claim(client, budget=2)
    assert first["pairs"] == again["pairs"]
    assert again["ledger"]["reserved"] == 2


async def test_what_is_held_counts_towards_the_budget_of_the_request(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(5)
    one = await claim(client, budget=1)
    three = await claim(client, budget=3)
    assert pair_ids(three)[0] == pair_ids(one)[0]
    assert len(three["pairs"]) == 3
    assert len((await claim(client, budget=1))["pairs"]) == 1


async def test_a_pair_is_held_by_one_annotator_only(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(4)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    of_ana, of_ben = await claim(ana, budget=3), await claim(ben, budget=3)
    assert len(of_ana["pairs"]) == 3
    assert len(of_ben["pairs"]) == 1
    assert not set(pair_ids(of_ana)) & set(pair_ids(of_ben))


async def test_a_pair_that_wants_two_labels_goes_to_two_annotators_and_no_third(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1, labels_wanted=2)
    held = [
        len((await claim(await annotator_client(name), budget=2))["pairs"])
        for name in ("ana", "ben", "cem")
    ]
    assert held == [1, 1, 0]


async def test_the_budget_in_labels_is_never_overspent(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(5)
    await world.set_project(budget_limit=Decimal(2))
    body = await claim(client, budget=5)
    assert len(body["pairs"]) == 2
    assert body["ledger"]["remaining"] == 0
    other = await claim(await annotator_client("ana"))
    assert (other["pairs"], other["status"]) == ([], "waiting")
    assert other["retry_after"] >= 1


async def test_a_spent_budget_with_nothing_held_is_exhausted(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(2)
    await world.set_project(budget_limit=Decimal(0))
    body = await claim(client)
    assert (body["pairs"], body["status"], body["retry_after"]) == ([], "exhausted", None)


async def test_an_empty_project_is_complete(client: httpx.AsyncClient) -> None:
    assert (await claim(client))["status"] == "complete"


async def test_a_lapsed_assignment_is_free_for_the_next_claim_and_so_is_its_reservation(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    await world.set_project(budget_limit=Decimal(1))
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    of_ana = await claim(ana)
    assert (await claim(ben))["status"] == "waiting"
    await world.lapse_all()
    of_ben = await claim(ben)
    assert pair_ids(of_ben) == pair_ids(of_ana)
    assert of_ben["ledger"]["reserved"] == 1
    assert await world.entries_sum() == (0, 1)


async def test_a_pair_that_comes_back_revives_the_same_assignment_with_the_same_side(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(8)
    first = await claim(client, budget=8)
    await world.lapse_all()
    again = await claim(client, budget=8)

    def shown(body: dict[str, Any]) -> dict[str, tuple[str, str]]:
        return {pair["assignment_id"]: (pair["left"], pair["right"]) for pair in body["pairs"]}

    assert shown(first) == shown(again)
    assert again["pairs"][0]["expires_at"] > first["pairs"][0]["expires_at"]


async def test_the_side_is_drawn_for_each_assignment(
    client: httpx.AsyncClient, world: World
) -> None:
    planned = await world.add_pairs(40)
    pairs = {number: await world.pair(number) for number in planned}
    body = await claim(client, budget=40)
    lefts = [
        shown["left"]["response_id"] == encode(IdKind.RESPONSE, pairs[number].first_response_id)
        for number, shown in zip(planned, body["pairs"], strict=True)
    ]
    assert 5 < sum(lefts) < 35  # 40 fair draws are outside of this once in ten million times


async def test_exploration_has_its_share_of_the_assignments_evenly(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(20)
    await world.add_pairs(10, arm="exploration", start=100)
    await world.set_project(exploration=0.25)
    arms = [pair["arm"] for pair in (await claim(client, budget=16))["pairs"]]
    assert [number for number, arm in enumerate(arms) if arm == "exploration"] == [3, 7, 11, 15]


async def test_an_empty_arm_gives_way_to_the_other(client: httpx.AsyncClient, world: World) -> None:
    await world.add_pairs(3, arm="exploration")
    await world.set_project(exploration=0.0)
    assert len((await claim(client, budget=5))["pairs"]) == 3


async def test_the_first_pair_that_fits_a_budget_in_minutes_is_handed_out(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1, expected_seconds=600)
    (short,) = await world.add_pairs(1, expected_seconds=90, start=10)
    await world.set_project(unit="minutes", budget_limit=Decimal(2))
    body = await claim(client, budget=5)
    assert pair_ids(body) == [encode(IdKind.PAIR, short)]
    assert body["pairs"][0]["expected_cost"] == 1.5
    assert body["ledger"]["remaining"] == 0.5


async def test_a_claim_that_looks_again_for_what_fits_hands_out_no_pair_twice(
    client: httpx.AsyncClient, world: World
) -> None:
    # The first two are read together, and the second does not fit after the first.
    planned = [
        number
        for place, seconds in enumerate((120, 240, 60))
        for number in await world.add_pairs(1, expected_seconds=seconds, start=place)
    ]
    await world.set_project(unit="minutes", budget_limit=Decimal(5))
    body = await claim(client, budget=2)
    assert [encode(IdKind.PAIR, number) for number in (planned[0], planned[2])] == pair_ids(body)
    assert await world.entries_sum() == (0, 3)


async def test_a_budget_in_minutes_that_is_overdrawn_hands_nothing_out(
    client: httpx.AsyncClient, world: World
) -> None:
    # Labels may take longer than they were expected to.
    await world.add_pairs(1, expected_seconds=0)
    await world.set_project(unit="minutes", budget_limit=Decimal(1), spent=Decimal(2))
    body = await claim(client)
    assert (body["pairs"], body["status"]) == ([], "exhausted")


async def test_an_annotator_sees_nothing_that_could_bias_a_judgement(
    world: World, annotator_client: ClientFactory, client: httpx.AsyncClient
) -> None:
    await world.add_pairs(2)
    (pair,) = (await claim(await annotator_client("ana")))["pairs"]
    assert set(pair) == {
        "assignment_id",
        "pair_id",
        "prompt_id",
        "prompt",
        "left",
        "right",
        "expected_cost",
        "expires_at",
    }
    (seen_by_admin,) = (await claim(client))["pairs"]
    assert seen_by_admin["similarity"] == pytest.approx(0.3)
    assert (seen_by_admin["arm"], seen_by_admin["propensity"]) == ("strategy", None)


async def test_an_annotator_of_another_project_finds_none(
    annotator_client: ClientFactory, client: httpx.AsyncClient
) -> None:
    made = await client.post("/projects", json={"name": "other"})
    assert made.status_code == 201
    ana = await annotator_client("ana", projects=["other"])
    assert (await ana.get("/next-pairs")).status_code == 404
    assert (await ana.get("/next-pairs", params={"project": "other"})).status_code == 200


@pytest.mark.parametrize("budget", ["0", "-1", "501", "ten", "1.5", ""])
async def test_a_budget_outside_1_to_500_is_refused(client: httpx.AsyncClient, budget: str) -> None:
    answer = await client.get("/next-pairs", params={"budget": budget})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["query", "budget"]


async def test_giving_a_pair_back_frees_it_and_its_reservation(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    (pair,) = (await claim(ana))["pairs"]
    path = f"/assignments/{pair['assignment_id']}"
    assert (await ben.delete(path)).status_code == 404
    assert (await ana.delete(path)).status_code == 204
    assert (await ana.delete(path)).status_code == 204
    assert await world.entries_sum() == (0, 0)
    assert len((await claim(ben))["pairs"]) == 1


async def test_an_answered_assignment_cannot_be_given_back(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    (pair,) = (await claim(client))["pairs"]
    label = {"assignment_id": pair["assignment_id"], "choice": "left"}
    assert (await client.post("/labels", json=label)).status_code == 201
    answer = await client.delete(f"/assignments/{pair['assignment_id']}")
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/assignment-answered")


async def test_a_waiting_claim_is_answered_when_a_pair_is_given_back(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    (pair,) = (await claim(ana))["pairs"]
    waiting = asyncio.create_task(claim(ben, wait=20))
    async with asyncio.timeout(15):
        await asyncio.sleep(0)
        await ana.delete(f"/assignments/{pair['assignment_id']}")
        body = await waiting
    assert pair_ids(body) == [pair["pair_id"]]


async def test_claims_at_once_by_one_key_hold_no_more_than_asked_for(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(20)
    bodies = await asyncio.gather(*(claim(client, budget=2) for _ in range(8)))
    assert {tuple(pair_ids(body)) for body in bodies} == {tuple(pair_ids(bodies[0]))}
    assert (await world.project()).reserved == 2


async def test_claims_at_once_by_many_annotators_stay_within_the_budget(
    world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(30)
    await world.set_project(budget_limit=Decimal(10))
    clients = [await annotator_client(f"annotator-{number}") for number in range(8)]
    bodies = await asyncio.gather(*(claim(client, budget=3) for client in clients))
    handed = [pair_id for body in bodies for pair_id in pair_ids(body)]
    assert len(handed) == len(set(handed)) == 10
