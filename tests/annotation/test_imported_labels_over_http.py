"""`POST /labels` with imported labels and rankings."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.annotation.test_settle import held, post
from tests.support.api import ClientFactory


@pytest.fixture
async def prompt(client: httpx.AsyncClient) -> dict[str, Any]:
    """A prompt `p` with the responses `a` to `d`."""
    body = {
        "id": "p",
        "prompt": "Which?",
        "responses": [
            {"id": name, "text": f"answer {name}", "embedding": [1.0, float(place)]}
            for place, name in enumerate("abcd")
        ],
    }
    answer = await client.post("/prompts", json=body)
    assert answer.status_code == 201, answer.text
    taken: dict[str, Any] = answer.json()["prompts"][0]
    return taken


async def test_an_imported_preference_counts_and_costs_nothing(
    client: httpx.AsyncClient, prompt: dict[str, Any], world: World
) -> None:
    ids = {response["external_id"]: response["id"] for response in prompt["responses"]}
    body = await post(client, {"prompt_id": "p", "preferred": "b", "rejected": "a", "strength": 3})
    (label,) = body["labels"]
    assert (label["preferred_response_id"], label["rejected_response_id"]) == (ids["b"], ids["a"])
    assert label["status"] == "counted"
    assert await world.entries_sum() == (0, 0)
    assert (await client.get("/labels")).json()["labels"][0]["annotator"] == "import"
    # By our ids it is the same label.
    again = {"prompt_id": prompt["id"], "preferred": ids["b"], "rejected": ids["a"]}
    await post(client, again, status=200)
    await post(client, {**again, "preferred": ids["a"], "rejected": ids["b"]}, status=409)
    await post(client, {**again, "preferred": "a", "rejected": "b", "annotator": "ben"})


async def test_a_ranking_is_all_the_preferences_and_ties_that_it_implies(
    client: httpx.AsyncClient, prompt: dict[str, Any]
) -> None:
    names = {response["id"]: response["external_id"] for response in prompt["responses"]}
    body = await post(client, {"prompt_id": "p", "ranking": [["c"], ["a", "d"], ["b"]]})
    preferences = {
        (names[label["preferred_response_id"]], names[label["rejected_response_id"]])
        for label in body["labels"]
        if label["preferred_response_id"]
    }
    assert preferences == {("c", "a"), ("c", "d"), ("c", "b"), ("a", "b"), ("d", "b")}
    assert [label["choice"] for label in body["labels"]].count("tie") == 1
    assert (await client.get("/projects/default")).json()["counts"]["labels"] == 6


@pytest.mark.parametrize(
    ("label", "status"),
    [
        ({"prompt_id": "none", "preferred": "a", "rejected": "b"}, 404),
        ({"prompt_id": "p", "preferred": "a", "rejected": "z"}, 422),
        ({"prompt_id": "p", "preferred": "a", "rejected": "a"}, 422),
        ({"prompt_id": "p", "preferred": "a"}, 422),
        ({"prompt_id": "p", "ranking": [["a"]]}, 422),
        ({"prompt_id": "p", "ranking": [["a"], ["a"]]}, 422),
        ({"prompt_id": "p", "ranking": [["a"], []]}, 422),
        ({"prompt_id": "p", "ranking": []}, 422),
        ({"prompt_id": "p", "ranking": [["a"], ["z"]]}, 422),
        ({"prompt_id": "p" * 10_000, "preferred": "a", "rejected": "b"}, 422),
    ],
)
async def test_a_wrong_imported_label_is_refused_and_nothing_is_stored(
    client: httpx.AsyncClient, prompt: dict[str, Any], label: dict[str, Any], status: int
) -> None:
    good = {"prompt_id": "p", "preferred": "c", "rejected": "d"}
    await post(client, {"labels": [good, label]}, status=status)
    assert (await client.get("/labels")).json()["labels"] == []


async def test_only_admins_import_labels(
    annotator_client: ClientFactory, prompt: dict[str, Any]
) -> None:
    label = {"prompt_id": "p", "preferred": "a", "rejected": "b"}
    await post(await annotator_client("ana"), label, status=403)


async def test_answers_and_imported_labels_need_separate_requests(
    client: httpx.AsyncClient, prompt: dict[str, Any]
) -> None:
    imported = {"prompt_id": "p", "preferred": "a", "rejected": "b"}
    answer = {"assignment_id": "asg_0000000000001", "choice": "left"}
    await post(client, {"labels": [imported, answer]}, status=422)


async def test_an_annotator_with_an_imported_label_is_not_asked_again(
    client: httpx.AsyncClient, world: World, annotator_client: ClientFactory
) -> None:
    await world.add_pairs(1, labels_wanted=3)
    await post(
        client,
        {"ranking": _responses(await held(client)), "prompt_id": "strategy-0", "annotator": "ana"},
    )
    ana, ben = await annotator_client("ana"), await annotator_client("ben")
    assert (await claim(ana))["pairs"] == []
    assert len((await claim(ben))["pairs"]) == 1


def _responses(pairs: list[dict[str, Any]]) -> list[list[str]]:
    return [[pairs[0]["left"]["response_id"]], [pairs[0]["right"]["response_id"]]]


@pytest.fixture
async def elsewhere(client: httpx.AsyncClient) -> dict[str, Any]:
    """A prompt of another project, with the caller's same id `p`."""
    assert (await client.post("/projects", json={"name": "other"})).status_code == 201
    body = {
        "id": "p",
        "prompt": "Which else?",
        "responses": [
            {"id": name, "text": f"answer {name}", "embedding": [1.0, float(place)]}
            for place, name in enumerate("abcd")
        ],
    }
    answer = await client.post("/prompts", json=body, params={"project": "other"})
    assert answer.status_code == 201, answer.text
    taken: dict[str, Any] = answer.json()["prompts"][0]
    return taken


