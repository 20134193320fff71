"""Reading an exported folder: its rows, its manifest, and whether its columns serve a loss."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datasets import Dataset, DatasetDict, config, load_dataset
from datasets.exceptions import DatasetGenerationError

from app.errors import CommandFailed
from app.training.loss import WEIGHT, ListLoss, Loss, PairLoss, Trainer, TrlLoss

MANIFEST: Final = "manifest.json"
_KINDS: Final = {".jsonl": "json", ".json": "json", ".parquet": "parquet"}
_PAIR: Final = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """An exported dataset. ``splits`` has ``train`` and, if the export has one, ``test``.

    ``sha256`` is that of the manifest, or of the file where there is none; ``files`` has the
    SHA-256 of each file of rows, by name, and ``changed`` names those that are not what the
    manifest says.
    """

    path: Path
    splits: DatasetDict
    sha256: str
    files: Mapping[str, str]
    recipe: str | None = None
    project: str | None = None
    changed: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(next(iter(self.splits.values())).column_names)

    @property
    def train(self) -> Dataset:
        """The rows to train on.

        Raises:
            CommandFailed: there are none.
        """
        if "train" not in self.splits:
            raise CommandFailed(f"{self.path} has no split `train`")
        return self.splits["train"]

    @property
    def test(self) -> Dataset | None:
        """The rows that were held out, if there are any."""
        return self.splits.get("test")


def read_data(path: Path) -> Data:
    """Read a folder that ``export`` wrote, or a single file of rows, all of which are for training.

    Raises:
        CommandFailed: it is not there, or cannot be read as a dataset.
    """
    if path.is_dir():
        return _read_folder(path)
    if not path.exists():
        raise CommandFailed(f"{path} does not exist")
    if path.suffix not in _KINDS:
        raise CommandFailed(f"{path} is no folder, nor a file of the kind .jsonl or .parquet")
    digest = _sha256(path)
    files = {path.name: digest}
    rows = _load(path, files, _KINDS[path.suffix], data_files={"train": str(path)})
    return Data(path=path, splits=rows, sha256=digest, files=files)


def _read_folder(path: Path) -> Data:
    manifest_file = path / MANIFEST
    if not manifest_file.is_file():
        raise CommandFailed(f"{path} has no {MANIFEST}: it is no folder that `export` wrote")
    try:
        manifest = json.loads(manifest_file.read_bytes())
        exported = {each["name"]: each["sha256"] for each in manifest["files"]}
        recipe, project = manifest["recipe"]["name"], manifest["project"]["name"]
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{manifest_file} is no manifest of `export`") from error
    missing = [name for name in exported if not (path / name).is_file()]
    if missing:
        raise CommandFailed(f"{path} lacks {missing[0]}, which its manifest names")
    files = {name: _sha256(path / name) for name in exported}
    return Data(
        path=path,
        splits=_load(path, files, str(path)),
        sha256=_sha256(manifest_file),
        files=files,
        recipe=recipe,
        project=project,
        changed=tuple(name for name in files if files[name] != exported[name]),
    )


def check_columns(data: Data, loss: Loss, *, weighted: bool = False) -> None:
    """Check that the rows serve the loss.

    Raises:
        CommandFailed: a column is missing; says which, and which recipe has it.
    """
    needed = [*_needed(loss), *([WEIGHT] if weighted else [])]
    missing = [name for name in needed if name not in data.columns]
    if missing:
        exported = f" (they were exported by the recipe {data.recipe})" if data.recipe else ""
        raise CommandFailed(
            f"{loss.name} needs the column `{missing[0]}`, which these rows do not have{exported}."
            f" Export them by the recipe {loss.recipe}: "
            f"annotation-budget export {loss.recipe} --out DIR"
        )


def check_layout(data: Data, *, has_chat_template: bool) -> None:
    """Check that the model can take rows that are chats.

    Raises:
        CommandFailed: the rows are chat messages, and the model has no chat template.
    """
    first = data.train[0].get("prompt")
    if not isinstance(first, str | None) and not has_chat_template:
        raise CommandFailed(
            "the rows are chat messages, and the model has no chat template: export them with"
            " `--layout standard`, or take a model that has been trained for chats"
        )


def _needed(loss: Loss) -> tuple[str, ...]:
    if isinstance(loss, ListLoss):
        return loss.columns
    if isinstance(loss, TrlLoss) and loss.trainer is Trainer.KTO:
        return ("prompt", *loss.columns)
    assert isinstance(loss, PairLoss | TrlLoss)
    return (*_PAIR, *loss.columns)


def _load(path: Path, files: Mapping[str, str], source: str, **options: Any) -> DatasetDict:
    """The rows, kept in a cache of just these files.

    The library's own cache goes by the folder's name and its card: a folder of the same name with
    other rows would be read from there.
    """
    contents = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    cache = Path(config.HF_DATASETS_CACHE) / "annotation-budget" / contents
    try:
        return load_dataset(source, cache_dir=str(cache), **options)
    except (ValueError, OSError, DatasetGenerationError) as error:
        raise CommandFailed(f"{path} cannot be read as a dataset: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
