import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.settings import MAX_LINE_BYTES
from app.storage.tables import Label, Pair, Project, Prompt
from tests.prompts.sending import as_lines, counts, embedded, import_lines, in_base64, prompt
from tests.support.api import ADMIN_KEY
from tests.support.data import real_lines

Sessions = async_sessionmaker[AsyncSession]
_ZERO = Decimal(0)


def _vote(winner: str, annotator: str = "ana") -> dict[str, str]:
    return {"a": "r0", "b": "r1", "winner": winner, "annotator": annotator}


def _judged(*votes: dict[str, str], name: str = "p") -> dict[str, Any]:
    responses = [{"id": "r0", "text": "yes"}, {"id": "r1", "text": "no"}]
    return {"prompt_id": name, "prompt": "x", "responses": responses, "preferences": list(votes)}


async def test_good_lines_are_kept_and_bad_ones_are_told(client: httpx.AsyncClient) -> None:
    lines = [as_lines([prompt(id=f"p{number}")]) for number in range(1, 11)]
    lines[2] = b"\r\n"
    lines[6] = b'{"prompt": "broken\n'
    lines[8] = as_lines([prompt("only one", id="p9")])
    lines[9] = lines[9].rstrip(b"\n")
    report = await import_lines(client, b"\xef\xbb\xbf" + b"".join(lines))
    assert (report["created"], report["unchanged"], report["labels"]) == (7, 0, 0)
    assert report["rejected_count"] == 2
    broken, too_few = report["rejected"]
    assert broken["line"] == 7
    assert broken["detail"].startswith("not valid JSON")
    assert too_few["line"] == 9
    assert too_few["detail"].startswith("responses: ")
    assert (await counts(client))["pending_prompts"] == 7


async def test_the_same_file_again_changes_nothing(client: httpx.AsyncClient) -> None:
    lines = [prompt("a", "b", content=f"question {number}") for number in range(30)]
    content = as_lines([*lines, _judged(_vote("a"))])
    first = await import_lines(client, content, labels="keep")
    again = await import_lines(client, content, labels="keep")
    assert (first["created"], first["unchanged"], first["labels"]) == (31, 0, 1)
    assert (again["created"], again["unchanged"], again["labels"]) == (0, 31, 0)
    assert again["rejected"] == []


async def test_lines_with_other_embeddings_than_the_first_are_told(
    client: httpx.AsyncClient,
) -> None:
    lines = [
        embedded([1, 0], [0, 1], id="p"),
        prompt(id="q"),
        embedded([1, 0, 0], [0, 1, 0], id="r"),
        embedded([1, 1], [0, 1], id="q"),
    ]
    report = await import_lines(client, as_lines(lines))
    assert report["created"] == 2
    assert [each["line"] for each in report["rejected"]] == [2, 3]


