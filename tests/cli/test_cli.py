"""The command line: help with examples, one clear line for each failure, files in and out."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from app.processes.listening import address_of, listen
from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.exports.dataset import add_labelled_prompt
from tests.support.api import ADMIN_KEY

COMMANDS = (
    *("serve", "api", "embedder", "planner", "migrate", "key", "import", "export"),
    *("ledger verify", "backup", "restore"),
)
HEAVY = ("torch", "faiss", "sentence_transformers", "transformers", "sklearn")
SETTINGS = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "ADMIN_KEY", "HOST", "PORT")

HELP = """
import contextlib, io, json, sys
from app.cli.__main__ import main
told = {}
for command in sys.argv[1:]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*command.split(), "--help"])
    told[command] = out.getvalue()
print(json.dumps({"told": told, "modules": sorted(sys.modules)}))
"""


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return kept | {"NO_COLOR": "1", "COLUMNS": "200"} | settings


def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def assert_fails_with(done: "subprocess.CompletedProcess[str]", words: str) -> None:
    """Exit status 1, and one line on stderr that says why."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    assert words in line


def test_every_command_has_help_with_examples_and_it_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, *COMMANDS],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    for command, told in answer["told"].items():
        assert "Example" in told, command
        assert f"annotation-budget {command}" in told, command
    loaded = {name.partition(".")[0] for name in answer["modules"]}
    assert loaded.isdisjoint({*HEAVY, "fastapi", "sqlalchemy"})


@pytest.mark.parametrize(
    "module",
    [
        *("app.cli.serve.api", "app.cli.serve.run", "app.cli.settings"),
        *("app.cli.transfer.importing", "app.cli.transfer.exporting"),
        *("app.cli.database.ledger", "app.cli.database.backup"),
    ],
)
def test_the_api_the_supervisor_and_the_small_commands_load_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()).isdisjoint(HEAVY)


@pytest.mark.parametrize("part", ["api", "embedder", "planner"])
def test_a_part_alone_asks_for_a_database(part: str) -> None:
    assert_fails_with(run(part), "Set DATABASE_URL")


