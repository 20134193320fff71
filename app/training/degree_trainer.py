"""``DegreeTrainer``: a pair loss and SPO's classifier of versions of the chosen response."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from torch import Tensor, nn

from app.training.losses.spo import KeyContent, degree_losses
from app.training.pair_trainer import Batch, PairCollator, PairLossTrainer

_HEAD: Final = "degree_head"
_HEAD_FILE: Final = "degree_head.pt"


@dataclass
class _VersionCollator(PairCollator):
    """Adds ``versions``: the inputs of the versions of each chosen response, one degree each."""

    degrees: int = 0

    def torch_call(self, examples: list[Batch]) -> Batch:
        batch = super().torch_call(examples)
        batch["versions"] = [
            self.responses(examples, "chosen_ids" if degree == 0 else _column(degree))
            for degree in range(self.degrees)
        ]
        return batch


class DegreeTrainer(PairLossTrainer):
    """SPO: the mean of the pair losses, and γ times the cross-entropy of the degrees.

    The head is a part of the model while it trains, and of its checkpoints; ``drop_head`` takes it
    off before the model is saved.
    """

    def __init__(self, *arguments: Any, own: Mapping[str, float], **named: Any) -> None:
        self.degrees = int(own["degrees"])
        super().__init__(*arguments, own=own, **named)
        generator = torch.Generator().manual_seed(self.args.seed)
        hidden = self.model.config.get_text_config().hidden_size
        head = nn.Linear(hidden, self.degrees)
        nn.init.normal_(head.weight, std=hidden**-0.5, generator=generator)
        nn.init.zeros_(head.bias)
        self.model.add_module(_HEAD, head.to(self.model.device))
        collator = self.data_collator
        self.data_collator = _VersionCollator(**vars(collator), degrees=self.degrees)

    def drop_head(self) -> None:
        """Leave the model as any other of its kind."""
        delattr(self.model, _HEAD)

    def extra_loss(self, model: Any, inputs: Batch) -> Tensor:  # noqa: ARG002
        """γ times the mean loss of all versions."""
        mode = "train" if self.model.training else "eval"
        logits = torch.cat([self._logits(version) for version in inputs["versions"]])
        pairs = len(logits) // self.degrees
        degrees = torch.arange(self.degrees, device=logits.device).repeat_interleave(pairs)
        right = (logits.argmax(1) == degrees).float().mean().item()
        self._metrics[mode]["degrees/accuracies"].append(right)
        return self.own["gamma"] * degree_losses(logits, degrees).mean()

    def _logits(self, version: Batch) -> Tensor:
        """The head on the mean of the last hidden states over the response: (pairs, K)."""
        model = self.accelerator.unwrap_model(self.model)
        whole = model.get_base_model() if is_peft_model(model) else model
        states = whole.base_model(
            input_ids=version["input_ids"],
            attention_mask=version["attention_mask"],
            use_cache=False,
        ).last_hidden_state
        mask = version["completion_mask"].unsqueeze(2)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        logits: Tensor = getattr(model, _HEAD)(mean.to(getattr(model, _HEAD).weight.dtype))
        return logits

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: Any, dataset_name: str
    ) -> Dataset:
        prepared = super()._prepare_dataset(dataset, processing_class, args, dataset_name)
        chosen = [_text(response) for response in dataset["chosen"]]
        content = KeyContent(chosen)
        versions = [content.versions(text, self.degrees) for text in chosen]
        responses = {
            _column(degree): [
                _like(response, each[degree])
                for response, each in zip(dataset["chosen"], versions, strict=True)
            ]
            for degree in range(1, self.degrees)
        }
        return self._with_responses(prepared, dataset, responses, args)

    def _set_signature_columns_if_needed(self) -> None:
        is_new = self._signature_columns is None
        super()._set_signature_columns_if_needed()
        if is_new:
            self._signature_columns += [_column(degree) for degree in range(1, self.degrees)]

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        head = getattr(self.accelerator.unwrap_model(self.model), _HEAD, None)
        if head is not None:
            torch.save(head.state_dict(), Path(output_dir or self.args.output_dir) / _HEAD_FILE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        state = torch.load(Path(resume_from_checkpoint) / _HEAD_FILE, weights_only=True)
        getattr(self.accelerator.unwrap_model(self.model), _HEAD).load_state_dict(state)


def _column(degree: int) -> str:
    return f"version_{degree}_ids"


def _text(response: Any) -> str:
    return response if isinstance(response, str) else str(response[-1]["content"] or "")


def _like(response: Any, text: str) -> Any:
    """The response with another text, in the same layout."""
    if isinstance(response, str):
        return text
    return [*response[:-1], {**response[-1], "content": text}]
