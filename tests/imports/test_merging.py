"""Rows of one prompt are one prompt, wherever they stand in a file and in how many files."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.prompts.incoming import incoming_prompts
from app.prompts.matching import EmbeddingSpace, StoredPrompt
from app.prompts.merging import Draft, add_row, begin
from app.prompts.queries.reading import FIND_BY_CONTENT
from app.prompts.schemas import NewPrompt
from app.settings import MAX_RESPONSES
from app.storage.engine import raw_dsn
from app.storage.tables import Label, Pair, ProjectIntake, Prompt, Response
from tests.annotation.conftest import World, world
from tests.e2e.serving import open_folder
from tests.prompts.sending import Json, as_lines, counts, embedded, import_lines, prompt
from tests.stress.processes import ADMIN_KEY, running_parts
from tests.support.indexes import indexes

__all__ = ["world"]

Sessions = async_sessionmaker[AsyncSession]
BEARER = {"Authorization": f"Bearer {ADMIN_KEY}"}


def _row(chosen: str, rejected: str, content: Any = "Name a planet.", **more: Any) -> Json:
    return {"prompt": content, "chosen": chosen, "rejected": rejected, **more}


def _counts(report: Json) -> tuple[int, int, int, int]:
    return report["created"], report["extended"], report["unchanged"], report["labels"]


async def _texts(client: httpx.AsyncClient) -> list[list[str]]:
    """The responses' texts of each prompt, in the order stored."""
    found = []
    for each in (await client.get("/prompts", params={"limit": 1000})).json()["prompts"]:
        stored = (await client.get(f"/prompts/{each['id']}")).json()
        found.append([response["text"] for response in stored["responses"]])
    return found


async def _preferences(sessions: Sessions) -> set[tuple[str, str]]:
    preferred, rejected = (select(Response.id, Response.text).subquery() for _ in range(2))
    async with sessions() as session:
        rows = await session.execute(
            select(preferred.c.text, rejected.c.text)
            .select_from(Label)
            .join(preferred, preferred.c.id == Label.preferred_response_id)
            .join(rejected, rejected.c.id == Label.rejected_response_id)
        )
        return {(better, worse) for better, worse in rows}


THREE = [_row("a", "b"), _row("a", "c"), _row("b", "c")]


@pytest.mark.parametrize("apart", [False, True], ids=["one request", "a request each"])
@pytest.mark.parametrize("more", [{}, {"id": "p"}], ids=["without an id", "with one"])
async def test_three_rows_of_a_prompt_give_one_with_three_responses_and_three_labels(
    client: httpx.AsyncClient, sessions: Sessions, apart: bool, more: Json
) -> None:
    rows = [{**row, **more} for row in THREE]
    requests = [[row] for row in rows] if apart else [rows]
    reports = [await import_lines(client, as_lines(each), labels="keep") for each in requests]
    summed = tuple(map(sum, zip(*map(_counts, reports), strict=True)))
    assert summed == (1, 1, 1, 3)
    assert await _texts(client) == [["a", "b", "c"]]
    assert await _preferences(sessions) == {("a", "b"), ("a", "c"), ("b", "c")}
    async with sessions() as session:
        stored = (await session.scalars(select(Prompt))).one()
        assert (stored.pairs_total, stored.pairs_planned) == (3, 3)
        intake = (await session.scalars(select(ProjectIntake))).one()
        assert (intake.prompts, intake.pending, intake.unplanned) == (1, 1, 1)


