"""The settings of a training: the authors' values, the defaults, and what was given instead."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from app.errors import CommandFailed
from app.training.loss import Loss, TrlLoss


class Precision(StrEnum):
    """Numbers of the weights, and of the computation."""

    AUTO = "auto"
    """``mixed`` on CUDA devices, else ``float32``."""
    FLOAT32 = "float32"
    MIXED = "mixed"
    """Weights in float32, most of the computation in bfloat16."""
    BFLOAT16 = "bfloat16"
    """Weights in bfloat16 too, which halves the memory. For LoRA."""


class Device(StrEnum):
    """Where to train; ``auto`` takes CUDA, MPS or the CPU, what is there first."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of every training.

    ``batch_size`` counts rows an optimizer step, over all devices.

    ``lora_rank`` 0 trains all weights. ``warmup`` is the share of the steps with a rising learning
    rate. ``max_steps`` 0 trains for the epochs.
    """

    beta: float = 0.1
    learning_rate: float = 1e-6
    scheduler: str = "linear"
    warmup: float = 0.1
    weight_decay: float = 0.0
    epochs: float = 1.0
    max_steps: int = 0
    batch_size: int = 32
    device_batch_size: int = 4
    max_length: int = 1024
    lora_rank: int = 0
    lora_alpha: int = 0
    """0 means twice the rank."""
    seed: int = 0
    precision: Precision = Precision.AUTO
    gradient_checkpointing: bool = False
    weighted: bool = False
    """Multiply the loss of each row by its column ``weight``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Settings with where each comes from: ``paper``, ``TRL``, ``default`` or ``given``."""

    settings: Settings
    own: Mapping[str, float]
    options: Mapping[str, Any]
    """Further arguments of TRL's configuration."""
    sources: Mapping[str, str]

    def as_rows(self) -> list[tuple[str, str, str]]:
        """Name, value and source of each, to be read."""
        values = asdict(self.settings) | dict(self.own) | dict(self.options)
        return [(name, str(value), self.sources[name]) for name, value in values.items()]


def resolve(
    loss: Loss, given: Mapping[str, Any], own: Mapping[str, float], options: Mapping[str, Any]
) -> Resolved:
    """The settings of a training by this loss, of which some were given.

    Raises:
        CommandFailed: a hyper-parameter was given that the loss does not have.
    """
    foreign = sorted(set(own) - set(loss.own))
    if foreign:
        has = ", ".join(loss.own) or "none"
        raise CommandFailed(f"{loss.name} has no setting {foreign[0]}; its own settings: {has}")
    if options and not isinstance(loss, TrlLoss):
        raise CommandFailed(f"{loss.name} is no loss of TRL: --option is for those")
    settings = replace(Settings(), **(dict(loss.authors) | dict(given)))
    read_from = "TRL" if isinstance(loss, TrlLoss) else "paper"
    sources = {each.name: "default" for each in fields(Settings)}
    sources |= dict.fromkeys(loss.authors, read_from)
    sources |= dict.fromkeys(loss.own, loss.own_source)
    sources |= dict.fromkeys([*given, *own, *options], "given")
    return Resolved(
        settings=settings, own={**loss.own, **own}, options=dict(options), sources=sources
    )
