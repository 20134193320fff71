"""`POST /pairs/{id}/correction`: an admin answers in place of others, in one step."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from app.annotation.verify import find_differences
from tests.annotation.conftest import World
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory

Answer = dict[str, Any]


@pytest.fixture
async def disputed(
    client: httpx.AsyncClient, annotator_client: ClientFactory, world: World
) -> Answer:
    """A pair of two labels: ana prefers the first response, ben the second."""
    await world.set_project(exploration=0, labels_per_pair=2, budget_limit=2)
    await world.add_pairs(1, labels_wanted=2)
    for name, preferred in (("ana", min), ("ben", max)):
        annotator = await annotator_client(name)
        (pair,) = await held(annotator)
        ids = {pair[side]["response_id"]: side for side in ("left", "right")}
        await post(
            annotator, {"assignment_id": pair["assignment_id"], "choice": ids[preferred(ids)]}
        )
    (found,) = (await client.get("/pairs")).json()["pairs"]
    argued: Answer = found
    assert [label["annotator"] for label in argued["labels"]] == ["ana", "ben"]
    return argued


async def correct(
    client: httpx.AsyncClient, pair: Answer, sent: Answer, status: int = 201
) -> Answer:
    answer = await client.post(f"/pairs/{pair['id']}/correction", json=sent)
    assert answer.status_code == status, answer.text
    body: Answer = answer.json()
    return body


def _wrong(pair: Answer) -> Answer:
    """The correction that takes ben's label away and says as ana did."""
    ana, ben = pair["labels"]
    return {
        "withdraw": [ben["id"]],
        "preferred_response_id": ana["preferred_response_id"],
        "strength": 2,
        "rationale": "the other invents",
    }


async def _sound(world: World) -> None:
    async with world.sessions() as session:
        assert await find_differences(session) == []