async def test_rows_far_apart_are_merged_over_batches_and_again_nothing_changes(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    rows = [
        _row(f"{number} {better}", f"{number} {worse}", content=f"question {number}")
        for better, worse in (("a", "b"), ("a", "c"), ("b", "c"))
        for number in range(400)
    ]
    report = await import_lines(client, as_lines(rows), labels="keep")
    assert _counts(report) == (400, 400, 400, 1200)
    again = await import_lines(client, as_lines(rows[::-1]), labels="keep")
    assert _counts(again) == (0, 0, 1200, 0)
    async with sessions() as session:
        assert await session.scalar(select(func.count(Response.id))) == 1200
        assert await session.scalar(select(func.count(Pair.id))) == 1200


async def test_the_content_decides_with_its_roles_and_every_character(
    client: httpx.AsyncClient,
) -> None:
    contents = [
        "Name a planet.",
        "Name a planet. ",
        [{"role": "user", "content": "Name a planet."}],
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name a planet."}],
        [{"role": "user", "content": "Be brief."}, {"role": "user", "content": "Name a planet."}],
    ]
    lines = [prompt("a", text, content=content) for content in contents for text in ("b", "c")]
    report = await import_lines(client, as_lines(lines))
    assert _counts(report) == (5, 5, 0, 0)


async def test_rows_with_an_id_and_rows_without_one_stay_apart(client: httpx.AsyncClient) -> None:
    lines = [
        prompt("a", "b"),
        prompt("a", "c", id="p"),
        prompt("a", "d"),
        prompt("a", "e", id="q"),
    ]
    report = await import_lines(client, as_lines(lines))
    assert _counts(report) == (3, 1, 0, 0)
    assert sorted(await _texts(client)) == [["a", "b", "d"], ["a", "c"], ["a", "e"]]


async def test_rows_without_an_id_go_to_the_oldest_prompt_of_their_content(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/prompts", json=prompt("a", "b"))
    await client.post("/prompts", json=prompt("a", "c"))
    report = await import_lines(client, as_lines([prompt("a", "c"), prompt("d", "c")]))
    assert _counts(report) == (0, 2, 0, 0)
    assert await _texts(client) == [["a", "b", "c", "d"], ["a", "c"]]


async def test_posting_keeps_its_own_rule(client: httpx.AsyncClient) -> None:
    rows = [prompt("a", "b"), prompt("a", "c"), prompt("a", "b", id="p"), prompt("b", "c", id="p")]
    await import_lines(client, as_lines(rows))
    for sent, created in [
        (prompt("a", "b"), 0),  # as the first row identified it
        (prompt("a", "c"), 1),
        (prompt("a", "b", id="p"), 0),
        (prompt("a", "b", "c", id="p"), 0),
    ]:
        answer = await client.post("/prompts", json=sent)
        assert (answer.status_code, answer.json()["created"]) == (201, created)
    assert (await client.post("/prompts", json=prompt("a", "c", id="p"))).status_code == 409


async def test_a_row_with_a_stored_id_and_another_prompt_is_refused(
    client: httpx.AsyncClient,
) -> None:
    lines = [prompt("a", "b", id="p"), prompt("a", "c", id="p", content="Another?")]
    report = await import_lines(client, as_lines(lines))
    assert _counts(report) == (1, 0, 0, 0)
    told = "the prompt with this id is stored with another text"
    assert report["rejected"] == [{"line": 2, "detail": told}]


@pytest.mark.parametrize("apart", [False, True], ids=["one request", "a request each"])
async def test_a_row_that_would_pass_the_most_responses_is_refused_as_a_whole(
    client: httpx.AsyncClient, sessions: Sessions, apart: bool
) -> None:
    texts = [f"text {number}" for number in range(MAX_RESPONSES - 1)]
    rows = [prompt(*texts), _row("x", "y", "Explain DPO."), _row("x", texts[0], "Explain DPO.")]
    requests = [[row] for row in rows] if apart else [rows]
    reports = [await import_lines(client, as_lines(each), labels="keep") for each in requests]
    assert tuple(map(sum, zip(*map(_counts, reports), strict=True))) == (1, 1, 0, 1)
    (refused,) = [each for report in reports for each in report["rejected"]]
    assert "more than 64 responses" in refused["detail"]
    assert await _texts(client) == [[*texts, "x"]]
    assert await _preferences(sessions) == {("x", texts[0])}


async def test_responses_are_the_same_by_their_stripped_text_whatever_their_ids(
    client: httpx.AsyncClient,
) -> None:
    rows = [
        {"prompt": "x", "responses": [{"id": "r1", "text": "a"}, {"id": "r2", "text": "b"}]},
        {"prompt": "x", "responses": [{"id": "s1", "text": " a\n"}, {"id": "s2", "text": "c"}]},
        {"prompt": "x", "responses": [{"id": "r2", "text": "d"}, {"id": "s3", "text": "e"}]},
    ]
    report = await import_lines(client, as_lines(rows))
    assert _counts(report) == (1, 1, 0, 0)
    told = "a response's id is stored with another text"
    assert report["rejected"] == [{"line": 3, "detail": told}]
    (listed,) = (await client.get("/prompts")).json()["prompts"]
    stored = (await client.get(f"/prompts/{listed['id']}")).json()["responses"]
    assert [(each["external_id"], each["text"]) for each in stored] == [
        ("r1", "a"),
        ("r2", "b"),
        ("s2", "c"),
    ]


@pytest.mark.parametrize("apart", [False, True], ids=["one request", "a request each"])
async def test_scores_metadata_and_the_reference_come_together_from_all_rows(
    client: httpx.AsyncClient, apart: bool
) -> None:
    first = prompt("a", "b", metadata={"source": "one", "row": 1})
    second = prompt("a", "c", metadata={"row": 2, "lang": "en"})
    second["responses"][0] |= {"score": 0.5, "metadata": {"k": 1}, "reference": True}
    third = prompt("b", "d")
    third["responses"][1]["reference"] = True
    requests = [[each] for each in (first, second, third)]
    reports = [
        await import_lines(client, as_lines(each))
        for each in (requests if apart else [[first, second, third]])
    ]
    (refused,) = [each for report in reports for each in report["rejected"]]
    assert refused["detail"] == "the prompt has another reference response of that round already"
    (listed,) = (await client.get("/prompts")).json()["prompts"]
    stored = (await client.get(f"/prompts/{listed['id']}")).json()
    assert stored["metadata"] == {"source": "one", "row": 2, "lang": "en"}
    assert [
        (each["text"], each["score"], each["metadata"], each["reference"])
        for each in stored["responses"]
    ] == [("a", 0.5, {"k": 1}, True), ("b", None, None, False), ("c", None, None, False)]


async def test_metadata_of_many_rows_stay_within_the_limit(client: httpx.AsyncClient) -> None:
    lines = [prompt("a", "b", metadata={key: "x" * 9000}) for key in ("one", "two")]
    report = await import_lines(client, as_lines(lines))
    assert _counts(report) == (1, 0, 0, 0)
    assert [each["line"] for each in report["rejected"]] == [2]
    assert "metadata" in report["rejected"][0]["detail"]


@pytest.mark.parametrize("apart", [False, True], ids=["one request", "a request each"])
async def test_new_responses_need_the_vectors_that_the_project_has(
    client: httpx.AsyncClient, sessions: Sessions, apart: bool
) -> None:
    rows = [
        embedded([1, 0], [0, 1]),
        prompt("response 0", "without"),
        prompt("response 0", "response 1"),
        embedded([1, 0], [0, 1], [1, 1]),
        embedded([1, 0], [0, 1], [1, 1], [1, 1, 1]) | {"id": "p"},
    ]
    rows[4]["responses"] = rows[4]["responses"][:2] + rows[3]["responses"][2:]
    requests = [[row] for row in rows] if apart else [rows]
    reports = [await import_lines(client, as_lines(each)) for each in requests]
    assert tuple(map(sum, zip(*map(_counts, reports), strict=True))) == (2, 1, 1, 0)
    (refused,) = [each for report in reports for each in report["rejected"]]
    assert "every response needs an `embedding`" in refused["detail"]
    async with sessions() as session:
        found = (await session.scalars(select(Prompt).order_by(Prompt.id))).all()
        assert {(each.status, each.pairs_total) for each in found} == {("ready", 3)}
    assert (await counts(client))["pending_prompts"] == 0


async def test_responses_added_to_an_embedded_prompt_make_it_pending_again(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await import_lines(client, as_lines([prompt("a", "b"), prompt("a", "b", content="y")]))
    async with sessions.begin() as session:
        for each in await session.scalars(select(Prompt)):
            each.status = "ready"
        (await session.scalars(select(ProjectIntake))).one().pending = 0
    await import_lines(client, as_lines([prompt("a", "c"), prompt("a", "d"), prompt("a", "b")]))
    assert (await counts(client))["pending_prompts"] == 1


async def test_imports_of_the_same_rows_at_once_merge_them_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    rows = [
        _row(f"{number} {better}", f"{number} {worse}", content=f"question {number}")
        for number in range(350)
        for better, worse in (("a", "b"), ("c", "a"), ("b", "d"))
    ]
    orders = [rows, rows[::-1], rows[500:] + rows[:500]]
    posted = [prompt(f"{n} a", f"{n} e", content=f"question {n}") for n in range(0, 350, 7)]
    posting = asyncio.create_task(client.post("/prompts", json={"prompts": posted}))
    reports = await asyncio.gather(
        *(import_lines(client, as_lines(order), labels="keep") for order in orders)
    )
    assert (await posting).status_code == 201
    assert sum(report["labels"] for report in reports) == len(rows)
    assert all(report["rejected"] == [] for report in reports)
    # A posted prompt is one of its own, unless it came first: then it got the rows.
    created = sum(report["created"] for report in reports)
    async with sessions() as session:
        prompts = await session.scalar(select(func.count(Prompt.id)))
        assert prompts == created + len(posted)
        labelled = select(Pair.prompt_id).distinct().subquery()
        assert await session.scalar(select(func.count()).select_from(labelled)) == 350
        texts = select(func.count(Response.id)).group_by(Response.prompt_id, Response.text)
        assert set(await session.scalars(texts)) == {1}


async def test_no_claim_waits_for_an_embedder_because_an_import_extends_its_prompt(
    client: httpx.AsyncClient, world: World
) -> None:
    await client.post("/prompts", json=prompt("a", "b"))
    async with world.sessions.begin() as session:
        # As an embedder holds the prompts of its batch.
        await session.scalars(select(Prompt).with_for_update(key_share=True))
        row = _row("a", "c", content="Explain DPO.")
        importing = asyncio.create_task(import_lines(client, as_lines([row]), labels="keep"))
        await world.until_waiting(1)
        async with asyncio.timeout(60):
            assert (await client.get("/next-pairs")).json()["status"] == "waiting"
    assert _counts(await importing) == (0, 1, 0, 1)


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("pq"), st.sampled_from("abcd"), st.sampled_from("abcd")).filter(
            lambda row: row[1] != row[2]
        ),
        min_size=1,
        max_size=12,
    ),
    cuts=st.sets(st.integers(1, 11)),
)
def test_how_rows_are_cut_into_requests_makes_no_difference(
    rows: Sequence[tuple[str, str, str]], cuts: set[int]
) -> None:
    assert fold_in_parts(rows, {0, *cuts}) == fold_in_parts(rows, {0})


