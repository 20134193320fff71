import json
import secrets
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

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
    assert _expected_rows(drawn, surplus=surplus, min_agreement=min_agreement) == len(whole)


def _expected_rows(drawn: list[dict[str, Any]], *, surplus: bool, min_agreement: float) -> int:
    """The rule once more, by counting: a clear majority in a planned prompt, texts that differ."""
    statuses = {"counted", "surplus"} if surplus else {"counted"}
    rows = 0
    for prompt in drawn:
        for (one, other), labels in prompt["pairs"]:
            taken = [choice for choice, status, _ in labels if status in statuses]
            counts = sorted((taken.count("first"), taken.count("second")))
            clear = counts[1] > counts[0] and counts[1] / sum(counts) >= min_agreement
            differ = prompt["texts"][one].strip() != prompt["texts"][other].strip()
            rows += prompt["group"] is not None and clear and differ
    return rows
