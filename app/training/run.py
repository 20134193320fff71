"""A training from start to end: begins or resumes, trains, saves the model and its card."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from accelerate.utils import is_peft_model
from transformers.trainer_utils import set_seed

from app.errors import CommandFailed
from app.training.build import Job, build_trainer
from app.training.card import CARD, model_card
from app.training.degree_trainer import DegreeTrainer

RECORD: Final = "training.json"
"""What was trained, in the model's folder: settings, data, versions, figures."""
CHECKPOINTS: Final = "checkpoints"
_NEW_RECORD: Final = f"{RECORD}.new"
_BEFORE_THE_RECORD: Final = {CHECKPOINTS, _NEW_RECORD}
"""What a run leaves that is stopped before it has written its record."""
_STATE: Final = "trainer_state.json"
_PACKAGES: Final = ("annotation-budget", "trl", "transformers", "peft", "torch")


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training. ``was_there``: the folder already held exactly this model."""

    figures: Mapping[str, float]
    was_there: bool = False
    resumed_at: int | None = None
    """The optimizer step at which an earlier run had been interrupted."""
    left_out: int = 0
    """Rows to train on whose prompt leaves no room for a response within the length."""


def train(job: Job, out: Path) -> Trained:
    """Train, and write a model folder to ``out``. The same call again resumes, or finds it done.

    Raises:
        CommandFailed: the data or the model do not serve, or the folder holds something else.
    """
    wanted = _wanted(job)
    held = _held(out)
    if held is not None and held["wanted"] != wanted:
        raise CommandFailed(
            f"{out} holds another training ({_difference(held['wanted'], wanted)}):"
            " choose another --out, or delete it"
        )
    if held is not None and held["finished"]:
        return Trained(held["figures"], was_there=True)
    set_seed(job.settings.seed)
    trainer = build_trainer(job)
    left_out = len(job.data.train) - len(trainer.train_dataset)
    if not len(trainer.train_dataset):
        raise CommandFailed(f"no row is left: every prompt fills {job.settings.max_length} tokens")
    checkpoint, step = last_checkpoint(job.checkpoints)
    if trainer.is_world_process_zero():
        out.mkdir(parents=True, exist_ok=True)
        _write(out, {"wanted": wanted, "finished": False})
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    figures = _figures(trainer)
    _save(trainer, job, out)
    if trainer.is_world_process_zero():
        record = {
            "wanted": wanted,
            "finished": True,
            "figures": figures,
            "rows_left_out": left_out,
            "versions": {name: version(name) for name in _PACKAGES},
        }
        (out / CARD).write_text(model_card(job, record), encoding="utf-8")
        _write(out, record)
        shutil.rmtree(job.checkpoints, ignore_errors=True)
    return Trained(figures, resumed_at=step, left_out=left_out)


def last_checkpoint(folder: Path) -> tuple[Path | None, int | None]:
    """The newest whole checkpoint and its step. One that was cut off lacks its last file."""
    found: dict[int, Path] = {}
    for state in folder.glob(f"checkpoint-*/{_STATE}"):
        try:
            found[json.loads(state.read_bytes())["global_step"]] = state.parent
        except (ValueError, KeyError):
            continue  # it was being written
    if not found:
        return None, None
    step = max(found)
    return found[step], step


def _wanted(job: Job) -> dict[str, Any]:
    """What makes two trainings the same."""
    return {
        "loss": job.loss.name,
        "model": job.model,
        "data": {
            "recipe": job.data.recipe,
            "project": job.data.project,
            "sha256": job.data.sha256,
            "files": dict(job.data.files),
        },
        "settings": {name: str(value) for name, value in asdict(job.settings).items()},
        "own": {name: float(value) for name, value in job.resolved.own.items()},
        "options": {name: str(value) for name, value in job.resolved.options.items()},
    }


def _held(out: Path) -> dict[str, Any] | None:
    """What an earlier run wrote about itself; None if the folder is new or empty."""
    names = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if not out.exists() or (out.is_dir() and names <= _BEFORE_THE_RECORD):
        return None
    try:
        held: dict[str, Any] = json.loads((out / RECORD).read_bytes())
        held["wanted"]["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{out} is there already, and holds no training of ours") from error
    return held


def _difference(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two trainings differ, in words."""
    for name, value in wanted.items():
        other = held.get(name)
        if value != other:
            if isinstance(value, Mapping) and isinstance(other, Mapping):
                return _difference(other, value)
            return f"{name} {other}, now {value}"
    return "of another version"


def _write(out: Path, record: Mapping[str, Any]) -> None:
    beside = out / _NEW_RECORD
    beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    beside.replace(out / RECORD)


def _figures(trainer: Any) -> dict[str, float]:
    """The last figures of the training, and those on the test split."""
    figures: dict[str, float] = {}
    for entry in trainer.state.log_history:
        figures |= {name: value for name, value in entry.items() if isinstance(value, float | int)}
    figures["steps"] = trainer.state.global_step
    if trainer.eval_dataset is not None:
        figures |= trainer.evaluate()
    return {name: round(float(value), 6) for name, value in figures.items()}


def _save(trainer: Any, job: Job, out: Path) -> None:
    """The model as a standard folder; of LoRA the merged model, and the adapter beside it."""
    if isinstance(trainer, DegreeTrainer):
        trainer.drop_head()
    if not job.settings.lora_rank:
        trainer.save_model(str(out))
    elif trainer.is_world_process_zero():
        model = trainer.accelerator.unwrap_model(trainer.model)
        assert is_peft_model(model)
        model.save_pretrained(out / "adapter")
        model.merge_and_unload().save_pretrained(out)
        trainer.processing_class.save_pretrained(out)
    (out / "training_args.bin").unlink(missing_ok=True)  # pickled, with paths of this machine