async def test_a_correction_takes_the_place_of_the_label_it_withdraws(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    corrected = await correct(client, disputed, _wrong(disputed))
    ana, ben, mine = corrected["pair"]["labels"]
    assert (ana["status"], ben["status"], mine["status"]) == ("counted", "withdrawn", "counted")
    assert (ben["withdrawn_by"], mine["annotator"]) == ("admin", "admin")
    assert mine["id"] == corrected["label"]["id"]
    assert mine["preferred_response_id"] == ana["preferred_response_id"]
    assert (mine["strength"], mine["rationale"]) == (2, "the other invents")
    # What is recorded as the left side is what the pair's list shows first.
    assert mine["left_response_id"] == disputed["responses"][0]["response_id"]
    assert mine["choice"] == "left"
    assert corrected["ledger"]["spent"] == 2
    assert (await client.get("/labels", params={"disagreement": True})).json()["labels"] == []
    await _sound(world)


async def test_the_same_correction_again_changes_nothing(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    first = await correct(client, disputed, _wrong(disputed))
    assert await correct(client, disputed, _wrong(disputed), status=200) == first
    await _sound(world)


async def test_five_corrections_at_once_are_one(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    path = f"/pairs/{disputed['id']}/correction"
    answers = await asyncio.gather(*(client.post(path, json=_wrong(disputed)) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 201]
    assert len({answer.json()["label"]["id"] for answer in answers}) == 1
    await _sound(world)


async def test_another_answer_needs_ones_own_label_withdrawn(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    mine = (await correct(client, disputed, _wrong(disputed)))["label"]
    refused = await correct(client, disputed, {"choice": "tie"}, status=409)
    assert refused["type"].endswith("/label-differs")
    assert "withdraw" in refused["detail"]
    again = {"withdraw": [mine["id"]], "choice": "tie"}
    corrected = await correct(client, disputed, again)
    statuses = [label["status"] for label in corrected["pair"]["labels"]]
    assert statuses == ["counted", "withdrawn", "withdrawn", "counted"]
    assert corrected["pair"]["labels"][-1]["choice"] == "tie"
    await _sound(world)


async def test_an_answer_that_would_not_count_is_refused_whole(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    refused = await correct(client, disputed, {"choice": "tie"}, status=409)
    assert refused["type"].endswith("/pair-full")
    assert (await client.get(f"/pairs/{disputed['id']}")).json() == disputed
    await _sound(world)


async def test_a_label_of_another_pair_is_refused_and_nothing_is_withdrawn(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    for stranger in ("lbl_0000000000099", "pair_0000000000001", "?"):
        sent = _wrong(disputed)
        sent["withdraw"] = [*sent["withdraw"], stranger]
        refused = await correct(client, disputed, sent, status=404)
        assert "withdraw.1" in refused["detail"]
    assert (await client.get(f"/pairs/{disputed['id']}")).json() == disputed


async def test_a_surplus_label_does_not_take_the_room_of_the_correction(
    client: httpx.AsyncClient, annotator_client: ClientFactory, world: World
) -> None:
    await world.set_project(exploration=0, budget_limit=10)
    (number,) = await world.add_pairs(1)
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    (hers,) = await held(ana)
    await world.lapse_all()
    (his,) = await held(ben)
    first = await post(ben, {"assignment_id": his["assignment_id"], "choice": "left"})
    late = await post(ana, {"assignment_id": hers["assignment_id"], "choice": "both_bad"})
    assert late["labels"][0]["status"] == "surplus"
    (pair,) = (await client.get("/pairs")).json()["pairs"]
    sent = {"withdraw": [first["labels"][0]["id"]], "choice": "tie"}
    corrected = await correct(client, pair, sent)
    by_name = {label["annotator"]: label["status"] for label in corrected["pair"]["labels"]}
    assert by_name == {"ben": "withdrawn", "ana": "surplus", "admin": "counted"}
    assert (await world.pair(number)).counted == 1
    await _sound(world)


async def test_room_that_is_left_over_is_for_a_surplus_label(
    client: httpx.AsyncClient, annotator_client: ClientFactory, world: World
) -> None:
    await world.set_project(exploration=0, budget_limit=10, labels_per_pair=2)
    (number,) = await world.add_pairs(1, labels_wanted=2)
    ana, ben, chi = [await annotator_client(name) for name in ("ana", "ben", "chi")]
    (hers,) = await held(ana)
    await world.lapse_all()
    counted = []
    for annotator in (ben, chi):
        (pair,) = await held(annotator)
        sent = {"assignment_id": pair["assignment_id"], "choice": "left"}
        counted.append((await post(annotator, sent))["labels"][0]["id"])
    late = await post(ana, {"assignment_id": hers["assignment_id"], "choice": "tie"})
    assert late["labels"][0]["status"] == "surplus"
    (found,) = (await client.get("/pairs")).json()["pairs"]
    corrected = await correct(client, found, {"withdraw": counted, "choice": "tie"})
    by_name = {label["annotator"]: label["status"] for label in corrected["pair"]["labels"]}
    assert by_name == {"ben": "withdrawn", "chi": "withdrawn", "ana": "counted", "admin": "counted"}
    assert (await world.pair(number)).counted == 2
    assert corrected["ledger"]["spent"] == 2
    await _sound(world)


async def test_a_pair_that_the_admin_holds_is_settled_as_held(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.set_project(exploration=0, budget_limit=1)
    await world.add_pairs(1)
    (pair,) = await held(client)
    preferred = pair["right"]["response_id"]
    corrected = await correct(client, {"id": pair["pair_id"]}, {"preferred_response_id": preferred})
    assert corrected["label"]["choice"] == "right"
    assert corrected["label"]["preferred_response_id"] == preferred
    assert (corrected["ledger"]["spent"], corrected["ledger"]["reserved"]) == (1, 0)
    await _sound(world)


async def test_in_minutes_a_correction_costs_its_seconds(
    client: httpx.AsyncClient, disputed: Answer, world: World
) -> None:
    await world.set_project(unit="minutes", budget_limit=10)
    corrected = await correct(client, disputed, _wrong(disputed) | {"seconds": 30.0})
    assert Decimal(str(corrected["ledger"]["spent"])) == Decimal("1.5")


async def test_an_imported_label_is_corrected_at_no_cost(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.set_project(budget_limit=0)
    sent = {
        "id": "q",
        "prompt": "?",
        "responses": [{"id": "a", "text": "yes"}, {"id": "b", "text": "no"}],
    }
    stored = (await client.post("/prompts", json=sent)).json()["prompts"][0]
    imported = {"prompt_id": "q", "preferred": "a", "rejected": "b", "annotator": "voter"}
    await post(client, imported)
    (pair,) = (await client.get("/pairs")).json()["pairs"]
    assert (pair["arm"], pair["labels"][0]["left_response_id"]) == ("imported", None)
    better = stored["responses"][1]["id"]
    correction = {
        "withdraw": [pair["labels"][0]["id"]],
        "preferred_response_id": better,
        "rationale": "so it is",
        "edited": "no, never",
        "edited_rejected": "yes, but no",
    }
    corrected = await correct(client, pair, correction)
    assert await correct(client, pair, correction, status=200) == corrected
    voter, mine = corrected["pair"]["labels"]
    assert (voter["status"], mine["status"]) == ("withdrawn", "counted")
    assert (mine["preferred_response_id"], mine["edited"]) == (better, "no, never")
    assert mine["edited_rejected"] == "yes, but no"
    assert (mine["rationale"], corrected["ledger"]["spent"]) == ("so it is", 0)
    await correct(client, pair, {"choice": "tie"}, status=409)
    await _sound(world)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, None),
        ({"choice": "tie", "preferred_response_id": "rsp_0000000000001"}, None),
        ({"choice": "left"}, "choice"),
        ({"choice": "tie", "strength": 1}, None),
        ({"choice": "tie", "edited": "x"}, None),
        ({"choice": "tie", "edited_rejected": "x"}, None),
        ({"choice": "tie", "seconds": -1}, "seconds"),
        ({"choice": "tie", "withdraw": "lbl_0000000000001"}, "withdraw"),
        ({"choice": "tie", "reason": "?"}, "reason"),
        ({"preferred_response_id": "rsp_0000000000099"}, "preferred_response_id"),
    ],
)
async def test_a_correction_of_the_wrong_form_is_refused(
    client: httpx.AsyncClient, disputed: Answer, sent: Answer, field: str | None
) -> None:
    refused = await correct(client, disputed, sent, status=422)
    assert refused["errors"][0]["loc"] == (["body", field] if field else ["body"])
    assert (await client.get(f"/pairs/{disputed['id']}")).json() == disputed


async def test_only_admins_correct(annotator_client: ClientFactory, disputed: Answer) -> None:
    chi = await annotator_client("chi")
    refused = await correct(chi, disputed, {"choice": "tie"}, status=403)
    assert refused["type"].endswith("/forbidden")
