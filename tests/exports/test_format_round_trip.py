"""The same judgements in every format that can be imported: the same labels, in and out again."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.imports.files.sources import json_source, opened

Sessions = async_sessionmaker[AsyncSession]
Json = dict[str, Any]

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Héllo 日本\nagain"},
    {"role": "assistant", "content": "Hi 🙂"},
    {"role": "user", "content": 'And "now"?'},
]
DIALOGUE = CHAT[1:]
QUESTION = "Wie spät ist es,\t«genau»?"


@dataclass(frozen=True, slots=True)
class Said:
    """One label, by texts; where none is preferred, the two stand in their order."""

    prompt: Any
    choice: str
    better: str
    worse: str
    annotator: str = "import"
    strength: int | None = None


def _better(prompt: Any, better: str, worse: str, **more: Any) -> Said:
    return Said(prompt, "preferred", better, worse, **more)


def _lines(*rows: Json) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _rank(*levels: Sequence[str]) -> list[Json]:
    return [{"value": name, "rank": rank} for rank, names in enumerate(levels, 1) for name in names]


def _argilla(prompt: Any, responses: Any) -> Json:
    fields = {"instruction": prompt, "one": "eins 🙂", "two": "zwei\n", "three": "drei"}
    return {"id": f"argilla-{len(json.dumps(prompt))}", "fields": fields, "responses": responses}


RANKED = [
    _better(QUESTION, "zwei\n", "eins 🙂", annotator="u-1"),
    _better(QUESTION, "zwei\n", "drei", annotator="u-1"),
    Said(QUESTION, "tie", "eins 🙂", "drei", annotator="u-1"),
]
ARGILLA_2 = _lines(
    _argilla(
        QUESTION,
        {"order": [{"value": _rank(["two"], ["one", "three"]), "user_id": "u-1",
                    "status": "submitted"},
                   {"value": _rank(["one"], ["two"]), "user_id": "u-2", "status": "draft"}]},
    ),
    _argilla(CHAT, {"best": [{"value": "three", "user_id": "u-2"}],
                    "comment": [{"value": "fine", "user_id": "u-2"}]}),
)  # fmt: skip
ARGILLA_1 = _lines(
    _argilla(
        QUESTION,
        [{"user_id": "u-1", "status": "submitted",
          "values": {"order": {"value": _rank(["two"], ["one", "three"])}}}],
    ),
    _argilla(CHAT, [{"user_id": "u-2", "values": {"best": {"value": "three"}}}]),
)  # fmt: skip
CHOSEN = [
    _better(CHAT, "drei", "eins 🙂", annotator="u-2"),
    _better(CHAT, "drei", "zwei\n", annotator="u-2"),
]

LABEL_STUDIO = _lines(
    {"id": 1, "data": {"prompt": QUESTION, "a1": "eins 🙂", "a2": "zwei\n"}, "annotations": [
        {"completed_by": {"email": "ana@example.org"}, "result": [
            {"type": "pairwise", "to_name": "a1,a2", "value": {"selected": "right"}}]},
        {"completed_by": 7, "result": [
            {"type": "pairwise", "to_name": "a1,a2", "value": {"selected": "tie"}}]},
        {"completed_by": 8, "was_cancelled": True, "result": [
            {"type": "pairwise", "to_name": "a1,a2", "value": {"selected": "left"}}]}]},
    {"id": 2, "data": {"prompt": "Rank", "items": [
        {"id": "x", "body": "eins 🙂"}, {"id": "y", "body": "zwei\n"},
        {"id": "z", "body": "drei"}]},
     "annotations": [{"completed_by": 7, "result": [
         {"type": "ranker", "value": {"ranker": ["z", "x", "y"]}}]}]},
)  # fmt: skip

PAIRS: list[Json] = [
    {"prompt": QUESTION, "response_a": "eins 🙂", "response_b": 'zwei,\n"2"', "winner": "b",
     "strength": "3", "annotator": "ana"},
    {"prompt": QUESTION, "response_a": "eins 🙂", "response_b": 'zwei,\n"2"', "winner": "tie",
     "strength": "", "annotator": "bob"},
    {"prompt": CHAT, "response_a": "drei", "response_b": "vier", "winner": "both_bad",
     "strength": "", "annotator": "ana"},
    {"prompt": CHAT, "response_a": "drei", "response_b": "vier", "winner": "a",
     "strength": "1", "annotator": "bob"},
]  # fmt: skip
PAIRED = [
    _better(QUESTION, 'zwei,\n"2"', "eins 🙂", annotator="ana", strength=3),
    Said(QUESTION, "tie", "eins 🙂", 'zwei,\n"2"', annotator="bob"),
    Said(CHAT, "both_bad", "drei", "vier", annotator="ana"),
    _better(CHAT, "drei", "vier", annotator="bob", strength=1),
]


def _csv(rows: Sequence[Json]) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, fieldnames=list(rows[0]))
    writer.writeheader()
    for row in rows:
        asked = row["prompt"]
        cell = asked if isinstance(asked, str) else json.dumps(asked, ensure_ascii=False)
        writer.writerow({**row, "prompt": cell})
    return file.getvalue().encode()


def _parquet(rows: Sequence[Json]) -> bytes:
    """All the prompts as messages, since a column has one type."""
    sink = io.BytesIO()
    strengths = [int(row["strength"]) if row["strength"] else None for row in rows]
    table = pa.Table.from_pylist(
        [{**row, "strength": strength} for row, strength in zip(rows, strengths, strict=True)]
    )
    pq.write_table(table, sink)
    return sink.getvalue()


def _dialogue(last: str) -> str:
    turns = [("Human" if turn["role"] == "user" else "Assistant", turn["content"])
             for turn in DIALOGUE]  # fmt: skip
    return "".join(f"\n\n{who}: {said}" for who, said in [*turns, ("Assistant", last)])


def _pro(*suffixes: tuple[str, float]) -> Json:
    turns = {"user": "<|prompter|>", "assistant": "<|assistant|>"}
    prefix = [f"{turns[turn['role']]}{turn['content']}" for turn in DIALOGUE] + ["<|assistant|>"]
    return {
        "prefix": [prefix] * len(suffixes),
        "suffix": [said for said, _ in suffixes],
        "reward": [reward for _, reward in suffixes],
    }


def _own(*votes: Json) -> Json:
    responses = [{"id": "r1", "text": "eins 🙂"}, {"id": "r2", "text": "zwei\n"}]
    return {"prompt_id": "own", "prompt": CHAT, "responses": responses, "preferences": list(votes)}


FORMATS: dict[str, tuple[str, bytes, list[Said]]] = {
    "argilla 2": ("records.jsonl", ARGILLA_2, RANKED + CHOSEN),
    "argilla 1": ("records.jsonl", ARGILLA_1, RANKED + CHOSEN),
    "argilla as an array": (
        "records.json",
        b"[" + ARGILLA_2.strip().replace(b"\n", b",\n") + b"]",
        RANKED + CHOSEN,
    ),
    "label studio": (
        "tasks.jsonl",
        LABEL_STUDIO,
        [
            _better(QUESTION, "zwei\n", "eins 🙂", annotator="ana@example.org"),
            Said(QUESTION, "tie", "eins 🙂", "zwei\n", annotator="7"),
            _better("Rank", "drei", "eins 🙂", annotator="7"),
            _better("Rank", "drei", "zwei\n", annotator="7"),
            _better("Rank", "eins 🙂", "zwei\n", annotator="7"),
        ],
    ),
    "trl": (
        "rows.jsonl",
        _lines(
            {"prompt": QUESTION, "chosen": "eins 🙂", "rejected": " zwei\n"},
            {
                "prompt": CHAT,
                "chosen": [{"role": "assistant", "content": "drei"}],
                "rejected": [{"role": "assistant", "content": "vier"}],
            },
        ),
        [_better(QUESTION, "eins 🙂", " zwei\n"), _better(CHAT, "drei", "vier")],
    ),
    "hh": (
        "rows.jsonl",
        _lines({"chosen": _dialogue("drei"), "rejected": _dialogue("vier 🙂")}),
        [_better(DIALOGUE, "drei", "vier 🙂")],
    ),
    "pro": (
        "rows.jsonl",
        _lines(_pro(("eins", 2.5), ("zwei", 1.0), ("drei", 1.0))),
        [
            _better(DIALOGUE, "eins", "zwei"),
            _better(DIALOGUE, "eins", "drei"),
            Said(DIALOGUE, "tie", "zwei", "drei"),
        ],
    ),
    "ultrafeedback": (
        "rows.jsonl",
        _lines(
            {
                "instruction": QUESTION,
                "completions": [
                    {"response": "eins 🙂", "model": "m", "overall_score": 9},
                    {"response": "zwei", "model": "n", "overall_score": 3},
                ],
            }
        ),
        [],
    ),
    "csv": ("rows.csv", _csv(PAIRS), PAIRED),
    "parquet": (
        "rows.parquet",
        _parquet([row for row in PAIRS if row["prompt"] is CHAT]),
        [said for said in PAIRED if said.prompt is CHAT],
    ),
    "our own": (
        "rows.jsonl",
        _lines(
            _own(
                {"a": "r1", "b": "r2", "winner": "b", "annotator": "ana", "strength": 2},
                {"a": "r1", "b": "r2", "winner": "tie", "annotator": "bob"},
                {"a": "r2", "b": "r1", "winner": "both_bad", "annotator": "eve"},
            )
        ),
        [
            _better(CHAT, "zwei\n", "eins 🙂", annotator="ana", strength=2),
            Said(CHAT, "tie", "eins 🙂", "zwei\n", annotator="bob"),
            Said(CHAT, "both_bad", "eins 🙂", "zwei\n", annotator="eve"),
        ],
    ),
}

_LABELS = """
SELECT prompts.content, labels.choice, labels.preferred_response_id IS NOT NULL AS is_preferred,
    coalesce(better.text, one.text) AS better, coalesce(worse.text, other.text) AS worse,
    labels.annotator, labels.strength
