"""The README's commands run, in the README's order, against a real service.

What is different from a reader's machine, and nothing else: the service is started by the test on a
free port with a data folder of its own (so `make run` and `make test` are only looked up in the
Makefile), and the model that is trained is a tiny one made here.
"""

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet
import pytest

from tests.e2e.serving import REPOSITORY, RunningService, own_environment, running_service
from tests.support.data import is_whole, real_file

README: Final = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
README_ADDRESS: Final = "http://127.0.0.1:8000"
README_MODEL: Final = "Qwen/Qwen3-0.6B"
VENV: Final = Path(sys.executable).parents[1]


def test_every_block_of_the_readme_is_one_that_runs() -> None:
    assert {"bash", "python"} == {language for language, _ in BLOCKS}
    assert "$ " not in "".join(code for _, code in BLOCKS)


def runnable(language: str, code: str) -> str:
    """A block as bash; `make` is asked what it would do."""
    if language == "python":
        return f".venv/bin/python - <<'PYTHON'\n{code}PYTHON\n"
    return re.sub(r"^make ", "make --dry-run --directory=repository ", code, flags=re.MULTILINE)


def script(url: str) -> str:
    blocks = [runnable(language, code) for language, code in BLOCKS]
    return "set -euo pipefail\nset -v\n" + "\n".join(blocks).replace(README_ADDRESS, url)


def save_tiny_model(folder: Path) -> None:
    """A model folder at the path that the README names on the hub."""
    code = "import sys, pathlib; from tests.e2e.train_dpo import save_tiny_model as save; "
    subprocess.run(
        [sys.executable, "-c", code + "save(pathlib.Path(sys.argv[1]))", folder / README_MODEL],
        cwd=REPOSITORY,
        env=own_environment(),
        capture_output=True,
        check=True,
    )


@pytest.fixture(scope="module")
def service() -> Iterator[RunningService]:
    with running_service() as started:
        yield started


@pytest.fixture(scope="module")
def readers_folder(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone as the reader has it after `make run`, in which the whole README was run."""
    assert README_ADDRESS in README
    assert README_MODEL in README
    folder = tmp_path_factory.mktemp("clone")
    (folder / ".venv").symlink_to(VENV)
    (folder / "examples").symlink_to(REPOSITORY / "examples")
    (folder / "repository").symlink_to(REPOSITORY)
    save_tiny_model(folder)
    environment = own_environment(DATA_DIR=str(service.data_dir), HOST="127.0.0.1")
    ran = subprocess.run(
        ["bash", "-s"],
        input=script(service.url),
        cwd=folder,
        env=environment | {"PORT": str(service.port)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert ran.returncode == 0, f"{ran.stdout[-4000:]}\n{ran.stderr[-6000:]}"
    return folder


def read_lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.e2e
def test_the_curl_quick_start_ends_in_a_dataset(readers_folder: Path) -> None:
    (row,) = read_lines(readers_folder / "dpo.jsonl")
    assert row["prompt"] == "Explain DPO in one sentence."
    assert row["chosen"] != row["rejected"]


@pytest.mark.e2e
def test_the_python_quick_start_ends_in_what_the_people_said(readers_folder: Path) -> None:
    rows = read_lines(readers_folder / "quickstart-dpo.jsonl")
    prompts = read_lines(REPOSITORY / "examples" / "qafeedback-50.ndjson")
    texts = {
        (prompt["id"], response["id"]): response["text"]
        for prompt in prompts
        for response in prompt["responses"]
    }
    said = set()
    for vote in read_lines(REPOSITORY / "examples" / "qafeedback-50-votes.ndjson"):
        if (winner := vote["preferred"]) is not None:
            (loser,) = set(vote["responses"]) - {winner}
            said.add((texts[vote["prompt"], winner], texts[vote["prompt"], loser]))
    assert 50 < len(rows) <= 100
    assert {(row["chosen"], row["rejected"]) for row in rows} <= said


@pytest.mark.e2e
def test_the_command_line_exports_a_parquet_file(readers_folder: Path) -> None:
    table = pyarrow.parquet.read_table(readers_folder / "dpo.parquet")
    assert table.column_names == ["prompt", "chosen", "rejected"]
    assert table.num_rows == 1


@pytest.mark.e2e
def test_the_trainer_of_the_readme_leaves_a_model(readers_folder: Path) -> None:
    assert list((readers_folder / "dpo-model").glob("**/*.safetensors"))


def test_the_sample_is_every_tenth_prompt_of_its_source(tmp_path: Path) -> None:
    if not is_whole("multi-qafeedback-dev"):
        pytest.skip("only the whole file, ../shared/data/multi-qafeedback-dev.jsonl.gz, can tell")
    source = real_file("multi-qafeedback-dev")
    maker = REPOSITORY / "examples" / "make_sample.py"
    subprocess.run([sys.executable, maker, source, "--to", tmp_path], check=True)
    for name in ("qafeedback-50.ndjson", "qafeedback-50-votes.ndjson"):
        assert (tmp_path / name).read_bytes() == (maker.parent / name).read_bytes()
    assert len(read_lines(tmp_path / "qafeedback-50.ndjson")) == 50
    with gzip.open(source, "rt", encoding="utf-8") as lines:
        tenth = [json.loads(line)["prompt_id"] for line in lines][::10]
    assert [prompt["id"] for prompt in read_lines(tmp_path / "qafeedback-50.ndjson")] == tenth
