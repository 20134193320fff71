"""``ListwiseTrainer``: losses of whole rankings, of lists of any lengths."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import log_softmax
from transformers import PreTrainedTokenizerBase, Trainer
from trl.trainer.utils import pad

from app.errors import CommandFailed, InvalidInput
from app.training.loss import ListLoss
from app.training.rankings import prompt_and_responses
from app.training.tokens import tokenise

Batch = dict[str, Any]
_COLUMNS: Final = ["ids", "starts", "reward"]


@dataclass
class ListCollator:
    """Pads lists of responses to one length, and lists to one number of places.

    A batch has the inputs of all responses one below the other, ``sizes`` (lists,), and ``reward``
    (lists, places), which is 0 where a list has ended.
    """

    pad_token_id: int
    max_length: int

    def __call__(self, examples: list[Batch]) -> Batch:
        """The batch of these rows."""
        ids, masks = [], []
        for example in examples:
            for tokens, start in zip(example["ids"], example["starts"], strict=True):
                ids.append(torch.tensor(tokens[: self.max_length]))
                mask = [0] * start + [1] * (len(tokens) - start)
                masks.append(torch.tensor(mask[: self.max_length]))
        rewards = [torch.tensor(example["reward"], dtype=torch.float32) for example in examples]
        return {
            "input_ids": pad(ids, padding_value=self.pad_token_id, padding_side="right"),
            "attention_mask": pad(
                [torch.ones_like(each) for each in ids], padding_value=0, padding_side="right"
            ),
            "completion_mask": pad(masks, padding_value=0, padding_side="right"),
            "sizes": torch.tensor([len(example["ids"]) for example in examples]),
            "reward": pad(rewards, padding_value=0.0, padding_side="right"),
        }


class ListwiseTrainer(Trainer):  # type: ignore[misc]  # transformers ships no types for it
    """Trains by a ``ListLoss`` on rows of the recipe ``ranking``."""

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        *,
        model: Any,
        args: Any,
        loss: ListLoss,
        own: Mapping[str, float],
        max_length: int,
        processing_class: PreTrainedTokenizerBase,
        train_dataset: Dataset,
        eval_dataset: Dataset | None = None,
    ) -> None:
        self.loss = loss
        self.own = dict(own)
        self._figures: dict[str, dict[str, list[float]]] = {
            "train": defaultdict(list),
            "eval": defaultdict(list),
        }
        if processing_class.pad_token is None:
            processing_class.pad_token = processing_class.eos_token
        args.remove_unused_columns = False
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            train_dataset=_tokenise(train_dataset, processing_class, max_length),
            eval_dataset=None
            if eval_dataset is None
            else _tokenise(eval_dataset, processing_class, max_length),
            data_collator=ListCollator(int(processing_class.pad_token_id), max_length),
        )

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        """The mean of the losses of the lists."""
        assert not return_outputs
        sums, means = self._log_probabilities(model, inputs)
        places = inputs["reward"].shape[1]
        present = torch.arange(places, device=sums.device) < inputs["sizes"][:, None]
        sums, means = (_in_lists(each, present) for each in (sums, means))
        rewards = inputs["reward"].to(sums.dtype)
        losses = self.loss.losses(sums, means, rewards, present, self.own)
        both = present[:, 1:]
        right = (means[:, :-1] > means[:, 1:])[both].float().mean().item()
        mode = "train" if model.training else "eval"
        self._figures[mode]["order/accuracies"].append(right)
        return losses.mean()

    def prediction_step(
        self,
        model: Any,
        inputs: Batch,
        prediction_loss_only: bool,  # noqa: ARG002
        ignore_keys: list[str] | None = None,  # noqa: ARG002
    ) -> tuple[Tensor, None, None]:
        """The loss alone: a list has no labels to compare logits with."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, inputs), None, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the figures of the steps since the last time too."""
        mode = "train" if self.model.training else "eval"
        prefix = "" if mode == "train" else "eval_"
        for name, values in self._figures[mode].items():
            logs[prefix + name] = sum(values) / len(values)
        self._figures[mode].clear()
        super().log(logs, start_time)

    def _log_probabilities(self, model: Any, inputs: Batch) -> tuple[Tensor, Tensor]:
        """The sum and the mean of each response's token log-probabilities, (responses,) each."""
        mask = inputs["completion_mask"][:, 1:]
        logits = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).logits[:, :-1]
        following = inputs["input_ids"][:, 1:, None]
        tokens = log_softmax(logits.float(), dim=2).gather(2, following).squeeze(2) * mask
        sums = tokens.sum(1)
        return sums, sums / mask.sum(1).clamp(min=1)


def _in_lists(values: Tensor, present: Tensor) -> Tensor:
    """(responses,) to (lists, places), 0 where a list has ended."""
    return values.new_zeros(present.shape).masked_scatter(present, values)


def _tokenise(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> Dataset:
    """The tokens of each response behind its prompt, and where it begins.

    Rows whose prompt leaves no room for a response are left out.

    Raises:
        CommandFailed: a row is no ranking.
    """
    as_chat = tokenizer.chat_template is not None

    def tokens(row: Mapping[str, Any]) -> Batch:
        prompt, responses = prompt_and_responses(row, as_chat=as_chat)
        found = [tokenise(tokenizer, prompt, response) for response in responses]
        return {"ids": [each.ids for each in found], "starts": [each.start for each in found]}

    try:
        found = rows.map(tokens, desc="Tokenising").select_columns(_COLUMNS)
    except InvalidInput as error:
        raise CommandFailed(f"a row is no ranking: {error}") from error
    return found.filter(lambda row: max(row["starts"]) < max_length, desc="Leaving out")
