"""From a loss, its settings and data to a trainer that is ready to run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from datasets import Dataset
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, SchedulerType, TrainingArguments
from trl import (
    DPOConfig,
    DPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)

from app.errors import CommandFailed
from app.training.data import Data, check_columns, check_layout
from app.training.degree_trainer import DegreeTrainer
from app.training.listwise_trainer import ListwiseTrainer
from app.training.loss import ListLoss, Loss, PairLoss, Trainer, TrlLoss
from app.training.pair_trainer import PairLossTrainer
from app.training.settings import Device, Precision, Resolved, Settings

_CHECKPOINTS_A_RUN: Final = 10
_LOGS_A_RUN: Final = 50
_TORCH_TYPES: Final = {Precision.BFLOAT16: "bfloat16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training: what, on which data, from which model, where."""

    loss: Loss
    resolved: Resolved
    data: Data
    model: str
    """A local folder, or a name on the Hugging Face Hub."""
    device: Device
    checkpoints: Path
    save_every: int
    """Optimizer steps between two checkpoints; 0: ten in the whole run."""

    @property
    def settings(self) -> Settings:
        """The settings of every training."""
        return self.resolved.settings


def build_trainer(job: Job) -> Any:
    """The trainer of the job. Its model is loaded, its rows are tokenised.

    Raises:
        CommandFailed: the data, the model, the device or an option does not serve.
    """
    check_device(job.device)
    check_columns(job.data, job.loss, weighted=job.settings.weighted)
    tokenizer = load_tokenizer(job.model)
    check_layout(job.data, has_chat_template=tokenizer.chat_template is not None)
    if isinstance(job.loss, ListLoss):
        return _listwise(job, job.loss, tokenizer)
    make_arguments, make_trainer = _trl(job.loss)
    named: dict[str, Any] = {}
    if isinstance(job.loss, PairLoss):
        named = {"loss": job.loss, "own": job.resolved.own, "weighted": job.settings.weighted}
    elif job.settings.weighted:
        raise CommandFailed(f"{job.loss.name} is TRL's own: it has no place for a weight")
    train, test = (_rows(job.loss, rows) for rows in (job.data.train, job.data.test))
    assert train is not None
    return make_trainer(
        model=job.model,
        args=make_arguments(**_arguments(job, make_arguments)),
        train_dataset=train,
        eval_dataset=test,
        processing_class=tokenizer,
        peft_config=lora(job.settings, is_reward=_is_reward(job.loss)),
        **named,
    )


def check_device(device: Device) -> None:
    """Check that the device is there.

    Raises:
        CommandFailed: it is not.
    """
    there = {
        Device.AUTO: True,
        Device.CPU: True,
        Device.CUDA: torch.cuda.is_available(),
        Device.MPS: torch.backends.mps.is_available(),
    }
    if not there[device]:
        raise CommandFailed(f"--device {device}: PyTorch finds no such device here")


