import io
import json
import secrets
import zipfile
from typing import Any

import httpx
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.exports.recipes import RECIPES
from tests.exports.dataset import add_label, add_pair, add_project, add_prompt

votes = st.tuples(
    st.sampled_from(["first", "second", "tie", "both_bad"]),
    st.sampled_from(["counted", "surplus", "withdrawn"]),
    st.none() | st.integers(1, 3),
)
pairs = st.tuples(
    st.sampled_from([(0, 1), (1, 0), (1, 2), (2, 0)]), st.lists(votes, min_size=1, max_size=4)
)
prompts = st.fixed_dictionaries(
    {
        "group": st.none() | st.integers(1, 4),
        "texts": st.lists(st.sampled_from(["a", "b", "b ", "c"]), min_size=3, max_size=3),
        "pairs": st.lists(pairs, max_size=3, unique_by=lambda pair: frozenset(pair[0])),
    }
)


async def _store(session: AsyncSession, name: str, drawn: list[dict[str, Any]]) -> None:
    project_id = await add_project(session, name)
    for number, item in enumerate(drawn):
        prompt, responses = await add_prompt(
            session, project_id, f"{number}", item["texts"], group=item["group"]
        )
        for (one, other), labels in item["pairs"]:
            pair = await add_pair(session, prompt, responses[one], responses[other])
            for annotator, (choice, status, strength) in enumerate(labels):
                preferred = {"first": responses[one], "second": responses[other]}.get(choice)
                await add_label(
                    session,
                    pair,
                    preferred,
                    choice=None if preferred else choice,
                    annotator=str(annotator),
                    status=status,
                    strength=strength if preferred else None,
                )


@given(
    drawn=st.lists(prompts, max_size=6),
    surplus=st.booleans(),
    min_agreement=st.sampled_from([0.0, 0.5, 0.7, 1.0]),
    seed=st.integers(0, 5),
)
@settings(
    max_examples=25,
    deadline=None,
    # Every example stores into a project of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_labels_give_a_strict_file(
    client: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    drawn: list[dict[str, Any]],
    surplus: bool,
    min_agreement: float,
    seed: int,
) -> None:
    name = secrets.token_hex(8)
    async with sessions.begin() as session:
        await _store(session, name, drawn)
    query = httpx.QueryParams(
        project=name,
        surplus=surplus,
        min_agreement=min_agreement,
        seed=seed,
        test_fraction=0.5,
        metadata=True,
    )

    async def export(split: str) -> bytes:
        answer = await client.get("/exports/dpo", params=query.set("split", split))
        assert answer.status_code == 200
        return answer.content

    whole, train, test = [
        [json.loads(line) for line in (await export(split)).splitlines()]
        for split in ("all", "train", "test")
    ]

    assert await export("all") == await export("all")
    assert all(row["chosen"].strip() != row["rejected"].strip() for row in whole)
    exported = [{row["chosen_id"], row["rejected_id"]} for row in whole]
    assert len(exported) == len({frozenset(pair) for pair in exported})
    groups_of_train, groups_of_test = (
        {drawn[int(row["prompt"])]["group"] for row in rows} for rows in (train, test)
    )
    assert groups_of_train.isdisjoint(groups_of_test)
    assert None not in groups_of_train | groups_of_test
    assert len(whole) == len(train) + len(test)
    assert len({row["margin"] is None for row in whole}) <= 1
    _assert_counted(_decided(drawn, surplus=surplus, min_agreement=min_agreement), whole)


Decided = dict[str, list[tuple[str, str]]]
"""By prompt, the better and the worse text of each pair with a clear majority."""


def _assert_counted(decided: Decided, rows: list[dict[str, Any]]) -> None:
    """All of them are there, but for some where they run in a circle; and no circle is."""
    for prompt, expected in decided.items():
        found = [
            (row["chosen"].strip(), row["rejected"].strip())
            for row in rows
            if row["prompt"] == prompt
        ]
        assert not _has_circle(found)
        if _has_circle(expected):
            assert set(found) < set(expected) or len(found) < len(expected)
        else:
            assert sorted(found) == sorted(expected)
    assert {row["prompt"] for row in rows} <= decided.keys()


def _has_circle(pairs: list[tuple[str, str]]) -> bool:
    left = set(pairs)
    while left:
        losers = {worse for _, worse in left}
        rest = {pair for pair in left if pair[0] in losers}
        if rest == left:
            return True
        left = rest
    return False


def _decided(drawn: list[dict[str, Any]], *, surplus: bool, min_agreement: float) -> Decided:
    """The rule once more, by counting: a clear majority in a planned prompt, texts that differ."""
    statuses = {"counted", "surplus"} if surplus else {"counted"}
    decided: Decided = {}
    for number, prompt in enumerate(drawn):
        if prompt["group"] is None:
            continue
        for places, labels in prompt["pairs"]:
            taken = [choice for choice, status, _ in labels if status in statuses]
            first, second = taken.count("first"), taken.count("second")
            texts = [prompt["texts"][place].strip() for place in places]
            if second > first:
                first, second = second, first
                texts.reverse()
            is_clear = first > second and first / (first + second) >= min_agreement
            if is_clear and texts[0] != texts[1]:
                decided.setdefault(str(number), []).append((texts[0], texts[1]))
    return decided


@given(
    drawn=st.lists(prompts, max_size=6),
    recipe=st.sampled_from(sorted(RECIPES)),
    aggregation=st.sampled_from(["majority", "dawid-skene"]),
    layout=st.sampled_from(["standard", "conversational"]),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_any_labels_give_files_that_load_and_are_counted(
    client: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    drawn: list[dict[str, Any]],
    recipe: str,
    aggregation: str,
    layout: str,
) -> None:
    name = secrets.token_hex(8)
    async with sessions.begin() as session:
        await _store(session, name, drawn)
    query: dict[str, Any] = {
        "project": name,
        "aggregation": aggregation,
        "layout": layout,
        "file": "parquet",
        "test_fraction": 0.5,
        "metadata": True,
    }

    first, second = [await client.get(f"/exports/{recipe}/bundle", params=query) for _ in range(2)]

    assert first.content == second.content
    if first.status_code == 409:
        assert first.json()["type"].endswith("/recipe-unfilled")
        return
    assert first.status_code == 200
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        tables = {
            told["split"]: (told, pq.read_table(io.BytesIO(archive.read(told["name"]))))
            for told in manifest["files"]
            if "split" in told
        }
    for told, table in tables.values():
        counts = told["counts"]
        assert counts["rows"] == table.num_rows > 0
        left_out = (
            "undecided_pairs",
            "pairs_of_one_text",
            "pairs_below_agreement",
            "pairs_joined",
        )
        dropped = sum(counts[each] for each in left_out) + counts["pairs_dropped_for_cycles"]
        assert (
            counts["labelled_pairs"] == counts["preferred_pairs"] + counts["tied_pairs"] + dropped
        )
        for row in table.to_pylist():
            if "chosen_id" in row:
                assert row["chosen"] != row["rejected"]
    prompts_of = [set(table["prompt_id"].to_pylist()) for _, table in tables.values()
                  if "prompt_id" in table.column_names]  # fmt: skip
    assert len(set().union(*prompts_of)) == sum(map(len, prompts_of))