def fold_in_parts(rows: Sequence[tuple[str, str, str]], cuts: set[int]) -> dict[str, list[str]]:
    """The responses of each prompt when a new request begins at each of the cuts."""
    stored: dict[str, StoredPrompt] = {}
    drafts: dict[str, Draft] = {}
    for number, (name, better, worse) in enumerate(rows):
        if number in cuts:
            stored |= {key: _as_stored(draft) for key, draft in drafts.items()}
            drafts = {}
        sent = NewPrompt.model_validate(prompt(better, worse, content=name))
        (row,) = incoming_prompts([sent])
        draft = drafts.setdefault(name, begin(row, stored.get(name)))
        add_row(draft, row, EmbeddingSpace("service", None))
    stored |= {key: _as_stored(draft) for key, draft in drafts.items()}
    return {key: [each.text for each in found.responses] for key, found in stored.items()}


def _as_stored(draft: Draft) -> StoredPrompt:
    new = draft.first if draft.stored is None else draft.stored
    return StoredPrompt(
        id=1,
        external_id=None,
        content=new.content,
        tools=new.tools,
        fingerprint=new.fingerprint,
        metadata=draft.metadata,
        status="pending",
        responses=draft.responses,
    )


async def test_the_oldest_prompt_of_a_content_is_found_by_its_index(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    lines = as_lines(prompt("a", "b", content=f"question {number}") for number in range(3000))
    await import_lines(client, lines)
    async with sessions() as session:
        await session.execute(text("ANALYZE prompts"))
        await session.execute(text("SET LOCAL enable_seqscan = off"))  # as find_mergeable does
        project_id = await session.scalar(select(Prompt.project_id).limit(1))
        for which in (project_id, 0):  # one that PostgreSQL knows to be small, or not at all
            for _ in range(2):
                parameters = {
                    "project_id": which,
                    "contents": ['"question 7"', '"question 8"'],
                    "tools": [None, None],
                }
                used = await indexes(session, FIND_BY_CONTENT, parameters)
                assert used == {"ix_prompts_content"}
                await session.execute(text("ANALYZE prompts"))


@pytest.mark.e2e
def test_two_api_processes_import_the_same_rows_at_once(database_url: str) -> None:
    rows = [
        _row(f"{number} {better}", f"{number} {worse}", content=f"question {number}")
        for number in range(600)
        for better, worse in (("a", "b"), ("b", "a"), ("a", "c"), ("d", "c"))
    ]
    with open_folder() as folder, running_parts(database_url, folder, apis=2) as urls:
        with ThreadPoolExecutor(2) as pool:
            orders = (rows, rows[::-1])
            reports = list(pool.map(_import_at, urls, orders))
        with httpx.Client(base_url=urls[0], headers=BEARER, timeout=120) as client:
            found = client.get("/projects/default").json()["counts"]
    assert [report["rejected_count"] for report in reports] == [0, 0]
    assert sum(report["created"] for report in reports) == found["prompts"] == 600
    assert sum(report["labels"] for report in reports) == found["labels"] == len(rows)
    with psycopg.connect(raw_dsn(database_url)) as connection:
        of_each = connection.execute(
            "SELECT DISTINCT count(*), count(DISTINCT text) FROM responses GROUP BY prompt_id"
        ).fetchall()
    assert of_each == [(4, 4)]


def _import_at(url: str, rows: Sequence[Json]) -> Json:
    with httpx.Client(base_url=url, headers=BEARER, timeout=300) as client:
        report: Json = client.post(
            "/prompts/import",
            params={"labels": "keep"},
            content=as_lines(rows),
            headers={"Content-Type": "application/x-ndjson"},
        ).json()
    return report


@pytest.mark.parametrize(("one", "other"), [(2.0, 2), (2, 2.0), (-0.0, 0)])
async def test_a_number_that_is_written_in_another_way_is_the_same_prompt(
    client: httpx.AsyncClient, one: float, other: float
) -> None:
    first, again = (
        {
            "prompt": [
                {"role": "user", "content": "w?"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [{"function": {"name": "f", "arguments": {"x": number}}}],
                },
                {"role": "tool", "content": "r"},
            ],
            "responses": [{"text": "a"}, {"text": "b"}],
        }
        for number in (one, other)
    )

    await import_lines(client, as_lines([first]))
    report = await import_lines(client, as_lines([prompt(content="another"), again]))

    assert (report["created"], report["unchanged"], report["rejected"]) == (1, 1, [])
