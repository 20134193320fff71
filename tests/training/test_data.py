"""Folders that `export` wrote, and what is wrong with others."""

import json
import shutil
from pathlib import Path

import pytest

from app.errors import CommandFailed
from app.training.data import check_columns, check_layout, read_data
from app.training.losses import LOSSES
from tests.training.exported import TEST_ROWS, TRAIN_ROWS, write_folder

pytestmark = pytest.mark.filterwarnings("ignore")  # `datasets` leaves files to be collected


def test_a_folder_is_read_with_its_manifest(tmp_path: Path) -> None:
    data = read_data(write_folder(tmp_path / "data", "dpo"))
    assert (data.recipe, data.project, data.changed) == ("dpo", "p", ())
    assert data.test is not None
    assert (len(data.train), len(data.test)) == (TRAIN_ROWS, TEST_ROWS)


def test_a_single_file_is_for_training(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", "dpo")
    data = read_data(folder / "train.jsonl")
    assert (len(data.train), data.test, data.recipe) == (TRAIN_ROWS, None, None)


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", "dpo")
    before = read_data(folder).sha256
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    (folder / "train.jsonl").write_text("".join(lines[1:]))
    data = read_data(folder)
    assert data.changed == ("train.jsonl",)
    assert data.sha256 == before
    assert len(data.train) == TRAIN_ROWS - 1


def test_a_folder_of_the_same_name_has_its_own_rows(tmp_path: Path) -> None:
    # The library's own cache would give the first folder's rows again.
    first = write_folder(tmp_path / "one" / "data", "dpo")
    second = tmp_path / "two" / "data"
    shutil.copytree(first, second)
    lines = (second / "train.jsonl").read_text().splitlines(keepends=True)
    (second / "train.jsonl").write_text("".join(lines[:3]))
    assert [len(read_data(each).train) for each in (first, second)] == [TRAIN_ROWS, 3]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    for name, message in {
        "missing": "does not exist",
        "rows.txt": "is no folder, nor a file of the kind",
        "missing.jsonl": "does not exist",
        "empty": "has no manifest.json",
        "broken": "is no manifest",
        "cut": "lacks train.jsonl",
        "wrong": "cannot be read as a dataset",
    }.items():
        path = tmp_path / name
        if name == "empty":
            path.mkdir()
        elif name in ("broken", "cut", "wrong"):
            write_folder(path, "dpo")
        elif name == "rows.txt":
            path.write_text("x")
        if name == "broken":
            (path / "manifest.json").write_text("[]")
        elif name == "cut":
            (path / "train.jsonl").unlink()
        elif name == "wrong":
            (path / "train.jsonl").write_text('{"prompt": 1}\n{"prompt"')
        with pytest.raises(CommandFailed, match=message):
            read_data(path)


def test_a_missing_column_is_named_with_the_recipe_that_has_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "data", "dpo")
    for split in ("train", "test"):
        file = folder / f"{split}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        plain = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in rows]
        file.write_text("".join(json.dumps(row) + "\n" for row in plain))
    data = read_data(folder)
    check_columns(data, LOSSES["dpo"])
    with pytest.raises(
        CommandFailed, match=r"rdo needs the column `weight`.*recipe dpo.*export rdo"
    ):
        check_columns(data, LOSSES["rdo"])
    with pytest.raises(CommandFailed, match="dpo needs the column `weight`"):
        check_columns(data, LOSSES["dpo"], weighted=True)
    with pytest.raises(CommandFailed, match="pro needs the column `suffix`"):
        check_columns(data, LOSSES["pro"])


def test_chats_need_a_model_of_chats(tmp_path: Path) -> None:
    data = read_data(write_folder(tmp_path / "data", "dpo", chat=True))
    check_layout(data, has_chat_template=True)
    with pytest.raises(CommandFailed, match="--layout standard"):
        check_layout(data, has_chat_template=False)