def place(device: Device) -> torch.device:
    """Where PyTorch computes: ``auto`` is CUDA, MPS or the CPU, what is there first.

    Raises:
        CommandFailed: the device is not there.
    """
    check_device(device)
    if device is not Device.AUTO:
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_tokenizer(model: str) -> Any:
    """The model's tokenizer, with a token for padding.

    Raises:
        CommandFailed: there is none at that place.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"--model {model}: {error}") from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_causal_model(model: str, *, dtype: str = "float32") -> Any:
    """A causal language model.

    Raises:
        CommandFailed: there is none at that place.
    """
    try:
        return AutoModelForCausalLM.from_pretrained(model, dtype=dtype)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"{model}: {error}") from error


def lora(settings: Settings, *, is_reward: bool = False) -> LoraConfig | None:
    """The adapter of all linear layers; None if all weights are trained."""
    if not settings.lora_rank:
        return None
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha or 2 * settings.lora_rank,
        target_modules="all-linear",
        task_type=TaskType.SEQ_CLS if is_reward else TaskType.CAUSAL_LM,
    )


def _trl(loss: PairLoss | TrlLoss) -> tuple[Any, Any]:
    """The classes of arguments and trainer."""
    if isinstance(loss, PairLoss):
        return DPOConfig, DegreeTrainer if loss.versions else PairLossTrainer
    match loss.trainer:
        case Trainer.DPO:
            return DPOConfig, DPOTrainer
        case Trainer.KTO:
            return KTOConfig, KTOTrainer
        case Trainer.REWARD:
            return RewardConfig, RewardTrainer
        case Trainer.SFT:
            return SFTConfig, SFTTrainer
    return _experimental(loss.trainer)


def _experimental(trainer: Trainer) -> tuple[Any, Any]:
    """Those that TRL keeps apart; they are imported when they are asked for."""
    # ruff: noqa: PLC0415
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    if trainer is Trainer.CPO:
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        return CPOConfig, CPOTrainer
    if trainer is Trainer.ORPO:
        from trl.experimental.orpo import ORPOConfig, ORPOTrainer

        return ORPOConfig, ORPOTrainer
    from trl.experimental.tpo import TPOConfig, TPOTrainer

    return TPOConfig, TPOTrainer


def _is_reward(loss: Loss) -> bool:
    return isinstance(loss, TrlLoss) and loss.trainer is Trainer.REWARD


def _rows(loss: Loss, rows: Dataset | None) -> Dataset | None:
    """The rows in the columns of the trainer."""
    if rows is None or not isinstance(loss, TrlLoss):
        return rows
    if loss.trainer is Trainer.SFT:
        names = ["prompt", "chosen", *(["tools"] if "tools" in rows.column_names else [])]
        return rows.select_columns(names).rename_column("chosen", "completion")
    return rows


def _arguments(job: Job, make_arguments: Any) -> dict[str, Any]:
    """The arguments of TRL's configuration, of those that it has."""
    settings, loss = job.settings, job.loss
    fields = make_arguments.__dataclass_fields__
    unknown = sorted(set(job.resolved.options) - set(fields))
    if unknown:
        raise CommandFailed(
            f"--option {unknown[0]}: {make_arguments.__name__} has no such argument"
        )
    wanted = _training_arguments(job) | {
        "beta": settings.beta,
        "max_length": settings.max_length,
        "model_init_kwargs": {"dtype": _TORCH_TYPES.get(settings.precision, "float32")},
    }
    if isinstance(loss, TrlLoss):
        wanted |= loss.arguments
    wanted = {name: value for name, value in wanted.items() if name in fields}
    return wanted | dict(job.resolved.options)


def _training_arguments(job: Job) -> dict[str, Any]:
    settings = job.settings
    schedulers = [each.value for each in SchedulerType]
    if settings.scheduler not in schedulers:
        raise CommandFailed(
            f"--scheduler {settings.scheduler}: must be one of {', '.join(schedulers)}"
        )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    at_once = min(settings.device_batch_size, max(1, settings.batch_size // processes))
    if settings.batch_size % (at_once * processes):
        raise CommandFailed(
            f"--batch-size {settings.batch_size} cannot be made of batches of {at_once} on"
            f" {processes} devices: choose --device-batch-size so that it can"
        )
    mixed = settings.precision is Precision.MIXED or (
        settings.precision is Precision.AUTO
        and job.device in (Device.AUTO, Device.CUDA)
        and torch.cuda.is_available()
    )
    return {
        "output_dir": str(job.checkpoints),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.scheduler,
        "warmup_steps": settings.warmup,  # below 1, a share
        "weight_decay": settings.weight_decay,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": at_once,
        "per_device_eval_batch_size": at_once,
        "gradient_accumulation_steps": settings.batch_size // (at_once * processes),
        "seed": settings.seed,
        "bf16": mixed or settings.precision is Precision.BFLOAT16,
        "gradient_checkpointing": settings.gradient_checkpointing,
        "use_cpu": job.device is Device.CPU,
        "save_strategy": "steps",
        "save_steps": job.save_every or 1 / _CHECKPOINTS_A_RUN,
        "save_total_limit": 1,
        "logging_strategy": "steps",
        "logging_steps": 1 / _LOGS_A_RUN,
        "report_to": "none",
        "dataloader_pin_memory": False,
    }


def _listwise(job: Job, loss: ListLoss, tokenizer: Any) -> ListwiseTrainer:
    if job.settings.weighted:
        raise CommandFailed(f"{loss.name} ranks whole lists: it has no place for a weight")
    dtype = _TORCH_TYPES.get(job.settings.precision, "float32")
    model = load_causal_model(job.model, dtype=dtype)
    adapter = lora(job.settings)
    arguments: Mapping[str, Any] = _training_arguments(job)
    return ListwiseTrainer(
        model=model if adapter is None else get_peft_model(model, adapter),
        args=TrainingArguments(**arguments),
        loss=loss,
        own=job.resolved.own,
        max_length=job.settings.max_length,
        processing_class=tokenizer,
        train_dataset=job.data.train,
        eval_dataset=job.data.test,
    )
