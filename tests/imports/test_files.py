"""What `import` reads: every kind of file gives the same rows, with the numbers they have in it."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import CommandFailed
from app.imports.files.refused import RefusedRows
from app.imports.files.sources import json_source, opened
from app.imports.line_splitter import Line
from app.imports.stream_splitter import StreamSplitter
from app.settings import MAX_LINE_BYTES

ROWS = [
    {"prompt": f'Q {number},\n"quoted"?', "chosen": f"good {number}", "rejected": "bad 日本"}
    for number in range(600)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
MARK = "\ufeff"
_CELL = st.text("ab ,;\t\r\n\"'\\\u2028\ufeffé日🙂", max_size=6)


def _lines(path: Path) -> tuple[list[Line], RefusedRows]:
    """The lines that the service reads from what is sent, and the rows that are not sent."""
    splitter = StreamSplitter(MAX_LINE_BYTES)
    with opened(path) as (file, size):
        source = json_source(file, path)
        lines = [line for chunk in source for line in splitter.feed(chunk)]
        assert 0 <= file.tell() <= path.stat().st_size
    assert size == (path.stat().st_size or None)
    return [*lines, *splitter.finish()], source.refused


def _read(path: Path) -> list[Any]:
    lines, refused = _lines(path)
    assert refused.told == []
    return [json.loads(line.content or b"") for line in lines]


def _told(path: Path) -> tuple[list[tuple[int, Any]], list[tuple[int, str]]]:
    """Numbers and rows of what is sent, numbers and reasons of what is not."""
    lines, refused = _lines(path)
    assert refused.count == len(refused.told)
    read = [(line.number, json.loads(line.content or b"")) for line in lines]
    return read, [(each.line, each.detail) for each in refused.told]


def _csv(rows: list[dict[str, Any]], delimiter: str = ",", line_end: str = "\r\n") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(
        text, fieldnames=list(rows[0]), delimiter=delimiter, lineterminator=line_end
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _parquet(rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.jsonl", LINES.encode()),
        ("rows.jsonl", LINES.replace("\n", "\r\n").encode()),
        ("rows.jsonl", LINES.replace("\n", "\r").encode()),
        ("rows.jsonl", (MARK + LINES + MARK * 2).encode()),
        ("rows.jsonl", LINES.encode("utf-16")),
        ("rows.jsonl", LINES.encode("utf-16-le")),
        ("rows.jsonl", LINES.encode("utf-16-be")),
        ("rows.jsonl", LINES.encode("utf-32")),
        ("rows.json", json.dumps(ROWS, indent=1).encode()),
        ("rows.json", json.dumps(ROWS).encode("utf-16-be")),
        ("rows.json.gz", gzip.compress(f"{MARK} \n{json.dumps(ROWS)}".encode(), mtime=0)),
        ("two-parts.gz", gzip.compress(LINES[:999].encode()) + gzip.compress(LINES[999:].encode())),
        ("rows.csv", _csv(ROWS).encode()),
        ("rows.csv", _csv(ROWS, line_end="\n").encode()),
        ("rows.csv", _csv(ROWS, line_end="\r").encode()),
        ("ROWS.CSV", (MARK + _csv(ROWS)).encode()),
        ("rows.csv", (MARK + _csv(ROWS)).encode("utf-16-le")),
        ("rows.csv", _csv(ROWS, "\t").encode("utf-16")),
        ("rows.csv", _csv(ROWS, ";").encode()),
        ("rows.csv", ("sep=;\r\n" + _csv(ROWS, ";")).encode()),
        ("rows.csv.gz", gzip.compress(_csv(ROWS).encode(), mtime=0)),
        ("rows.tsv", _csv(ROWS, "\t").encode()),
        ("rows.parquet", _parquet(ROWS)),
        ("no-suffix", _parquet(ROWS)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert _read(path) == ROWS


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "rows.json", "rows.csv", "rows.tsv", "rows.json.gz"]
)
def test_an_empty_file_has_no_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"") if name.endswith(".gz") else b"")

    assert _read(path) == []


def test_the_nulls_of_a_table_stay_but_in_objects_of_free_form(tmp_path: Path) -> None:
    call = {"function": {"name": "f", "arguments": {"x": 1, "y": None}}}
    rows: list[dict[str, Any]] = [
        {"prompt": "x", "responses": [{"text": "a", "score": 1.5}, {"text": "b", "score": None}]},
        {
            "prompt": None,
            "metadata": {"k": None, "n": [None, {"v": None}]},
            "responses": [{"text": "c", "score": None, "tool_calls": [call]}],
        },
    ]
    path = tmp_path / "rows.parquet"
    path.write_bytes(_parquet([{"metadata": None, **row} for row in rows]))

    first, second = _read(path)

    assert first["metadata"] is None
    assert [(each["text"], each["score"]) for each in first["responses"]] == [
        ("a", 1.5),
        ("b", None),
    ]
    assert second["prompt"] is None
    assert second["metadata"] == {"n": [None, {}]}
    assert second["responses"][0]["tool_calls"] == [
        {"function": {"name": "f", "arguments": {"x": 1}}}
    ]


def test_the_types_of_a_table_become_those_of_json(tmp_path: Path) -> None:
    table = pa.table(
        {
            "bytes": pa.array(["é".encode()], pa.binary()),
            "large": pa.array(["x"], pa.large_string()),
            "words": pa.array(["x"]).dictionary_encode(),
            "list": pa.array([["x", None]], pa.large_list(pa.string())),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())),
            "day": pa.array([19_000], pa.date32()),
            "at": pa.array([0], pa.timestamp("ms", "UTC")),
            "time": pa.array([1], pa.time32("s")),
            "took": pa.array([1500], pa.duration("ms")),
            "price": pa.array(["1.50"], pa.string()).cast(pa.decimal128(5, 2)),
            "id": pa.array(["12345678901234567"], pa.string()).cast(pa.decimal128(20, 0)),
            "missing": pa.array([float("nan")]),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)

    assert _read(path) == [
        {
            "bytes": "é",
            "large": "x",
            "words": "x",
            "list": ["x", None],
            "map": {"k": 1},
            "day": "2022-01-08",
            "at": "1970-01-01T00:00:00+00:00",
            "time": "00:00:01",
            "took": 1.5,
            "price": 1.5,
            "id": 12345678901234567,
            "missing": None,
        }
    ]


def test_a_row_of_a_table_that_json_cannot_hold_is_refused_with_its_number(tmp_path: Path) -> None:
    invalid_text = pa.array([b"a", b"\xff", b"c", b"d", b"e"]).view(pa.string())
    table = pa.table(
        {
            "prompt": invalid_text,
            "image": pa.array([{"bytes": b"\x89PNG"} if row == 2 else None for row in range(5)]),
            "score": pa.array([0.0, 0.0, 0.0, float("inf"), 0.0]),
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path)

    read, refused = _told(path)

    assert [(number, row["prompt"]) for number, row in read] == [(1, "a"), (5, "e")]
    assert [number for number, _ in refused] == [2, 3, 4]
    assert refused[0][1] == "prompt: text that is not UTF-8"
    assert refused[1][1] == "image.bytes: bytes that are not UTF-8"
    assert refused[2][1] == "score: an infinite number"


def test_every_cell_is_the_text_it_is(tmp_path: Path) -> None:
    row = {
        "prompt": '[{"role": "user", "content": "hi"}]',
        "chosen": " [1, 2]",
        "rejected": "null",
        "score_chosen": "7.50",
        "metadata": '{"k": 1}',
        "note": "",
    }
    path = tmp_path / "rows.csv"
    path.write_text(_csv([row]))

    assert _read(path) == [row]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(_CELL, _CELL, _CELL).filter(any), max_size=5),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32"]),
)
def test_every_text_of_a_table_comes_byte_for_byte(
    tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str, line_end: str, encoding: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([("prompt", "chosen", "rejected"), *rows])
    path = tmp_path / "rows.csv"
    path.write_bytes(text.getvalue().encode(encoding))

    assert [tuple(row.values()) for row in _read(path)] == rows


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q,yes,no, maybe not", "4 cells, but 3 columns"),
        ("q,yes,no,", "4 cells, but 3 columns"),
        ("q,yes", "2 cells, but 3 columns"),
        ('q,"yes" or,no', "not CSV: "),
        ("q,yes,\udce9", "not UTF-8"),
        ("prompt,chosen,rejected", "the header again"),
        (MARK + "prompt,chosen,rejected", "the header again"),
    ],
)
def test_a_row_that_does_not_fit_its_header_is_refused_with_its_line(
    tmp_path: Path, line: str, words: str
) -> None:
    text = f'prompt,chosen,rejected\n"1\n2",a,b\n\n,,\n{line}\nlast,c,d\n'
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(errors="surrogateescape"))

    read, refused = _told(path)

    assert [(number, row["prompt"]) for number, row in read] == [(2, "1\n2"), (7, "last")]
    ((number, detail),) = refused
    assert number == 6
    assert words in detail


def test_a_quote_that_is_not_closed_is_told_with_the_lines_it_took(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,chosen,rejected\nx,a,b\n"y,a,b\nz,a,b\n')

    read, refused = _told(path)

    assert [number for number, _ in read] == [2]
    ((number, detail),) = refused
    assert number == 3
    assert "lines 3 to 4 were not read" in detail


def test_a_first_column_without_a_name_may_hold_row_numbers_and_no_other_may(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(",prompt,chosen,rejected,\n0,x,a,b,\n1,y,a,b, or c\nz,x,a,b,\n")

    read, refused = _told(path)

    assert read == [
        (2, {"Unnamed: 0": "0", "prompt": "x", "chosen": "a", "rejected": "b"}),
    ]
    assert [number for number, _ in refused] == [3, 4]
    assert refused[0][1] == "cell 5 stands in a column without a name"


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


def test_a_number_counts_what_the_file_has(tmp_path: Path) -> None:
    counts = {}
    for name, content in (
        ("rows.jsonl", b'{"a": 1}\n'),
        ("rows.json", b'[{"a": 1}]'),
        ("pretty.json", b'{\n "a": 1}'),
        ("rows.csv", b"a,b\n1,2\n"),
        ("rows.parquet", _parquet(ROWS)),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with opened(path) as (file, _):
            counts[name] = json_source(file, path).counts

    assert counts == {
        "rows.jsonl": "line",
        "rows.json": "element",
        "pretty.json": "element",
        "rows.csv": "line",
        "rows.parquet": "row",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.csv"])
def test_a_large_file_is_read_a_piece_at_a_time(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    rows = [{"prompt": "x" * 10_000, "number": str(number)} for number in range(3000)]
    text = {
        "rows.json": f"[{', '.join(map(json.dumps, rows))}]",
        "rows.jsonl": "\n".join(map(json.dumps, rows)),
        "rows.csv": _csv(rows),
    }[name]
    path.write_bytes(text.encode("utf-16"))
    del rows, text
    splitter = StreamSplitter(MAX_LINE_BYTES)
    tracemalloc.start()
    with opened(path) as (file, _):
        lines = sum(1 for chunk in json_source(file, path) for _ in splitter.feed(chunk))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert lines + sum(1 for _ in splitter.finish()) == 3000
    assert peak < path.stat().st_size / 8


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.csv", b"prompt|chosen\nx|y\n", "does not tell how cells are separated"),
        ("rows.csv", b"the prompt, or question;chosen;rejected\n", "does not tell how cells"),
        ("rows.csv", b'"prompt";"chosen, or good"\n', "does not tell how cells"),
        ("rows.csv", b"prompt,chosen,chosen\nx,y,z\n", "two columns have the name 'chosen'"),
        ("rows.csv", b"prompt,chos\xe9n\nx,y\n", "names of the columns are not UTF-8"),
        ("rows.csv.gz", gzip.compress(_csv(ROWS).encode())[:-20], "is damaged"),
        ("rows.jsonl.gz", gzip.compress(b"{}") + b"more", "is damaged"),
        ("rows.jsonl.gz", b"\x1f\x8b\x08", "is damaged"),
        ("rows.jsonl.gz.gz", gzip.compress(gzip.compress(b"{}")), "is gzip within gzip"),
        ("rows.parquet.gz", gzip.compress(_parquet(ROWS)), "Parquet file within gzip"),
        ("rows.jsonl.bz2", bz2.compress(b"{}"), "is bzip2: unpack it first"),
        ("rows.jsonl.xz", lzma.compress(b"{}"), "is xz: unpack it first"),
        ("rows.jsonl.zst", b"\x28\xb5\x2f\xfd\x24", "is zstd: unpack it first"),
        ("rows.xlsx", b"PK\x03\x04\x14", "an Excel workbook: unpack it first"),
        ("rows.parquet", _parquet(ROWS)[:-20], "is damaged"),
        ("missing", None, "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CommandFailed, match=words), opened(path) as (file, _):
        list(json_source(file, path))


def _with_json(rows: list[dict[str, Any]]) -> pa.Table:
    """Messages as structs with lists of JSON, tools as lists of JSON."""

    def schema(kind: pa.DataType) -> pa.Schema:
        message = pa.struct([("role", pa.string()), ("tool_calls", pa.list_(kind))])
        return pa.schema([("messages", pa.list_(message)), ("tools", pa.list_(kind))])

    def written(values: list[Any] | None) -> list[str] | None:
        return None if values is None else [json.dumps(each) for each in values]

    in_strings = [
        {
            "messages": [
                {**turn, "tool_calls": written(turn["tool_calls"])} for turn in row["messages"]
            ],
            "tools": written(row["tools"]),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(in_strings, schema=schema(pa.string())).cast(schema(pa.json_()))


def test_json_in_parquet_is_read_as_trl_documents_it(tmp_path: Path) -> None:
    """In structs and lists, and without nulls being taken for fields that are not there."""
    calls = [{"function": {"name": "f", "arguments": {"x": None, "y": [1.5, "é"]}}}]
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "tool_calls": None}], "tools": None},
        {"messages": [{"role": "assistant", "tool_calls": calls}], "tools": [{"name": "f"}]},
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(_with_json(rows), path)

    assert _read(path) == rows


def test_json_in_parquet_that_is_no_json_is_told(tmp_path: Path) -> None:
    cells = pa.array(["[1]", "[1", None]).cast(pa.json_())
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"tools": cells}), path)

    read, told = _told(path)

    assert read == [(1, {"tools": [1]}), (3, {"tools": None})]
    ((number, reason),) = told
    assert number == 2
    assert reason.startswith("tools: not valid JSON")


def test_two_columns_of_a_table_with_one_name_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table([["x"], ["y"]], names=["prompt", "prompt"]), path)

    with pytest.raises(CommandFailed, match="two columns"), opened(path) as (file, _):
        list(json_source(file, path))


def test_lines_within_a_cell_of_a_broken_row_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt,chosen,rejected\n"q1","a "quoted" word\nx,y,z\nend","r"\nq2,a,b\n')

    with opened(path) as (file, _):
        source = json_source(file, path)
        rows = [json.loads(line) for line in b"".join(source).splitlines() if line.strip()]

    assert rows == [{"prompt": "q2", "chosen": "a", "rejected": "b"}]
    assert [each.line for each in source.refused.told] == [2]
