"""The projects' calls."""

from typing import Any

import httpx
import pytest

from app.projects.schemas import PRESETS, Preset
from tests.annotation.conftest import World, world
from tests.support.api import ClientFactory

__all__ = ["world"]


async def make(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/projects", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_the_default_project_always_exists_with_the_documented_defaults(
    client: httpx.AsyncClient,
) -> None:
    project = (await client.get("/projects/default")).json()
    assert project == {
        "name": "default",
        "guidelines": "",
        "plain_text": False,
        "strategy": "auto",
        "budget": {"unit": "labels", "limit": None},
        "labels_per_pair": 1,
        "overlap": {"share": 0.0, "labels": 2},
        "pairs_per_prompt": None,
        "exploration": 0.1,
        "lease_seconds": 1800,
        "cost": {"seconds_base": 8.0, "words_per_minute": 238.0, "hourly_rate": None},
        "ledger": {
            "unit": "labels",
            "limit": None,
            "spent": 0,
            "reserved": 0,
            "remaining": None,
        },
        "counts": {
            "prompts": 0,
            "pending_prompts": 0,
            "failed_prompts": 0,
            "open_pairs": 0,
            "held_assignments": 0,
            "labels": 0,
            "surplus_labels": 0,
            "latest_round": 1,
        },
    }


async def test_a_new_project_has_what_was_sent_and_the_defaults_of_the_rest(
    client: httpx.AsyncClient,
) -> None:
    default = (await client.get("/projects/default")).json()
    made = await make(client, name="one", budget={"unit": "labels", "limit": 50})
    again = (await client.get("/projects/one")).json()
    assert made == again
    assert made["ledger"]["remaining"] == 50
    assert {key for key in made if made[key] != default[key]} == {"name", "budget", "ledger"}


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_fills_what_is_left_out(client: httpx.AsyncClient, preset: Preset) -> None:
    made = await client.post("/projects", json={"name": "p", "preset": preset})
    assert made.status_code == 201, made.text
    expected = dict(PRESETS[preset])
    assert {name: made.json()[name] for name in expected} == expected
    own = {"name": "q", "preset": preset, "exploration": 0.3, "strategy": "random"}
    changed = (await client.post("/projects", json=own)).json()
    assert (changed["exploration"], changed["strategy"]) == (0.3, "random")


@pytest.mark.parametrize("preset", ["REAL", "", 1, ["real"], {}])
async def test_other_presets_are_refused(client: httpx.AsyncClient, preset: Any) -> None:
    answer = await client.post("/projects", json={"name": "p", "preset": preset})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "preset"]


async def test_projects_are_listed_oldest_first(client: httpx.AsyncClient) -> None:
    await make(client, name="one")
    listed = (await client.get("/projects")).json()["projects"]
    assert [project["name"] for project in listed] == ["default", "one"]


