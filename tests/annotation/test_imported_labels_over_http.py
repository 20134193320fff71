"""`POST /labels` with imported labels and rankings."""

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
