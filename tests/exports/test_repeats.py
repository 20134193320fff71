"""A prompt that is stored several times is one prompt to a trainer: no two rows contradict."""

import io
import json
import secrets
import zipfile
from collections.abc import Iterable
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.exports.queries.repeats import REPEATED_PROMPTS, find_repeated_prompts
from app.exports.repeats import Repeats
from app.storage.tables import Project
from tests.exports.dataset import add_label, add_labelled_prompt, add_pair, add_project, add_prompt
from tests.prompts.sending import as_lines, import_lines
from tests.support.indexes import indexes

Sessions = async_sessionmaker[AsyncSession]
QUESTION = "Name a planet."
TURN = {"role": "user", "content": QUESTION}
SYSTEM = {"role": "system", "content": "Be brief."}
MANY = [SYSTEM, TURN, {"role": "assistant", "content": "Mars"}, {"role": "user", "content": "Why?"}]


async def _rows(client: httpx.AsyncClient, recipe: str = "dpo", **query: Any) -> list[Any]:
    answer = await client.get(f"/exports/{recipe}", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


async def _counts(client: httpx.AsyncClient, project: str = "p", **query: Any) -> dict[str, int]:
    """The counts of all files of a bundle together."""
    answer = await client.get("/exports/dpo/bundle", params={"project": project, **query})
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    counts: dict[str, int] = {}
    for told in manifest["files"]:
        for name, count in told.get("counts", {}).items():
            counts[name] = counts.get(name, 0) + count
    return counts


async def _store(sessions: Sessions, prompts: Iterable[tuple[Any, str, str]]) -> None:
    """Prompts of one project, each with a label that prefers the first text to the second."""
    async with sessions.begin() as session:
        project = await add_project(session, "p")
        for content, chosen, rejected in prompts:
            await add_labelled_prompt(session, project, content, chosen, rejected)


SAME_IN_EVERY_LAYOUT = [
    (QUESTION, QUESTION),
    ([TURN], [TURN]),
    (MANY, MANY),
]
SAME_IN_ONE = [
    (QUESTION, [TURN]),
    (f"user: {QUESTION}", [TURN]),
    (f"user: {QUESTION}\n\nassistant:", [TURN]),
    (
        "system: Be brief.\n\nuser: Name a planet.\n\nassistant: Mars\n\nuser: Why?\n\nassistant:",
        MANY,
    ),
]


@pytest.mark.parametrize("layout", ["standard", "conversational"])
@pytest.mark.parametrize("contents", [*SAME_IN_EVERY_LAYOUT, *SAME_IN_ONE])
async def test_as_many_labels_for_either_direction_are_no_row(
    client: httpx.AsyncClient, sessions: Sessions, contents: tuple[Any, Any], layout: str
) -> None:
    one, other = contents
    await _store(sessions, [(one, "Mars", "Bars"), ("else", "x", "y"), (other, "Bars", " Mars\n")])
    assert [row["chosen"] for row in await _rows(client, layout=layout)] in (
        ["x"],
        [[{"role": "assistant", "content": "x"}]],
    )
    for recipe in ("kto", "ranking", "axolotl", "llama-factory"):
        texts = json.dumps(await _rows(client, recipe, layout=layout))
        assert ("Mars" in texts and "Bars" in texts) == (recipe == "ranking")


async def test_the_labels_of_all_copies_decide_together(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    copies = [(QUESTION, "Mars", "Bars"), ([TURN], "Bars", "Mars"), (QUESTION, "Bars", "Mars")]
    await _store(sessions, copies)
    (row,) = await _rows(client, metadata=True)
    # The row is the first copy's.
    assert (row["prompt"], row["chosen"], row["rejected"]) == (QUESTION, "Bars", "Mars")
    assert (row["labels"], row["agreement"]) == (3, pytest.approx(2 / 3))
    assert await _rows(client, min_agreement=0.7) == []
    assert [(each["completion"], each["label"]) for each in await _rows(client, "kto")] == [
        ("Mars", False),
        ("Bars", True),
    ]
    counts = await _counts(client, split="all")
    assert (counts["prompts"], counts["labelled_pairs"], counts["labels"]) == (3, 3, 3)
    assert (counts["pairs_joined"], counts["preferred_pairs"]) == (2, 1)


async def test_a_cycle_over_copies_is_broken(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await _store(sessions, [(QUESTION, "a", "b"), ([TURN], "b", "c"), (QUESTION, "c", "a")])
    assert [(row["chosen"], row["rejected"]) for row in await _rows(client)] == [
        ("a", "b"),
        ("b", "c"),
    ]
    ((row),) = await _rows(client, "ranking")
    assert row["suffix"] == ["a", "b", "c"]


async def test_weighted_annotators_decide_over_all_copies(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    copies = [(QUESTION, "Mars", "Bars"), ([TURN], "Bars", "Mars"), (QUESTION, "Bars", "Mars")]
    await _store(sessions, copies)
    (row,) = await _rows(client, aggregation="dawid-skene", metadata=True)
    assert (row["chosen"], row["labels"]) == ("Bars", 3)


async def test_copies_on_two_sides_of_the_split_agree_and_no_group_stands_on_both(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    names = [f"question {number}" for number in range(60)]
    copies = [(name, *texts) for texts in (("a", "b"), ("a", "c")) for name in names]
    await _store(sessions, [*copies, *((name, "b", "a") for name in names[::2])])
    for recipe in ("dpo", "kto"):
        query = {"test_fraction": 0.5, "metadata": True}
        sides = [await _rows(client, recipe, split=side, **query) for side in ("train", "test")]
        assert all(sides)
        ids = [{row["prompt_id"] for row in side} for side in sides]
        assert not ids[0] & ids[1]
        rows = [row for side in sides for row in side]
        if recipe == "dpo":
            everything = [(row["prompt"], row["chosen"], row["rejected"]) for row in rows]
            expected = {(name, "a", "c") for name in names}
            expected |= {(name, "a", "b") for name in names[1::2]}
            assert sorted(everything) == sorted(expected)
        else:
            told = [(row["prompt"], row["completion"]) for row in rows]
            assert len(told) == len(set(told))


async def test_regenerate_has_one_row_for_all_copies_in_the_order_of_their_best(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    names = [f"question {number}" for number in range(8)]
    copies = [(name, f"{name} {a}", f"{name} {b}") for a, b in ("ab", "cd") for name in names]
    await _store(sessions, copies)
    rows = await _rows(client, "regenerate")
    assert sorted(row["prompt"] for row in rows) == names
    assert [row["rank"] for row in rows] == list(range(1, 9))
    best = [row["best_reward"] for row in rows]
    assert best == sorted(best)


async def test_both_directions_of_an_imported_pair_are_counted_without_a_majority(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    """F13: one prompt, two labels, no row."""
    rows = [
        {"prompt": QUESTION, "chosen": one, "rejected": other}
        for one, other in (("Mars", "Bars"), ("Bars", "Mars"))
    ]
    report = await import_lines(client, as_lines([*rows, *rows]), labels="keep")
    assert (report["created"], report["unchanged"], report["labels"]) == (1, 3, 2)
    async with sessions.begin() as session:
        await session.execute(text("UPDATE prompts SET status = 'ready', group_id = id"))
        project = await add_project(session, "p")
        await session.execute(text("UPDATE pairs SET project_id = :id"), {"id": project})
        await session.execute(text("UPDATE prompts SET project_id = :id"), {"id": project})
        await session.execute(text("UPDATE labels SET project_id = :id"), {"id": project})
        await add_labelled_prompt(session, project, "else", "x", "y")
    assert [row["prompt"] for row in await _rows(client)] == ["else"]
    for aggregation in ("majority", "dawid-skene"):
        counts = await _counts(client, aggregation=aggregation, split="all", test_fraction=0)
        assert (counts["undecided_pairs"], counts["pairs_without_majority"]) == (1, 1)
        assert (counts["labelled_pairs"], counts["labels"], counts["rows"]) == (2, 3, 1)


async def test_other_projects_and_prompts_without_labels_do_not_matter(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await _store(sessions, [(QUESTION, "a", "b")])
    async with sessions.begin() as session:
        other = await add_project(session, "other")
        await add_labelled_prompt(session, other, QUESTION, "b", "a")
        project: int | None = await session.scalar(select(Project.id).where(Project.name == "p"))
        assert project is not None
        await add_prompt(session, project, QUESTION, ["a", "b"], external_id="unlabelled")
        assert len(list(await find_repeated_prompts(session, project))) == 0
    assert [row["chosen"] for row in await _rows(client)] == ["a"]


_CONTENTS = st.sampled_from(
    [QUESTION, [TURN], f"user: {QUESTION}\n\nassistant:", f" {QUESTION}", "else", MANY]
)
_LABELS = st.lists(
    st.tuples(
        _CONTENTS, st.permutations("abc").map(lambda texts: texts[:2]), st.sampled_from("uvw")
    ),
    min_size=1,
    max_size=14,
)


@settings(
    max_examples=25,
    deadline=None,
    # Every example stores into a project of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(labels=_LABELS, layout=st.sampled_from(["standard", "conversational"]))
async def test_no_file_holds_both_directions_however_prompts_are_stored(
    client: httpx.AsyncClient, sessions: Sessions, labels: list[Any], layout: str
) -> None:
    name = secrets.token_hex(8)
    async with sessions.begin() as session:
        project = await add_project(session, name)
        for number, (content, texts, annotator) in enumerate(labels):
            prompt, responses = await add_prompt(
                session, project, content, texts, external_id=str(number)
            )
            pair = await add_pair(session, prompt, *responses)
            await add_label(session, pair, responses[0], annotator=annotator)
    for recipe in ("dpo", "axolotl", "llama-factory"):
        rows = await _rows(client, recipe, project=name, layout=layout)
        told = set()
        for row in rows:
            prompt_text = row.get("prompt") or row.get("messages") or row.get("conversations")
            key = (str(prompt_text), str(row["chosen"]), str(row["rejected"]))
            assert key not in told
            assert (key[0], key[2], key[1]) not in told
            told.add(key)
    rows = await _rows(client, "kto", project=name, layout=layout)
    said = [(str(row["prompt"]), str(row["completion"])) for row in rows]
    assert len(said) == len(set(said))


_MANY_LABELLED = text("""
    WITH made_prompts AS (
        INSERT INTO prompts (project_id, external_id, content, fingerprint, status, group_id,
            pairs_planned, pairs_total)
        SELECT :project_id, n::text, to_jsonb('question ' || n), int8send(n), 'ready', n, 1, 1
        FROM generate_series(1, 10000) AS n
        RETURNING id, project_id
    ), made_pairs AS (
        INSERT INTO pairs (project_id, prompt_id, first_response_id, second_response_id, arm,
            strategy, position, expected_seconds, labels_wanted, counted)
        SELECT project_id, id, 2 * id, 2 * id + 1, 'strategy', 'dissimilar', 0, 60, 1, 1
        FROM made_prompts
        RETURNING *
    )
    INSERT INTO labels (project_id, prompt_id, pair_id, annotator, choice, status)
    SELECT project_id, prompt_id, id, 'ana', 'tie', 'counted' FROM made_pairs
""")


async def test_copies_are_found_without_reading_other_projects(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        other, project = [await add_project(session, name) for name in ("other", "p")]
        await session.execute(_MANY_LABELLED, {"project_id": other})
        for number in range(40):
            prompt, responses = await add_prompt(
                session, project, f"{number // 2}", ["a", "b"], external_id=str(number)
            )
            pair = await add_pair(session, prompt, *responses)
            await add_label(session, pair, responses[0])
    async with sessions() as session:
        await session.execute(text("ANALYZE"))
        found = await find_repeated_prompts(session, project)
        assert [len(numbers) for numbers in found] == [2] * 20
        used = await indexes(session, REPEATED_PROMPTS, {"project_id": project})
        assert used & {"ix_labels_prompt", "ix_labels_listing"}
        assert used & {"pk_prompts", "ix_prompts_group", "ix_prompts_listing"}


def test_a_set_comes_where_the_last_of_its_prompts_does() -> None:
    repeats = Repeats.of(np.array([2, 9, 4, 5, 7]), np.array([0, 2, 5]))
    assert list(repeats.together(np.array([9, 1, 4, 2, 3]))) == [[1], [4, 5, 7], [2, 9], [3]]
    assert repeats.has([1, 2, 7, 10]).tolist() == [False, True, True, False]
    nothing = Repeats.of(np.array([], dtype=np.int64), np.array([0]))
    assert list(nothing) == []
    assert nothing.has([1, 2]).tolist() == [False, False]