async def test_a_line_over_the_limit_is_told_and_the_next_is_kept(
    client: httpx.AsyncClient,
) -> None:
    async def stream() -> AsyncIterator[bytes]:
        chunk = b"x" * (1024 * 1024)
        for _ in range(MAX_LINE_BYTES // len(chunk) + 1):
            yield chunk
        yield b"\n" + as_lines([prompt()])

    report = await import_lines(client, stream())
    assert report["created"] == 1
    assert [each["line"] for each in report["rejected"]] == [1]


async def test_only_the_first_thousand_bad_lines_are_told(client: httpx.AsyncClient) -> None:
    report = await import_lines(client, b"{\n" * 1203)
    assert report["rejected_count"] == 1203
    assert [each["line"] for each in report["rejected"]] == list(range(1, 1001))


async def test_an_empty_import_is_fine(client: httpx.AsyncClient) -> None:
    report = await import_lines(client, b"")
    assert report == {
        "created": 0,
        "extended": 0,
        "unchanged": 0,
        "labels": 0,
        "rejected": [],
        "rejected_count": 0,
        "dropped": {"empty": 0, "duplicate": 0},
        "left_out_columns": {},
        "labels_left_out": [],
        "labels_left_out_count": 0,
    }


async def test_an_import_into_an_unknown_project_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/prompts/import",
        params={"project": "nowhere"},
        content=b"{}",
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 404


async def test_where_the_stream_breaks_off_whole_batches_stay(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    content = as_lines(prompt(id=f"p{number}") for number in range(740))
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": content, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(_: Any) -> None:
        pass

    headers = {"content-type": "application/x-ndjson", "authorization": f"Bearer {ADMIN_KEY}"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/prompts/import",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await app(scope, receive, send)
    found = await counts(client)
    assert found["prompts"] == 500
    assert found["pending_prompts"] == 500


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(as_lines([prompt()])), "gzip"),
        (as_lines([prompt()]).decode().encode("utf-16-le").join([b"\xff\xfe", b""]), "UTF-16"),
        (as_lines([prompt()]).decode().encode("utf-16-be").join([b"\xfe\xff", b""]), "UTF-16"),
        (b"PAR1\x15\x04\n", "Parquet"),
        (b"PK\x03\x04\x14\n", "zip"),
    ],
    # Not the bytes: gzip writes the time into them, and workers must collect the same tests.
    ids=["gzip", "utf-16-le", "utf-16-be", "parquet", "zip"],
)
async def test_another_kind_of_file_is_refused_by_its_name(
    client: httpx.AsyncClient, content: bytes, kind: str
) -> None:
    answer = await client.post(
        "/prompts/import", content=content, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 415
    assert kind in answer.json()["detail"]
    assert (await counts(client))["prompts"] == 0


async def _post(
    client: httpx.AsyncClient, content: bytes | AsyncIterator[bytes], content_type: str
) -> dict[str, Any]:
    answer = await client.post(
        "/prompts/import", content=content, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
@pytest.mark.parametrize("indent", [None, 1])
async def test_an_array_is_taken_element_by_element(
    client: httpx.AsyncClient, content_type: str, indent: int | None
) -> None:
    rows: list[Any] = [prompt(id=f"p{number}") for number in range(700)]
    rows[2], rows[650] = prompt("only one", id="p2"), [prompt()]
    content = b"\xef\xbb\xbf" + json.dumps(rows, indent=indent).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 1000):
            yield content[start : start + 1000]

    report = await _post(client, in_pieces(), content_type)
    assert report["created"] == 698
    assert [each["line"] for each in report["rejected"]] == [3, 651]
    assert report["rejected"][1]["detail"].startswith("a JSON array")
    assert (await counts(client))["prompts"] == 698


async def test_where_an_array_is_broken_what_stands_before_is_stored(
    client: httpx.AsyncClient,
) -> None:
    rows = [json.dumps(prompt(id=f"p{number}")) for number in range(3)]
    report = await _post(client, f"[{rows[0]}, {rows[1]} {rows[2]}]".encode(), "application/json")
    assert report["created"] == 2
    assert report["rejected"] == [
        {
            "line": 3,
            "detail": "not valid JSON: there is no comma before it; what follows it was not read",
        }
    ]
    report = await _post(client, f"[{rows[0]}, {rows[1]},".encode(), "application/json")
    assert report["unchanged"] == 2
    assert report["rejected"][0]["detail"].startswith("the array has no end")


async def test_one_object_is_one_line_also_over_several_lines(client: httpx.AsyncClient) -> None:
    row = prompt(id="p")
    compact = json.dumps(row).encode()
    for content, content_type in (
        (compact, "application/json"),
        (json.dumps(row, indent=2).encode(), "application/json"),
        (json.dumps(row, indent=2).encode(), "application/x-ndjson"),
        (compact.replace(b", ", b",\n"), "application/json; charset=utf-8"),
    ):
        report = await _post(client, content, content_type)
        assert report["created"] + report["unchanged"] == 1
        assert report["rejected"] == []
    assert (await counts(client))["prompts"] == 1


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"data": [prompt()]}, "jq -c '.data[]'"),
        ({"features": [], "rows": [{"row_idx": 0, "row": prompt()}]}, "jq -c '.rows[].row'"),
    ],
)
async def test_rows_within_an_object_are_refused_with_what_to_do(
    client: httpx.AsyncClient, document: dict[str, Any], words: str
) -> None:
    for indent in (None, 2):
        report = await import_lines(client, json.dumps(document, indent=indent).encode())
        (rejected,) = report["rejected"]
        assert rejected["line"] == 1
        assert words in rejected["detail"]


async def test_a_body_of_another_content_type_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/prompts/import", content=b"[]", headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 415
    assert "application/x-ndjson or application/json or text/csv" in answer.json()["detail"]


async def test_lines_in_another_encoding_are_told_and_the_others_kept(
    client: httpx.AsyncClient,
) -> None:
    latin = json.dumps(prompt("é", "b"), ensure_ascii=False).encode("latin-1") + b"\n"
    report = await import_lines(client, latin + as_lines([prompt()]) + latin)
    assert report["created"] == 1
    assert report["rejected"] == [
        {"line": line, "detail": "not valid JSON: not UTF-8"} for line in (1, 3)
    ]


