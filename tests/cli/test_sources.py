"""What `import` reads: every kind of file gives the same lines."""

import csv
import gzip
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.cli.transfer.sources import json_lines, opened
from app.errors import CommandFailed
from app.settings import MAX_LINE_BYTES

ROWS = [
    {"prompt": f'Q {number},\n"quoted"?', "chosen": f"good {number}", "rejected": "bad 日本"}
    for number in range(600)
]


def _read(path: Path) -> list[dict[str, Any]]:
    with opened(path) as (file, size):
        content = b"".join(json_lines(file, path))
        assert 0 < file.tell() <= path.stat().st_size
    assert size == path.stat().st_size
    return [json.loads(line) for line in content.splitlines()]


def _csv(rows: list[dict[str, Any]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)),
        ("rows.json", json.dumps(ROWS, indent=1).encode()),
        ("rows.json.gz", gzip.compress(b"\xef\xbb\xbf \n" + json.dumps(ROWS).encode())),
        ("rows.csv", _csv(ROWS)),
        ("ROWS.CSV", b"\xef\xbb\xbf" + _csv(ROWS)),
        ("rows.csv.gz", gzip.compress(_csv(ROWS))),
        ("rows.tsv", _csv(ROWS, "\t")),
        ("rows.parquet", _parquet(ROWS)),
        ("no-suffix", _parquet(ROWS)),
    ],
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert _read(path) == ROWS


def test_nulls_of_a_table_were_not_given(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"prompt": "x", "responses": [{"text": "a", "score": 1.5}, {"text": "b", "score": None}]},
        {"prompt": "y", "metadata": {"k": "v"}, "responses": [{"text": "c"}, {"text": "d"}]},
    ]
    path = tmp_path / "rows.parquet"
    path.write_bytes(_parquet([{"metadata": None, **row} for row in rows]))

    first, second = _read(path)

    assert first == {"prompt": "x", "responses": [{"text": "a", "score": 1.5}, {"text": "b"}]}
    assert second == rows[1]


def test_csv_cells_are_texts_but_for_conversations_objects_and_scores(tmp_path: Path) -> None:
    asked = [{"role": "user", "content": "hi"}]
    path = tmp_path / "rows.csv"
    path.write_bytes(
        _csv(
            [
                {
                    "prompt": json.dumps(asked),
                    "chosen": "[1, 2]",
                    "rejected": "{not json",
                    "score_chosen": "7.5",
                    "metadata": '{"k": 1}',
                    "note": "",
                }
            ]
        )
    )

    assert _read(path) == [
        {
            "prompt": asked,
            "chosen": "[1, 2]",
            "rejected": "{not json",
            "score_chosen": 7.5,
            "metadata": {"k": 1},
        }
    ]


@pytest.mark.parametrize("indent", [None, 2])
def test_the_elements_of_an_array_are_sent_as_they_stand(
    tmp_path: Path, indent: int | None
) -> None:
    rows: list[Any] = [
        {"text": 'a\n"[{,', "日本": ["]", {"x": 1.0}], "n": 12345678901234567890123, "e": {}},
        {"text": "x" * 300_000},
        17,
        [],
    ]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=False), encoding="utf-8")

    assert _read(path) == rows


def test_an_array_is_read_an_element_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows = ({"prompt": "x" * 10_000, "number": number} for number in range(3000))
    path.write_text(f"[{', '.join(map(json.dumps, rows))}]")
    tracemalloc.start()
    with opened(path) as (file, _):
        lines = sum(chunk.count(b"\n") for chunk in json_lines(file, path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert lines == 3000
    assert peak < path.stat().st_size / 4


def test_an_element_over_the_limit_of_a_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_bytes(b'[{"a": 1}, "' + b"x" * (2 * MAX_LINE_BYTES + 1) + b'"]')

    with pytest.raises(CommandFailed, match="element 2 is over"), opened(path) as (file, _):
        list(json_lines(file, path))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.json", b'[{"prompt": ', "is no JSON array .element 1"),
        ("rows.json", b'[{"prompt": "x"} {"prompt": "y"}]', "after element 1 there is no ','"),
        ("rows.json", b'[{"prompt": "x"}, ]', "is no JSON array .element 2"),
        ("rows.json", b'[{"prompt": "x"}] {}', "something follows its 1 elements"),
        ("rows.json", b'[{"prompt": "x"}, {"prompt": "\xff"}]', "is damaged"),
        ("rows.json", b"[" * 100_000, "nested too deeply"),
        ("rows.csv", b"prompt,chosen\n\xff\xfe,x\n", "is damaged"),
        ("rows.csv", b'prompt,chosen\n"x" y,z\n', "is damaged"),
        ("rows.csv.gz", gzip.compress(_csv(ROWS))[:-20], "is damaged"),
        ("rows.parquet", _parquet(ROWS)[:-20], "is damaged"),
        ("missing", None, "cannot be read"),
    ],
)
def test_a_damaged_file_is_told(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandFailed, match=words), opened(path) as (file, _):
        list(json_lines(file, path))
