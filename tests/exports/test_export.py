import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.storage.ids import IdKind, encode
from tests.exports.dataset import (
    add_label,
    add_labelled_prompt,
    add_pair,
    add_project,
    add_prompt,
)

Rows = list[dict[str, Any]]


@pytest.fixture
async def stored(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """What a test stores before it exports; ``commit`` shows it to the service."""
    async with sessions() as session:
        yield session


@pytest.fixture
async def project_id(stored: AsyncSession) -> int:
    """The project ``p``, without prompts."""
    return await add_project(stored, "p")


async def _export(client: httpx.AsyncClient, **query: Any) -> httpx.Response:
    answer = await client.get("/exports/dpo", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return answer


async def _rows(client: httpx.AsyncClient, **query: Any) -> Rows:
    answer = await _export(client, **query)
    return [json.loads(line) for line in answer.content.splitlines()]


async def test_the_recipes_are_listed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/exports")

    assert answer.status_code == 200
    (dpo,) = [recipe for recipe in answer.json()["recipes"] if recipe["name"] == "dpo"]
    assert dpo["columns"] == ["prompt", "chosen", "rejected"]
    assert dpo["description"]


async def test_rows_come_by_prompt_and_pair_with_exactly_the_columns(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    late, (a, b, c) = await add_prompt(stored, project_id, "several", ["a", "b", "c"])
    await add_labelled_prompt(stored, project_id, "one pair", "good", "bad")
    for winner, loser in ((c, a), (a, b)):
        await add_label(stored, await add_pair(stored, late, winner, loser), winner)
    await stored.commit()

    answer = await _export(client)

    expected = (
        b'{"prompt":"several","chosen":"c","rejected":"a"}\n'
        b'{"prompt":"several","chosen":"a","rejected":"b"}\n'
        b'{"prompt":"one pair","chosen":"good","rejected":"bad"}\n'
    )
    assert expected == answer.content
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="p-dpo-all.jsonl"'
    assert answer.headers["x-pending-prompts"] == "0"
    assert answer.headers["cache-control"] == "no-store"


async def test_what_is_no_counted_preference_gives_no_row(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    answers = [
        ("tie", "counted"),
        ("both_bad", "counted"),
        ("skip", "skipped"),
        ("left", "surplus"),
        ("left", "withdrawn"),
    ]
    for choice, status in answers:
        prompt, (one, other) = await add_prompt(
            stored, project_id, f"{choice} {status}", ["good", "bad"]
        )
        pair = await add_pair(stored, prompt, one, other)
        preferred = one if choice == "left" else None
        await add_label(stored, pair, preferred, choice=choice, status=status)
    await stored.commit()

    assert await _rows(client) == []


async def test_surplus_labels_are_taken_when_asked_for(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    prompt, (one, other) = await add_prompt(stored, project_id, "x", ["1", "2"])
    pair = await add_pair(stored, prompt, one, other)
    await add_label(stored, pair, one, annotator="ana")
    for annotator in ("bo", "cy"):
        await add_label(stored, pair, other, annotator=annotator, status="surplus")
    await stored.commit()

    assert [row["chosen"] for row in await _rows(client)] == ["1"]
    assert [row["chosen"] for row in await _rows(client, surplus=True)] == ["2"]


async def test_pairs_below_the_agreement_are_left_out(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    prompt, (one, other) = await add_prompt(stored, project_id, "x", ["1", "2"])
    pair = await add_pair(stored, prompt, one, other)
    for annotator, preferred in (("ana", one), ("bo", other), ("cy", one), ("di", None)):
        await add_label(stored, pair, preferred, annotator=annotator)
    even, (left, right) = await add_prompt(stored, project_id, "y", ["3", "4"])
    even_pair = await add_pair(stored, even, left, right)
    for annotator, preferred in (("ana", left), ("bo", right)):
        await add_label(stored, even_pair, preferred, annotator=annotator)
    await stored.commit()

    (row,) = await _rows(client, min_agreement=0.66, metadata=True)

    assert (row["chosen"], row["agreement"], row["labels"]) == ("1", 2 / 3, 4)
    assert await _rows(client, min_agreement=0.67) == []


async def test_two_responses_of_the_same_text_are_never_a_row(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    await add_labelled_prompt(stored, project_id, "x", "the same", " the same\n")
    await stored.commit()

    assert await _rows(client) == []


async def test_prompts_without_a_group_are_left_out_and_counted(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    await add_labelled_prompt(stored, project_id, "planned", "a", "b")
    await add_labelled_prompt(stored, project_id, "imported just now", "a", "b", group=None)
    await add_labelled_prompt(stored, await add_project(stored, "q"), "x", "a", "b", group=None)
    await stored.commit()

    answer = await _export(client)

    assert answer.headers["x-pending-prompts"] == "1"
    assert answer.content.count(b"\n") == 1


async def test_another_projects_labels_are_not_in_the_file(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    await add_labelled_prompt(stored, await add_project(stored, "q"), "theirs", "a", "b")
    await stored.commit()

    assert await _rows(client) == []
    assert [row["prompt"] for row in await _rows(client, project="q")] == ["theirs"]


async def test_train_and_test_are_the_whole_and_share_no_group(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    for number in range(40):
        group = 1000 + number // 2
        await add_labelled_prompt(stored, project_id, f"{group} {number}", "a", "b", group=group)
    await stored.commit()

    whole = await _rows(client)
    train, test = [
        await _rows(client, split=split, test_fraction=0.3, seed=5) for split in ("train", "test")
    ]

    assert train
    assert test
    assert whole == sorted(train + test, key=whole.index)
    groups_of_train, groups_of_test = (
        {row["prompt"].split()[0] for row in rows} for rows in (train, test)
    )
    assert groups_of_train.isdisjoint(groups_of_test)


async def test_metadata_tells_where_a_row_came_from(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    prompt, (one, other) = await add_prompt(stored, project_id, "x", ["1", "2"], external_id="mine")
    pair = await add_pair(
        stored, prompt, one, other,
        arm="exploration", strategy="random", propensity=1.0, similarity=0.75,
    )  # fmt: skip
    await add_label(stored, pair, other, strength=2)
    await stored.commit()

    (row,) = await _rows(client, metadata=True)

    assert row == {
        "prompt": "x",
        "chosen": "2",
        "rejected": "1",
        "prompt_id": encode(IdKind.PROMPT, prompt.id),
        "prompt_external_id": "mine",
        "chosen_id": encode(IdKind.RESPONSE, other.id),
        "chosen_external_id": "mine-1",
        "rejected_id": encode(IdKind.RESPONSE, one.id),
        "rejected_external_id": "mine-0",
        "margin": 2.0,
        "agreement": 1.0,
        "labels": 1,
        "similarity": 0.75,
        "arm": "exploration",
        "propensity": 1.0,
        "strategy": "random",
    }


async def test_margin_is_the_gap_of_the_rewards_in_the_whole_file_if_one_row_has_no_strength(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    for number, strength in enumerate((1, None, 3)):
        group = 1000 + number
        prompt, (one, other) = await add_prompt(
            stored, project_id, str(group), ["1", "2"], group=group
        )
        pair = await add_pair(stored, prompt, one, other)
        await add_label(stored, pair, one, strength=strength)
        await add_label(stored, pair, None, annotator="bo")
    await stored.commit()

    async def margins(**query: Any) -> dict[str, Any]:
        rows = await _rows(client, metadata=True, **query)
        return {row["prompt"]: row["margin"] for row in rows}

    whole = await margins()
    train, test = [
        await margins(split=split, test_fraction=0.5, seed=3) for split in ("train", "test")
    ]

    assert all(margin is not None and margin >= 0 for margin in whole.values())
    assert not whole.items() & {"1000": 1.0, "1002": 3.0}.items()
    with_strength, without = (train, test) if "1001" not in train else (test, train)
    assert with_strength.items() <= {"1000": 1.0, "1002": 3.0}.items()
    assert with_strength
    assert without.items() <= whole.items()


async def test_a_label_of_no_preference_needs_no_strength_for_the_margin(
    client: httpx.AsyncClient, stored: AsyncSession, project_id: int
) -> None:
    prompt, (one, other) = await add_prompt(stored, project_id, "x", ["1", "2"])
    pair = await add_pair(stored, prompt, one, other)
    for annotator, preferred, strength in (("ana", one, 3), ("bo", one, None), ("cy", None, None)):
        await add_label(stored, pair, preferred, annotator=annotator, strength=strength)
    await stored.commit()

    assert [row["margin"] for row in await _rows(client, metadata=True)] == [3.0]


async def test_a_wrong_parameter_is_named(client: httpx.AsyncClient) -> None:
    wrong = [
        ("file", "csv"),
        ("layout", "chatml"),
        ("split", "validation"),
        ("test_fraction", "1.5"),
        ("test_fraction", "-0.1"),
        ("test_fraction", "nan"),
        ("seed", "1.5"),
        ("seed", str(2**63)),
        ("min_agreement", "2"),
        ("min_agreement", "inf"),
        ("surplus", "maybe"),
        ("metadata", "2"),
        ("aggregation", "mean"),
        ("compression", "zip"),
    ]

    for field, value in wrong:
        answer = await client.get("/exports/dpo", params={field: value})

        assert answer.status_code == 422, (field, value)
        assert answer.headers["content-type"] == "application/problem+json"
        assert [["query", field]] == [error["loc"] for error in answer.json()["errors"]]


async def test_an_unknown_recipe_or_project_is_told(client: httpx.AsyncClient) -> None:
    recipe = await client.get("/exports/dop")
    project = await client.get("/exports/dpo", params={"project": "nowhere"})

    assert (recipe.status_code, _slug(recipe)) == (404, "unknown-recipe")
    assert (project.status_code, _slug(project)) == (404, "unknown-project")


def _slug(answer: httpx.Response) -> str:
    return str(answer.json()["type"]).rpartition("/")[2]


@pytest.mark.parametrize("path", ["/exports", "/exports/dpo"])
async def test_only_an_admin_may_export(
    path: str,
    anonymous: httpx.AsyncClient,
    annotator_client: Callable[..., Awaitable[httpx.AsyncClient]],
) -> None:
    annotator = await annotator_client("ana")

    assert (await anonymous.get(path)).status_code == 401
    assert (await annotator.get(path)).status_code == 403


async def test_every_error_and_media_type_is_documented(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/exports/{recipe}"]["get"]

    assert {"200", "401", "403", "404", "409", "422"} <= set(operation["responses"])
    assert {"application/x-ndjson", "application/vnd.apache.parquet", "application/gzip"} == set(
        operation["responses"]["200"]["content"]
    )