async def test_a_project_that_is_deleted_meanwhile_is_unknown(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/projects", json={"name": "brief"})

    async def stream() -> AsyncIterator[bytes]:
        yield as_lines(prompt(id=f"p{number}") for number in range(500))
        deleted = await client.delete("/projects/brief", params={"confirm": "brief"})
        assert deleted.status_code == 204
        yield as_lines([prompt(id="late")])

    answer = await client.post(
        "/prompts/import",
        params={"project": "brief"},
        content=stream(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    assert answer.status_code == 404


async def test_vectors_without_a_direction_are_told_by_line_and_field(
    client: httpx.AsyncClient,
) -> None:
    lines = [embedded([1, number], [0, 1], id=f"p{number}") for number in range(600)]
    lines[499] = embedded([1, 0], [0, 0], id="zero")
    lines[533] = embedded(in_base64(float("nan"), 1), [0, 1], id="nan")
    lines[534] = embedded([1, 0], [0, 1], id="own", embedding=in_base64(float("inf"), 0))
    report = await import_lines(client, as_lines(lines))
    assert report["created"] == 597
    assert report["rejected"] == [
        {"line": 500, "detail": "responses.1.embedding: the vector is zero"},
        {
            "line": 534,
            "detail": "responses.0.embedding: the vector has components that are not finite",
        },
        {"line": 535, "detail": "embedding: the vector has components that are not finite"},
    ]


async def test_imports_of_the_same_file_at_once_store_it_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    lines = [_judged(_vote("a"), name=f"p{number}") for number in range(120)]
    orders = [lines, lines[::-1], lines[60:] + lines[:60]]
    reports = await asyncio.gather(
        *(import_lines(client, as_lines(order), labels="keep") for order in orders)
    )
    assert sum(report["created"] for report in reports) == 120
    assert sum(report["labels"] for report in reports) == 120
    assert all(report["rejected"] == [] for report in reports)
    async with sessions() as session:
        assert await session.scalar(select(Project.counted_labels)) == 120
        assert await session.scalar(select(func.sum(Pair.imported))) == 120


async def test_kept_labels_are_counted_and_cost_nothing(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    line = _judged(_vote("a"), _vote("b", "bob"), _vote("tie", "eve"))
    report = await import_lines(client, as_lines([line]), labels="keep")
    assert report["labels"] == 3
    async with sessions() as session:
        project = (await session.scalars(select(Project))).one()
        pair = (await session.scalars(select(Pair))).one()
        labels = (await session.scalars(select(Label).order_by(Label.annotator))).all()
        prompt_row = (await session.scalars(select(Prompt))).one()
    assert (project.counted_labels, project.spent, project.reserved) == (3, _ZERO, _ZERO)
    assert (pair.arm, pair.imported, pair.counted, pair.open) == ("imported", 3, 0, False)
    assert prompt_row.pairs_planned == 1
    first, second = pair.first_response_id, pair.second_response_id
    assert [
        (each.annotator, each.choice, each.preferred_response_id, each.rejected_response_id)
        for each in labels
    ] == [
        ("ana", "left", first, second),
        ("bob", "right", second, first),
        ("eve", "tie", None, None),
    ]
    assert {(each.status, each.cost, each.assignment_id) for each in labels} == {
        ("counted", _ZERO, None)
    }


async def test_labels_are_ignored_unless_asked_for(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    report = await import_lines(client, as_lines([_judged(_vote("a"))]))
    assert (report["created"], report["labels"]) == (1, 0)
    async with sessions() as session:
        assert await session.scalar(select(func.count(Pair.id))) == 0


async def test_every_answer_of_an_annotator_is_kept_once(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    twice = _judged(_vote("a"), _vote("a"), _vote("b"), _vote("tie"))
    report = await import_lines(client, as_lines([prompt(), twice]), labels="keep")
    assert (report["created"], report["labels"], report["rejected"]) == (2, 3, [])
    again = await import_lines(client, as_lines([_judged(_vote("b"))]), labels="keep")
    assert (again["unchanged"], again["labels"], again["rejected"]) == (1, 0, [])
    async with sessions() as session:
        choices = await session.scalars(select(Label.choice).order_by(Label.id))
        assert choices.all() == ["left", "right", "tie"]
        assert await session.scalar(select(Project.counted_labels)) == 3
        assert await session.scalar(select(Pair.imported)) == 3


async def test_labels_follow_the_texts_of_a_prompt_that_is_there_already(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await client.post("/prompts", json=prompt("no", "yes", id="p", content="x"))
    line = _judged(_vote("a"))
    report = await import_lines(client, as_lines([line]), labels="keep")
    assert (report["unchanged"], report["labels"]) == (1, 1)
    async with sessions() as session:
        label = (await session.scalars(select(Label))).one()
        pair = (await session.scalars(select(Pair))).one()
    assert label.preferred_response_id == pair.second_response_id


async def test_hh_transcripts_are_imported_with_their_preferences(
    client: httpx.AsyncClient,
) -> None:
    lines = []
    sources = real_lines("hh-harmless-pairs")
    for source in sources:
        start = f"\n\n{source['prompt']}\n\nAssistant: "
        lines.append({side: start + source[side] for side in ("chosen", "rejected")})
    report = await import_lines(client, as_lines(lines), labels="keep")
    assert report["rejected"] == []
    assert report["created"] == len({source["prompt"] for source in sources})
    assert report["created"] + report["extended"] + report["unchanged"] == len(lines)
    assert report["labels"] == len({(line["chosen"], line["rejected"]) for line in lines})
    page = (await client.get("/prompts", params={"limit": 1000})).json()["prompts"]
    assert sum(isinstance(each["prompt"], list) for each in page) > 0.9 * len(page)


async def test_qa_feedback_is_imported_with_every_vote(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    lines = real_lines("multi-qafeedback-dev")
    report = await import_lines(client, as_lines(lines), labels="keep")
    assert report["rejected"] == []
    votes = 6 * len(lines)  # one on each pair of four responses
    assert (report["created"], report["labels"]) == (len(lines), votes)
    async with sessions() as session:
        assert await session.scalar(select(func.count(Pair.id))) == votes
        ties = await session.scalar(select(func.count(Label.id)).where(Label.choice == "tie"))
        assert ties == sum(
            vote["winner"] == "tie" for line in lines for vote in line["preferences"]
        )


async def test_repeated_and_empty_responses_of_real_data_are_left_out(
    client: httpx.AsyncClient,
) -> None:
    lines = real_lines("multi-pandalm")
    report = await import_lines(client, as_lines(lines), labels="keep")
    told = {each["line"]: each["detail"] for each in report["rejected"]}
    for number, line in enumerate(lines, start=1):
        texts = {response["text"].strip() for response in line["responses"]} - {""}
        assert (len(texts) < 2) == told.get(number, "").startswith("responses: ")
    votes = sum(len(line["preferences"]) for line in lines)
    assert report["created"] > 0.88 * len(lines)
    assert report["labels"] > 0.65 * votes


async def test_what_is_left_out_is_told(client: httpx.AsyncClient) -> None:
    lines = [
        {"prompt": "p", "response_a": "x", "response_b": "y", "winner": "a", "judge": "j"},
        {"prompt": "q", "response_a": "x", "response_b": "y", "winner": "", "judge": "j", "k": 1},
        {"instruction": "r", "completions": [{"response": t} for t in ("x", "y", None, "x ")]},
        {"prompt": "s", "chosen": "x", "rejected": "y", "images": ["cat.png"], "note": "n"},
    ]

    report = await import_lines(client, as_lines(lines), labels="keep")

    assert (report["created"], report["labels"], report["rejected_count"]) == (3, 1, 1)
    assert report["left_out_columns"] == {"judge": 2, "k": 1}
    assert report["dropped"] == {"empty": 1, "duplicate": 1}
    assert report["labels_left_out"] == [
        {"line": 2, "detail": "`winner` is empty"},
        {"line": 3, "detail": "a model's ratings are no preferences"},
    ]
    assert report["labels_left_out_count"] == 2
    (rejected,) = report["rejected"]
    assert rejected["detail"].startswith("images: ")


async def test_columns_that_are_left_out_are_kept_on_request(client: httpx.AsyncClient) -> None:
    line = {"id": 7, "prompt": "p", "chosen": "x", "rejected": "y", "topic": "space", "n": 3}

    report = await import_lines(client, as_lines([line]), extra="keep")

    assert report["left_out_columns"] == {"topic": 1, "n": 1}
    (listed,) = (await client.get("/prompts")).json()["prompts"]
    stored = (await client.get(f"/prompts/{listed['id']}")).json()
    assert (stored["external_id"], stored["metadata"]) == ("7", {"topic": "space", "n": 3})


async def test_both_directions_of_one_pair_are_one_prompt_and_no_row(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    lines = [
        {"prompt": "Name a planet", "chosen": "Mars", "rejected": "Pluto"},
        {"prompt": "Name a planet", "chosen": "Pluto", "rejected": "Mars"},
    ]

    report = await import_lines(client, as_lines(lines), labels="keep")

    assert (report["created"], report["unchanged"], report["labels"]) == (1, 1, 2)
    async with sessions.begin() as session:
        for each in await session.scalars(select(Prompt)):
            each.group_id = each.id
    assert (await client.get("/exports/dpo")).content == b""