def test_an_embedding_model_that_cannot_be_loaded_is_told_in_one_line() -> None:
    url = "postgresql://budget:a-password@127.0.0.1:1/budget"
    done = run("embedder", DATABASE_URL=url, EMBEDDING_MODEL="/no/such/folder", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    # The log, which tells of the database, comes before it.
    assert done.stderr.splitlines()[-1].startswith("Error: EMBEDDING_MODEL=/no/such/folder: ")


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    url = "postgresql://budget:a-password@127.0.0.1:1/budget"
    for command in ("api", "migrate", "ledger verify"):
        done = run(*command.split(), DATABASE_URL=url)
        assert_fails_with(done, "The database: ")
        assert "a-password" not in done.stderr


def test_an_unmigrated_database_is_told_with_the_remedy(postgres_url: str) -> None:
    for command in ("api", "ledger verify"):
        done = run(*command.split(), DATABASE_URL=postgres_url, LOG_LEVEL="WARNING")
        assert_fails_with(done, "annotation-budget migrate")


def test_migrate_may_be_repeated(database_url: str) -> None:
    for _ in range(2):
        done = run("migrate", DATABASE_URL=database_url, LOG_LEVEL="WARNING")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "The database is at the newest schema.\n"


def test_a_setting_of_the_wrong_form_is_named_and_never_echoed() -> None:
    done = run("key", PORT="a-secret-pasted-here")
    assert_fails_with(done, "PORT: ")
    assert "a-secret" not in done.stderr
    done = run("key", ADMIN_KEY="too-short")
    assert_fails_with(done, "ADMIN_KEY: ")
    assert "too-short" not in done.stderr


def test_key_prints_the_kept_key_alone(tmp_path: Path) -> None:
    assert_fails_with(run("key", "--data-dir", str(tmp_path)), "No key is kept")
    (tmp_path / "admin.key").write_text("the-kept-key\n")
    assert run("key", "--data-dir", str(tmp_path)).stdout == "the-kept-key\n"
    chosen = run("key", DATA_DIR=str(tmp_path), ADMIN_KEY="chosen-by-the-operator")
    assert chosen.stdout == "chosen-by-the-operator\n"


def test_a_service_that_is_not_there_is_told(tmp_path: Path) -> None:
    where = ["--url", "http://127.0.0.1:1", "--key", ADMIN_KEY]
    assert_fails_with(run("export", "dpo", *where), "Nothing answers at http://127.0.0.1:1")
    assert_fails_with(run("export", "dpo", "--url", "nowhere", "--key", "k"), "Not an address")
    missing = run("import", str(tmp_path / "missing.ndjson"), *where)
    assert_fails_with(missing, "missing.ndjson cannot be read")


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    """The address of the real application under Uvicorn."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield address_of(listener)
        server.should_exit = True
        await serving


async def transfer(url: str, *arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    """The command beside the service: its status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", *arguments, "--url", url),
        env=environment(ADMIN_KEY=ADMIN_KEY),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out, err.decode()


def prompt_line(number: int) -> bytes:
    texts = [{"text": f"an answer to {number}"}, {"text": f"another answer to {number}"}]
    return json.dumps({"id": f"p-{number}", "prompt": f"{number}?", "responses": texts}).encode()


async def test_import_sends_a_file_plain_packed_or_piped_and_tells_the_counts(
    url: str, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    lines = b"\n".join(prompt_line(number) for number in range(3)) + b"\n"
    plain = tmp_path / "prompts.ndjson"
    plain.write_bytes(lines)
    packed = tmp_path / "prompts"
    packed.write_bytes(gzip.compress(lines))

    assert await transfer(url, "import", str(plain)) == (
        0,
        b"3 created, 0 unchanged, 0 labels, 0 rejected\n",
        "",
    )
    again = b"0 created, 3 unchanged, 0 labels, 0 rejected\n"
    assert await transfer(url, "import", str(packed)) == (0, again, "")
    assert await transfer(url, "import", "-", stdin=lines) == (0, again, "")
    assert await transfer(url, "import", "-", stdin=gzip.compress(lines)) == (0, again, "")
    assert len((await client.get("/prompts")).json()["prompts"]) == 3


async def test_import_tells_rejected_lines_and_fails(url: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.ndjson"
    file.write_bytes(prompt_line(1) + b"\n{broken\n" + prompt_line(2) + b"\n")
    status, out, err = await transfer(url, "import", str(file))
    counts, rejected = out.decode().splitlines()
    assert (status, err) == (1, "")
    assert counts == "2 created, 0 unchanged, 0 labels, 1 rejected"
    assert rejected.startswith("line 2: ")


async def test_import_tells_refused_rows_by_what_their_numbers_count(
    url: str, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('prompt,chosen,rejected\n"two\nlines",a,b\n\nq,yes,no, maybe\nq,yes,yes\n')
    status, out, err = await transfer(url, "import", str(table))
    counts, cut, alike = out.decode().splitlines()
    assert (status, err) == (1, "")
    assert counts == "1 created, 0 unchanged, 0 labels, 2 rejected"
    assert cut.startswith("line 5: 4 cells, but 3 columns")
    assert alike.startswith("line 6: ")
    stored = (await client.get("/prompts")).json()["prompts"]
    assert [each["prompt"] for each in stored] == ["two\nlines"]

    array = tmp_path / "rows.json"
    array.write_bytes(b"[" + prompt_line(1) + b",\n\n17,\n" + prompt_line(2) + b"]")
    status, out, err = await transfer(url, "import", str(array))
    assert (status, err) == (1, "")
    assert out.decode().splitlines() == [
        "2 created, 0 unchanged, 0 labels, 1 rejected",
        "element 2: a line must be a JSON object",
    ]


async def test_import_reads_other_encodings_and_texts_without_their_mark(
    url: str, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    row = {"prompt": "Wie groß?", "chosen": "日本", "rejected": "b"}
    lines = tmp_path / "rows.jsonl"
    lines.write_bytes(json.dumps(row, ensure_ascii=False).encode("utf-16"))
    table = tmp_path / "rows.parquet"
    pq.write_table(pa.table({name: [text.encode()] for name, text in row.items()}), table)

    assert (await transfer(url, "import", str(lines)))[1].startswith(b"1 created")
    assert await transfer(url, "import", str(table)) == (
        0,
        b"0 created, 1 unchanged, 0 labels, 0 rejected\n",
        "",
    )
    (stored,) = (await client.get("/prompts")).json()["prompts"]
    assert stored["prompt"] == "Wie groß?"


async def test_import_tells_a_damaged_file(url: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.ndjson.gz"
    file.write_bytes(gzip.compress(prompt_line(1) + b"\n")[:-6])
    status, out, err = await transfer(url, "import", str(file))
    assert (status, out) == (1, b"")
    assert err.startswith("Error: ")
    assert "is damaged" in err


async def test_a_refusal_of_the_service_is_one_line(url: str, tmp_path: Path) -> None:
    file = tmp_path / "prompts.ndjson"
    file.write_bytes(prompt_line(1))
    for arguments, status in (
        (("import", str(file), "--project", "nobody-has"), "(404)"),
        (("import", str(file), "--key", "a-wrong-key"), "(401)"),
        (("import", str(file), "--labels", "sometimes"), "(422)"),
        (("export", "no-such/../recipe"), "(404)"),
        (("export", "dpo", "--split", "half"), "(422)"),
    ):
        code, out, err = await transfer(url, *arguments)
        assert (code, out) == (1, b""), arguments
        (line,) = err.splitlines()
        assert line.startswith("Error: "), arguments
        assert line.endswith(status), arguments


async def test_export_writes_what_the_service_gives_to_a_file_or_the_output(
    url: str, client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path
) -> None:
    async with sessions.begin() as session:
        project = (await session.execute(select(Project.id))).scalar_one()
        await add_labelled_prompt(session, project, "Why?", "good", "bad")
    expected = (await client.get("/exports/dpo?metadata=true")).content

    assert b'"chosen":"good"' in expected
    assert await transfer(url, "export", "dpo", "--metadata") == (0, expected, "")
    out = tmp_path / "out.jsonl"
    out.write_text("an older dataset")
    assert await transfer(url, "export", "dpo", "--metadata", "--out", str(out)) == (0, b"", "")
    assert out.read_bytes() == expected
    refused = await transfer(url, "export", "nothing", "--out", str(out))
    assert refused[0] == 1
    assert out.read_bytes() == expected
    assert os.listdir(tmp_path) == [out.name]  # noqa: PTH208 - nothing else waits on this loop
