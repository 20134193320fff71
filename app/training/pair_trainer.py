"""``PairLossTrainer``: TRL's DPO trainer with a loss of one's own for each pair."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from torch import Tensor
from trl import DPOTrainer
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.dpo_trainer import DataCollatorForPreference
from trl.trainer.utils import pad, use_adapter

from app.training.loss import WEIGHT, PairLoss, Pairs
from app.training.losses.bmc import differing, stop_tokens

_SIDES: Final = ("chosen", "rejected")
_DIFFERS: Final = ("chosen_differs", "rejected_differs")
_THIRD: Final = "third_ids"
_OURS: Final = ("columns", "differs", "third")
"""What our collator adds to a batch of TRL's."""

Batch = dict[str, Any]


@dataclass
class PairCollator(DataCollatorForPreference):  # type: ignore[misc]  # TRL ships no types
    """TRL's collator, which also keeps numbers of the rows, a third response, and token masks.

    ``columns`` becomes a mapping from the name of a column to a tensor (pairs,), ``differs`` a mask
    like ``completion_mask``, ``third`` the inputs of the third responses, (pairs, tokens).
    """

    columns: tuple[str, ...] = ()

    def torch_call(self, examples: list[Batch]) -> Batch:
        """A padded batch: the chosen responses, then the rejected ones."""
        batch: Batch = super().torch_call(examples)
        batch["columns"] = {
            name: torch.tensor([float(example[name]) for example in examples])
            for name in self.columns
        }
        if _DIFFERS[0] in examples[0]:
            batch["differs"] = self._mask(examples, batch["input_ids"].shape[1])
        if _THIRD in examples[0]:
            batch["third"] = self.responses(examples, _THIRD)
        return batch

    def responses(self, examples: list[Batch], name: str) -> Batch:
        """The inputs of one more response of each example, of that column of tokens."""
        base = [
            {"prompt_ids": row["prompt_ids"], "chosen_ids": row[name], "rejected_ids": []}
            for row in examples
        ]
        found = super().torch_call(base)
        return {key: value[: len(examples)] for key, value in found.items()}

    def _mask(self, examples: list[Batch], length: int) -> Tensor:
        rows = [
            torch.tensor(([0] * len(example["prompt_ids"]) + example[name])[:length])
            for name in _DIFFERS
            for example in examples
        ]
        padded: Tensor = pad(rows, padding_value=0, padding_side="right")
        return torch.nn.functional.pad(padded, (0, length - padded.shape[1]))