async def _labels_of(client: httpx.AsyncClient, project: str) -> list[str]:
    listed = (await client.get("/labels", params={"project": project})).json()["labels"]
    return [label["prompt_id"] for label in listed]


async def test_our_id_of_a_prompt_needs_no_project(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    await client.patch("/projects/other", json={"budget": {"unit": "labels", "limit": 77}})
    first, second = (response["id"] for response in elsewhere["responses"][:2])
    by_our_ids = {"prompt_id": elsewhere["id"], "preferred": first, "rejected": second}

    body = await post(client, by_our_ids)

    assert body["ledger"]["limit"] == 77  # of the prompt's project
    assert await _labels_of(client, "other") == [elsewhere["id"]]
    assert await _labels_of(client, "default") == []
    by_both = {"prompt_id": elsewhere["id"], "ranking": [["a"], ["b"]]}
    await post(client, by_both, status=200)  # the same label again


async def test_the_callers_ids_mean_the_given_project_or_the_default_one(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    label = {"prompt_id": "p", "preferred": "a", "rejected": "b"}
    await post(client, label)
    assert await _labels_of(client, "default") == [prompt["id"]]
    assert await _labels_of(client, "other") == []
    answer = await client.post("/labels", json=label, params={"project": "other"})
    assert answer.status_code == 201
    assert await _labels_of(client, "other") == [elsewhere["id"]]


async def test_a_given_project_must_hold_the_prompt(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    label = {"prompt_id": elsewhere["id"], "preferred": "a", "rejected": "b"}
    answer = await client.post("/labels", json=label, params={"project": "default"})
    assert answer.status_code == 404
    assert await _labels_of(client, "other") == []


async def test_one_batch_may_name_prompts_of_one_project_in_both_ways(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    ours = {"prompt_id": prompt["id"], "preferred": "a", "rejected": "b"}
    callers = {"prompt_id": "p", "preferred": "c", "rejected": "d"}
    await post(client, {"labels": [ours, callers]})
    assert await _labels_of(client, "default") == [prompt["id"]] * 2


async def test_a_batch_of_several_projects_is_refused_as_a_whole(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    here = {"prompt_id": prompt["id"], "preferred": "a", "rejected": "b"}
    there = {"prompt_id": elsewhere["id"], "preferred": "a", "rejected": "b"}
    callers = {"prompt_id": "p", "preferred": "a", "rejected": "b"}
    for batch in ([here, there], [callers, there], [there, callers]):
        body = await post(client, {"labels": batch}, status=422)
        assert body["errors"] == [
            {"loc": ["body", "labels"], "msg": "the prompts are of several projects"}
        ]
    unknown = {**there, "prompt_id": "prm_000000000zzzz"}
    body = await post(client, {"labels": [there, unknown]}, status=404)
    assert body["detail"].startswith("labels.1.prompt_id")
    assert await _labels_of(client, "default") == await _labels_of(client, "other") == []


async def test_a_callers_id_that_looks_like_ours_is_the_callers(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    named = {
        "id": elsewhere["id"],
        "prompt": "Named like another prompt.",
        "responses": [
            {"id": "a", "text": "x", "embedding": [1, 0]},
            {"id": "b", "text": "y", "embedding": [0, 1]},
        ],
    }
    taken = (await client.post("/prompts", json=named)).json()["prompts"][0]
    await post(client, {"prompt_id": elsewhere["id"], "preferred": "a", "rejected": "b"})
    assert await _labels_of(client, "default") == [taken["id"]]


async def test_a_prompt_that_is_being_erased_is_not_found(
    client: httpx.AsyncClient, prompt: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    label = {"prompt_id": elsewhere["id"], "preferred": "a", "rejected": "b"}
    answers = await asyncio.gather(
        client.delete(f"/prompts/{elsewhere['id']}"), client.post("/labels", json=label)
    )
    assert answers[0].status_code == 204
    assert answers[1].status_code in {201, 404}
    assert await _labels_of(client, "other") == []
    assert (await client.get("/projects/other")).json()["counts"]["labels"] == 0
