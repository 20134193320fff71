"""What is stored is about responses: the side on which each was shown changes nothing."""

import itertools
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import bindparam, update

from app.storage.ids import IdKind, decode
from app.storage.tables import Assignment
from tests.annotation.conftest import World
from tests.annotation.test_claim import claim
from tests.annotation.test_settle import post

_POSITIONS = itertools.count(0, 1000)
JUDGEMENTS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(("first", "second", "tie", "both_bad"))),
    min_size=1,
    max_size=8,
)


@given(judgements=JUDGEMENTS)
@settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    # Every example adds pairs of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_swapping_the_sides_never_changes_which_response_a_label_prefers(
    client: httpx.AsyncClient, world: World, judgements: list[tuple[bool, str]]
) -> None:
    await world.add_pairs(len(judgements), start=next(_POSITIONS))
    handed = (await claim(client, budget=len(judgements)))["pairs"]
    assert len(handed) == len(judgements)
    sides: list[dict[str, Any]] = [
        {"number": decode(IdKind.ASSIGNMENT, pair["assignment_id"]), "side": swapped}
        for pair, (swapped, _) in zip(handed, judgements, strict=True)
    ]
    await _show(world, sides)
    shown = (await claim(client, budget=len(judgements)))["pairs"]
    for pair, (_, judgement) in zip(shown, judgements, strict=True):
        stored = await world.pair(decode(IdKind.PAIR, pair["pair_id"]) or 0)
        responses = {"first": stored.first_response_id, "second": stored.second_response_id}
        left = decode(IdKind.RESPONSE, pair["left"]["response_id"])
        choice = judgement
        if judgement in responses:
            choice = "left" if responses[judgement] == left else "right"
        label = {"assignment_id": pair["assignment_id"], "choice": choice}
        answers = [await post(client, label), await post(client, label, status=200)]
        answers.append({"labels": [await _read(client, answers[0]["labels"][0]["id"])]})
        for answer in answers:
            (told,) = answer["labels"]
            preferred = told["preferred_response_id"]
            rejected = told["rejected_response_id"]
            if judgement in responses:
                other = responses["second" if judgement == "first" else "first"]
                assert decode(IdKind.RESPONSE, preferred) == responses[judgement]
                assert decode(IdKind.RESPONSE, rejected) == other
            else:
                assert (preferred, rejected) == (None, None)


async def _read(client: httpx.AsyncClient, label_id: str) -> dict[str, str | None]:
    answer = await client.get(f"/labels/{label_id}")
    assert answer.status_code == 200
    label: dict[str, str | None] = answer.json()
    return label


async def _show(world: World, sides: list[dict[str, Any]]) -> None:
    """Swap the sides of assignments, or do not, before their annotator looks again."""
    async with world.sessions.begin() as session:
        connection = await session.connection()
        statement = (
            update(Assignment)
            .where(Assignment.id == bindparam("number"))
            .values(swapped=bindparam("side"))
        )
        await connection.execute(statement, sides)