class PairLossTrainer(DPOTrainer):  # type: ignore[misc]  # TRL ships no types
    """Trains by a ``PairLoss``. Rows whose column ``weight`` is 0 have no gradient if ``weighted``.

    It takes what ``DPOTrainer`` takes, with tokenised or plain pairs, and logs the same rewards.
    """

    data_collator: Any
    _signature_columns: Any
    _tag_names: Final = ["annotation-budget", "trl"]

    def __init__(
        self,
        *arguments: Any,
        loss: PairLoss,
        own: Mapping[str, float],
        weighted: bool,
        **named: Any,
    ) -> None:
        self.loss = loss
        self.own = dict(own)
        self.weighted = weighted or WEIGHT in loss.columns
        numbers = [name for name in loss.columns if name != loss.third]
        if self.weighted and WEIGHT not in numbers:
            numbers.append(WEIGHT)
        self.numbers = tuple(numbers)
        super().__init__(*arguments, **named)
        ours = self.data_collator
        self.data_collator = PairCollator(
            pad_token_id=ours.pad_token_id,
            max_length=ours.max_length,
            truncation_mode=ours.truncation_mode,
            pad_to_multiple_of=ours.pad_to_multiple_of,
            columns=self.numbers,
        )

    def pair_losses(self, pairs: Pairs) -> Tensor:
        """The loss of each pair, (pairs,), before weights. The one hook."""
        return self.loss.losses(pairs, self.own)

    def extra_loss(self, model: Any, inputs: Batch) -> Tensor | None:
        """What a subclass adds to the mean of the batch; it may record a metric."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: Any, dataset_name: str
    ) -> Dataset:
        prepared = super()._prepare_dataset(dataset, processing_class, args, dataset_name)
        if self.loss.third is not None:
            thirds = {_THIRD: dataset[self.loss.third]}
            prepared = self._with_responses(prepared, dataset, thirds, args)
        if self.loss.token_weights is not None:
            stop = stop_tokens(processing_class)
            prepared = prepared.map(
                lambda row: dict(
                    zip(
                        _DIFFERS,
                        differing(row["chosen_ids"], row["rejected_ids"], stop),
                        strict=True,
                    )
                ),
                desc=f"Finding the tokens that differ in the {dataset_name} dataset",
            )
        return prepared

    def _with_responses(
        self, prepared: Dataset, dataset: Dataset, responses: Mapping[str, Any], args: Any
    ) -> Dataset:
        """The dataset with the tokens of further responses, by the name of the new column."""
        for name, values in responses.items():
            other = dataset.remove_columns("rejected").add_column("rejected", list(values))
            tokens = super()._prepare_dataset(other, self._tokenizer, args, name)
            prepared = prepared.add_column(name, list(tokens["rejected_ids"]))
        return prepared

    def _set_signature_columns_if_needed(self) -> None:
        is_new = self._signature_columns is None
        super()._set_signature_columns_if_needed()
        if is_new:
            self._signature_columns += [*self.numbers, *_DIFFERS, _THIRD]

    def _compute_loss(self, model: Any, inputs: Batch, return_outputs: bool) -> Any:
        assert not return_outputs, "there are no logits: the head is fused"
        mode = "train" if self.model.training else "eval"
        pairs = self._pairs(model, inputs)
        losses = self.pair_losses(pairs)
        if self.weighted:
            losses = losses * pairs.columns[WEIGHT]
        loss = losses.mean()
        extra = self.extra_loss(model, inputs)
        self._record(mode, pairs)
        return loss if extra is None else loss + extra

    def _pairs(self, model: Any, inputs: Batch) -> Pairs:
        differs, third = inputs.get("differs"), inputs.get("third")
        sums = self._sums(model, inputs, differs)
        thirds = None if third is None else self._sums(model, third)
        with self._reference() as reference:
            ref_sums = self._sums(reference, inputs, differs)
            ref_thirds = None if third is None else self._sums(reference, third)
        chosen, rejected = sums.chunk(2)
        ref_chosen, ref_rejected = ref_sums.chunk(2)
        return Pairs(
            beta=self.beta,
            chosen=chosen,
            rejected=rejected,
            ref_chosen=ref_chosen,
            ref_rejected=ref_rejected,
            columns={name: value.to(sums.dtype) for name, value in inputs["columns"].items()},
            third=thirds,
            ref_third=ref_thirds,
        )

    def _sums(self, model: Any, inputs: Batch, differs: Tensor | None = None) -> Tensor:
        """log π of each response, (rows,), its tokens weighted where the loss says so."""
        mask = inputs["completion_mask"]
        labels = inputs["input_ids"].masked_fill(mask == 0, -100)
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            use_cache=False,
            labels=labels,
            fused_lm_head=True,
        )
        tokens: Tensor = outputs.log_probs[:, -(mask.shape[1] - 1) :]  # 0 outside the response
        if self.loss.token_weights is not None and differs is not None:
            tokens = tokens * self.loss.token_weights(tokens, differs[:, 1:], self.own)
        return tokens.sum(1)

    @contextlib.contextmanager
    def _reference(self) -> Iterator[Any]:
        """The reference policy: a model of its own, or this one without its adapter."""
        checkpointing = disable_gradient_checkpointing(
            self.model, self.args.gradient_checkpointing_kwargs
        )
        with torch.no_grad(), checkpointing:
            if self.ref_model is not None:
                yield self.ref_model
                return
            assert is_peft_model(self.model)
            unwrapped = self.accelerator.unwrap_model(self.model)
            name = "ref" if "ref" in unwrapped.peft_config else None
            with use_adapter(unwrapped, adapter_name=name):
                yield self.model

    def _record(self, mode: str, pairs: Pairs) -> None:
        """Keep the figures that TRL's trainer logs too: means over the steps between two logs."""
        chosen = self.beta * (pairs.chosen - pairs.ref_chosen).detach()
        rejected = self.beta * (pairs.rejected - pairs.ref_rejected).detach()
        figures = {
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "rewards/margins": chosen - rejected,
            "logps/chosen": pairs.chosen.detach(),
            "logps/rejected": pairs.rejected.detach(),
        }
        for name, value in figures.items():
            gathered = self.accelerator.gather_for_metrics(value)
            self._metrics[mode][name].append(gathered.mean().item())
