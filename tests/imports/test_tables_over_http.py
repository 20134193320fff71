"""CSV and Parquet over HTTP, columns by other names, dry runs, and how far an import is."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.api import ClientFactory

CSV = "text/csv"
TSV = "text/tab-separated-values"
PARQUET = "application/vnd.apache.parquet"
LINES = "application/x-ndjson"
Report = dict[str, Any]


async def send(
    client: httpx.AsyncClient,
    content: bytes | AsyncIterator[bytes],
    media_type: str,
    status: int = 200,
    **query: Any,
) -> Report:
    answer = await client.post(
        "/prompts/import", params=query, content=content, headers={"Content-Type": media_type}
    )
    assert answer.status_code == status, answer.text
    report: Report = answer.json()
    return report


def parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


async def stored(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    listed = (await client.get("/prompts")).json()["prompts"]
    return [(await client.get(f"/prompts/{each['id']}")).json() for each in listed]


ROWS = [
    {"prompt": "Häuser?", "chosen": 'Yes, "many"\nof them', "rejected": "No."},
    {"prompt": "Trees?", "chosen": "Some.", "rejected": "None, ever."},
]
AS_CSV = (
    'prompt,chosen,rejected\nHäuser?,"Yes, ""many""\nof them",No.\nTrees?,Some.,"None, ever."\n'
)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (AS_CSV.encode(), CSV),
        (AS_CSV.encode(), f"{CSV}; charset=utf-8"),
        (AS_CSV.encode("utf-16"), CSV),
        (b"", CSV),
        (b"prompt\tchosen\trejected\nTrees?\tSome.\tNone.\n", TSV),
        (parquet(ROWS), PARQUET),
    ],
    ids=["csv", "with a charset", "utf-16", "empty", "tsv", "parquet"],
)
async def test_tables_are_taken_as_the_command_line_takes_them(
    client: httpx.AsyncClient, content: bytes, media_type: str
) -> None:
    report = await send(client, content, media_type, labels="keep")
    rows = {b"": 0}.get(content, 1 if media_type == TSV else 2)
    assert (report["created"], report["labels"], report["rejected"]) == (rows, rows, [])
    if rows == 2:
        texts = {
            each["prompt"]: [one["text"] for one in each["responses"]]
            for each in await stored(client)
        }
        assert texts == {row["prompt"]: [row["chosen"], row["rejected"]] for row in ROWS}


async def test_a_row_that_does_not_fit_its_header_is_told_by_its_line(
    client: httpx.AsyncClient,
) -> None:
    content = b"prompt,chosen,rejected\nOne?,Yes.,No.\nTwo?,Yes.\n,a,b\nFour?,Yes.,No.\n"
    report = await send(client, content, CSV)
    assert report["created"] == 2
    assert [each["line"] for each in report["rejected"]] == [3, 4]
    assert report["rejected_count"] == 2
    assert "2 cells, but 3 columns" in report["rejected"][0]["detail"]


@pytest.mark.parametrize(
    ("content", "media_type", "words"),
    [
        (b"a,b;c\n1,2;3\n", CSV, "does not tell how cells are separated"),
        (b"prompt,prompt\n", CSV, "two columns"),
        (b"PAR1 and no more", PARQUET, "damaged"),
        (b"", PARQUET, "no Parquet file"),
        (AS_CSV.encode(), PARQUET, "no Parquet file"),
        (b"PK\x03\x04 a workbook", CSV, "Excel"),
    ],
)
async def test_a_table_that_cannot_be_read_for_sure_is_refused(
    client: httpx.AsyncClient, content: bytes, media_type: str, words: str
) -> None:
    refused = await send(client, content, media_type, status=422)
    assert words in refused["detail"]
    assert await stored(client) == []


async def test_a_table_over_the_limit_is_refused(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.imports.bodies.MAX_TABLE_BYTES", 20)
    refused = await send(client, AS_CSV.encode(), CSV, status=413)
    assert "JSON lines" in refused["detail"]


MAP = {
    "question": "prompt",
    "b": "response",
    "a": "response",
    "topic": "metadata",
    "seen": "ignore",
}


@pytest.mark.parametrize("media_type", [CSV, LINES])
async def test_columns_are_read_by_the_names_of_the_map(
    client: httpx.AsyncClient, media_type: str
) -> None:
    row = {"question": "Why?", "a": "Because.", "b": "So.", "topic": "life", "seen": "9"}
    content = json.dumps(row).encode()
    if media_type == CSV:
        content = ",".join(row).encode() + b"\n" + ",".join(row.values()).encode()
    report = await send(client, content, media_type, map=json.dumps(MAP))
    assert (report["created"], report["left_out_columns"]) == (1, {"seen": 1})
    (prompt,) = await stored(client)
    assert (prompt["prompt"], prompt["metadata"]) == ("Why?", {"topic": "life"})
    assert [each["text"] for each in prompt["responses"]] == ["So.", "Because."]


@pytest.mark.parametrize(
    "sent", ["", "[]", "{", '{"a": 1}', '{"a": ""}', '{"a": null}', "x" * 10_001]
)
async def test_a_map_of_the_wrong_form_is_named(client: httpx.AsyncClient, sent: str) -> None:
    refused = await send(client, b"", LINES, status=422, map=sent)
    assert refused["errors"][0]["loc"] == ["query", "map"]


async def test_a_dry_run_stores_nothing_and_tells_what_would_be(client: httpx.AsyncClient) -> None:
    lines: list[dict[str, Any]] = [
        {"prompt": f"{n}?", "chosen": "Yes.", "rejected": "No.", "tree": None} for n in range(60)
    ]
    lines[1] = {"prompt": "1?", "chosen": "Yes."}
    lines[2]["tree"] = {"id": 7}
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    preview = await send(client, content, LINES, dry_run=True)
    assert preview["lines"] == 50
    assert preview["formats"] == {"trl": 49}
    assert preview["labels"] == 49
    assert [each["line"] for each in preview["rejected"]] == [2]
    assert preview["prompts"][0] == {
        "prompt": "0?",
        "responses": [{"text": "Yes."}, {"text": "No."}],
    }
    assert len(preview["prompts"]) == 3
    columns = {each["name"]: (each["example"], each["use"]) for each in preview["columns"]}
    assert columns == {
        "prompt": ("0?", "used"),
        "chosen": ("Yes.", "used"),
        "rejected": ("No.", "used"),
        "tree": ('{"id":7}', "left out"),
    }
    assert await stored(client) == []
    assert (await client.get("/imports")).json() == {"imports": []}


@pytest.mark.parametrize("media_type", [CSV, PARQUET])
async def test_a_dry_run_reads_tables_and_maps(client: httpx.AsyncClient, media_type: str) -> None:
    rows = [{"q": f"{n}?", "yes": "Yes.", "no": "No.", "x": "y"} for n in range(3)]
    as_csv = "q,yes,no,x\n" + "".join(",".join(row.values()) + "\n" for row in rows)
    content = parquet(rows) if media_type == PARQUET else as_csv.encode()
    unmapped = await send(client, content, media_type, dry_run=True)
    assert (unmapped["formats"], len(unmapped["rejected"])) == ({}, 3)
    assert [each["name"] for each in unmapped["columns"]] == ["q", "yes", "no", "x"]
    assert {each["use"] for each in unmapped["columns"]} == {"unread"}
    columns = {"q": "prompt", "yes": "chosen", "no": "rejected", "x": "ignore"}
    preview = await send(client, content, media_type, dry_run=True, map=json.dumps(columns))
    assert (preview["formats"], preview["rejected"]) == ({"trl": 3}, [])
    assert [each["use"] for each in preview["columns"]] == ["used", "used", "used", "ignored"]


async def test_how_far_an_import_is_can_be_asked_while_it_runs(
    client: httpx.AsyncClient, annotator_client: ClientFactory
) -> None:
    go_on = asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        for number in range(600):
            line = {"prompt": f"{number}?", "responses": [{"text": "Yes."}, {"text": "No."}]}
            yield json.dumps(line).encode() + b"\n"
        yield b"{\n" * 3
        await go_on.wait()

    sending = asyncio.create_task(send(client, lines(), LINES))
    try:
        async with asyncio.timeout(60):
            while True:
                found = (await client.get("/imports")).json()["imports"]
                if found and found[0]["created"]:
                    break
                await asyncio.sleep(0.02)
    finally:
        go_on.set()
    assert (found[0]["created"], found[0]["is_running"]) == (500, True)
    assert found[0]["id"].startswith("imp_")
    assert (await sending)["rejected_count"] == 3
    (ended,) = (await client.get("/imports")).json()["imports"]  # no planner runs here
    assert (ended["is_running"], ended["created"], ended["rejected"]) == (False, 600, 3)
    ana = await annotator_client("ana")
    assert (await ana.get("/imports")).status_code == 403
    assert (await client.get("/imports?project=nowhere")).status_code == 404