FROM labels JOIN projects ON projects.id = labels.project_id
JOIN prompts ON prompts.id = labels.prompt_id
JOIN pairs ON pairs.id = labels.pair_id
JOIN responses AS one ON one.id = pairs.first_response_id
JOIN responses AS other ON other.id = pairs.second_response_id
LEFT JOIN responses AS better ON better.id = labels.preferred_response_id
LEFT JOIN responses AS worse ON worse.id = labels.rejected_response_id
WHERE projects.name = :project
"""


async def _labels(sessions: Sessions, project: str) -> list[Said]:
    async with sessions() as session:
        rows = await session.execute(text(_LABELS), {"project": project})
    return [
        Said(
            row.content,
            "preferred" if row.is_preferred else row.choice,
            row.better,
            row.worse,
            row.annotator,
            row.strength,
        )
        for row in rows
    ]


async def _import(client: httpx.AsyncClient, sessions: Sessions, project: str, body: bytes) -> Json:
    """Import with labels into a project, whose prompts are planned at once."""
    answer = await client.post(
        "/prompts/import",
        params={"project": project, "labels": "keep"},
        content=body,
        headers={"Content-Type": "application/x-ndjson"},
    )
    report: Json = answer.json()
    assert report["rejected"] == []
    async with sessions.begin() as session:
        await session.execute(text("UPDATE prompts SET group_id = id WHERE group_id IS NULL"))
    return report


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_gives_its_labels_and_the_same_again(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, name: str
) -> None:
    file_name, content, expected = FORMATS[name]
    path = tmp_path / file_name
    path.write_bytes(content)
    with opened(path) as (file, _):
        body = b"".join(json_source(file, path))
    for project in ("p", "q"):
        assert (await client.post("/projects", json={"name": project})).status_code == 201

    report = await _import(client, sessions, "p", body)

    assert report["labels"] == len(expected)
    stored = await _labels(sessions, "p")
    assert sorted(stored, key=repr) == sorted(expected, key=repr)
    again = await _import(client, sessions, "p", body)
    assert (again["created"], again["labels"]) == (0, 0)

    # What a trainer gets of them can be imported too, and is then what it was.
    exported = (
        await client.get("/exports/dpo", params={"project": "p", "layout": "conversational"})
    ).content
    await _import(client, sessions, "q", exported)
    copied = (
        await client.get("/exports/dpo", params={"project": "q", "layout": "conversational"})
    ).content
    assert copied == exported
    assert {said.worse for said in await _labels(sessions, "q")} == {
        json.loads(row)["rejected"][0]["content"] for row in exported.splitlines()
    }