async def test_a_taken_name_is_a_conflict(client: httpx.AsyncClient) -> None:
    answer = await client.post("/projects", json={"name": "default"})
    assert answer.status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "Über"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "a", "strategy": "best"}, "strategy"),
        ({"name": "a", "budget": {"unit": "euros"}}, "unit"),
        ({"name": "a", "budget": {"unit": "labels", "limit": -1}}, "limit"),
        ({"name": "a", "budget": {"unit": "labels", "limit": "ten"}}, "limit"),
        ({"name": "a", "budget": {"unit": "labels", "limit": True}}, "limit"),
        ({"name": "a", "budget": {"unit": "labels", "limit": 1.5}}, "budget"),
        ({"name": "a", "budget": {"unit": "money", "limit": 10}}, "hourly_rate"),
        ({"name": "a", "labels_per_pair": 0}, "labels_per_pair"),
        ({"name": "a", "labels_per_pair": 10}, "labels_per_pair"),
        ({"name": "a", "exploration": 1.1}, "exploration"),
        ({"name": "a", "lease_seconds": 9}, "lease_seconds"),
        ({"name": "a", "lease_seconds": 2_592_001}, "lease_seconds"),
        ({"name": "a", "pairs_per_prompt": 0}, "pairs_per_prompt"),
        ({"name": "a", "colour": "red"}, "colour"),
    ],
)
async def test_a_wrong_project_names_the_field(
    client: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await client.post("/projects", json=body)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["errors"][0]["loc"]


async def test_a_change_leaves_what_it_does_not_name(client: httpx.AsyncClient) -> None:
    await make(client, name="one", budget={"unit": "minutes", "limit": 50}, guidelines="Be fair.")
    changed = (await client.patch("/projects/one", json={"budget": {"limit": 60}})).json()
    assert changed["budget"] == {"unit": "minutes", "limit": 60}
    assert changed["guidelines"] == "Be fair."


async def test_a_limit_below_what_is_spent_and_reserved_is_a_conflict(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(3)
    await client.get("/next-pairs", params={"budget": 3})
    answer = await client.patch("/projects/default", json={"budget": {"limit": 2}})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/budget-below-spent")
    answer = await client.patch("/projects/default", json={"budget": {"limit": 3}})
    assert (answer.status_code, answer.json()["ledger"]["remaining"]) == (200, 0)


async def test_the_unit_stays_once_something_is_reserved(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(1)
    change = {"budget": {"unit": "minutes"}}
    assert (await client.patch("/projects/default", json=change)).status_code == 200
    await client.get("/next-pairs")
    answer = await client.patch("/projects/default", json={"budget": {"unit": "labels"}})
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/unit-in-use")


async def test_fewer_labels_per_pair_than_a_pair_has_is_a_conflict(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    (number,) = await world.add_pairs(1)
    assert (await client.patch("/projects/default", json={"labels_per_pair": 3})).status_code == 200
    for name in ("ana", "ben"):
        assert len((await (await annotator_client(name)).get("/next-pairs")).json()["pairs"]) == 1
    answer = await client.patch("/projects/default", json={"labels_per_pair": 1})
    assert answer.status_code == 409
    assert (await client.patch("/projects/default", json={"labels_per_pair": 2})).status_code == 200
    assert (await world.pair(number)).labels_wanted == 2


async def test_what_lapsed_assignments_hold_does_not_stand_against_a_change(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(2, labels_wanted=2)
    for name in ("ana", "ben"):
        held = await (await annotator_client(name)).get("/next-pairs", params={"budget": 2})
        assert len(held.json()["pairs"]) == 2
    change = {"labels_per_pair": 1, "budget": {"limit": 0}}
    assert (await client.patch("/projects/default", json=change)).status_code == 409
    await world.lapse_all()
    answer = await client.patch("/projects/default", json=change)
    assert (answer.status_code, answer.json()["ledger"]["reserved"]) == (200, 0)
    assert await world.entries_sum() == (0, 0)


async def test_an_overlap_stays_changeable_once_its_pairs_have_their_labels(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    overlap = {"share": 1.0, "labels": 2}
    assert (await client.patch("/projects/default", json={"overlap": overlap})).status_code == 200
    await world.add_pairs(1, labels_wanted=2)
    for name in ("ana", "ben"):
        assert len((await (await annotator_client(name)).get("/next-pairs")).json()["pairs"]) == 1
    more = {"overlap": {"share": 1.0, "labels": 3}}
    assert (await client.patch("/projects/default", json=more)).status_code == 200
    none = {"overlap": {"share": 0.0, "labels": 3}}
    assert (await client.patch("/projects/default", json=none)).status_code == 409


async def test_a_limit_in_minutes_may_have_a_fraction_whether_the_unit_is_named_or_not(
    client: httpx.AsyncClient,
) -> None:
    await make(client, name="timed", budget={"unit": "minutes", "limit": 1.5})
    for budget in ({"limit": 2.5}, {"unit": "minutes", "limit": 3.5}):
        answer = await client.patch("/projects/timed", json={"budget": budget})
        assert (answer.status_code, answer.json()["budget"]["limit"]) == (200, budget["limit"])
    answer = await client.patch("/projects/default", json={"budget": {"limit": 2.5}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["body", "budget", "limit"]


async def test_an_hourly_rate_below_what_the_ledger_can_hold_is_refused(
    client: httpx.AsyncClient,
) -> None:
    budget = {"unit": "money", "limit": 5}
    project = {"name": "cheap", "budget": budget, "cost": {"hourly_rate": 1e-9}}
    answer = await client.post("/projects", json=project)
    assert answer.status_code == 422
    assert "hourly_rate" in answer.json()["errors"][0]["loc"]


async def test_deleting_a_project_needs_its_name_once_more(client: httpx.AsyncClient) -> None:
    await make(client, name="one")
    assert (await client.delete("/projects/one")).status_code == 422
    assert (await client.delete("/projects/one", params={"confirm": "two"})).status_code == 422
    assert (await client.delete("/projects/one", params={"confirm": "one"})).status_code == 204
    assert (await client.get("/projects/one")).status_code == 404


async def test_the_default_project_cannot_be_deleted(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/projects/default", params={"confirm": "default"})
    assert answer.status_code == 409


async def test_a_deleted_project_takes_everything_of_it_along(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.add_pairs(2)
    (pair, _) = (await client.get("/next-pairs", params={"budget": 2})).json()["pairs"]
    label = {"assignment_id": pair["assignment_id"], "choice": "left"}
    assert (await client.post("/labels", json=label)).status_code == 201
    await world.set_project(name="doomed")
    answer = await client.delete("/projects/doomed", params={"confirm": "doomed"})
    assert answer.status_code == 204
    assert await world.entries_sum() == (0, 0)


async def test_annotators_see_their_own_projects_and_nothing_that_could_bias(
    client: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    await client.post("/projects", json={"name": "mine", "guidelines": "Be kind."})
    await client.post("/projects", json={"name": "other"})
    ana = await annotator_client("ana", ["mine"])
    (mine,) = (await ana.get("/projects")).json()["projects"]
    assert mine.keys() == {"name", "guidelines", "ledger"}
    assert (await ana.get("/projects/mine")).json() == mine
    assert mine["guidelines"] == "Be kind."
    assert (await ana.get("/projects/other")).status_code == 404
    everywhere = await annotator_client("ben")
    names = [each["name"] for each in (await everywhere.get("/projects")).json()["projects"]]
    assert names == ["default", "mine", "other"]
    page = (await everywhere.get("/projects", params={"limit": 2})).json()
    rest = await everywhere.get("/projects", params={"cursor": page["next_cursor"]})
    assert [each["name"] for each in rest.json()["projects"]] == ["other"]


async def test_the_strategies_are_listed_with_the_default_first(client: httpx.AsyncClient) -> None:
    strategies = (await client.get("/strategies")).json()["strategies"]
    assert strategies[0]["name"] == "auto"
    assert [each["name"] for each in strategies if each["is_default"]] == ["auto"]
    assert {"dissimilar", "random"} <= {each["name"] for each in strategies}
    for each in strategies:
        made = await client.post("/projects", json={"name": each["name"], "strategy": each["name"]})
        assert made.status_code == 201
