"""What reaches the losses through the real collators and trainers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.functional import log_softmax, logsigmoid
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainingArguments
from trl import DPOConfig, DPOTrainer

from app.training.degree_trainer import DegreeTrainer
from app.training.listwise_trainer import ListwiseTrainer
from app.training.loss import PairLoss, Pairs, dpo
from app.training.losses import LOSSES
from app.training.losses.bmc import differing, stop_tokens
from app.training.pair_trainer import PairLossTrainer
from app.training.tokens import Tokens, tokenise
from tests.training.exported import pair_rows, ranking_rows

pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn about much that is not ours

ROWS = 4


def arguments(folder: Path, make: Any = DPOConfig, **more: Any) -> Any:
    return make(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        report_to="none",
        per_device_train_batch_size=ROWS,
        per_device_eval_batch_size=ROWS,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        **more,
    )


def pair_trainer(
    name: str,
    model: Path,
    folder: Path,
    *,
    own: Mapping[str, float] | None = None,
    weighted: bool = False,
    rows: list[dict[str, Any]] | None = None,
) -> PairLossTrainer:
    loss = LOSSES[name]
    assert isinstance(loss, PairLoss)
    make = DegreeTrainer if loss.versions else PairLossTrainer
    trainer = make(
        model=str(model),
        args=arguments(folder, beta=0.5),
        train_dataset=Dataset.from_list(rows or pair_rows(0, ROWS, chat=False)),
        loss=loss,
        own={**loss.own, **(own or {})},
        weighted=weighted,
    )
    # The policy has to differ from the reference, or all margins are 0.
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainer.model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return trainer


def batch_of(trainer: Any) -> dict[str, Any]:
    loader = trainer.get_eval_dataloader(trainer.train_dataset)  # in order
    return dict(trainer._prepare_inputs(next(iter(loader))))


def loss_of(trainer: Any, batch: dict[str, Any]) -> Tensor:
    found: Tensor = trainer.compute_loss(trainer.model, batch)
    return found


def gradient(trainer: Any, loss: Tensor) -> Tensor:
    trainer.model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat(
        [each.grad.flatten() for each in trainer.model.parameters() if each.grad is not None]
    )


def by_hand(model: Any, row: Tokens) -> Tensor:
    """The log-probabilities of the tokens of a response, one plain forward pass."""
    logits = model(torch.tensor([row.ids])).logits[0, :-1]
    logs = log_softmax(logits.double(), dim=1)
    return logs[torch.arange(len(logs)), torch.tensor(row.ids[1:])][row.start - 1 :]


def sides(tokenizer: Any, row: Mapping[str, Any], *names: str) -> list[Tokens]:
    return [tokenise(tokenizer, row["prompt"], row[name]) for name in names]


def test_plain_dpo_is_the_loss_of_trl(tiny_model: Path, tmp_path: Path) -> None:
    ours = pair_trainer("dpo", tiny_model, tmp_path)
    theirs = DPOTrainer(
        model=str(tiny_model),
        args=arguments(tmp_path, beta=0.5),
        train_dataset=Dataset.from_list(pair_rows(0, ROWS, chat=False)),
    )
    theirs.model.load_state_dict(ours.model.state_dict())
    one, other = (loss_of(each, batch_of(each)) for each in (ours, theirs))
    assert one.item() != pytest.approx(math.log(2), abs=0.01)
    assert torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(gradient(ours, one), gradient(theirs, other), atol=1e-5)
    shared = ("rewards/chosen", "rewards/margins", "rewards/accuracies", "logps/rejected")
    for figure in shared:
        assert ours._metrics["train"][figure] == pytest.approx(theirs._metrics["train"][figure])


def test_a_row_of_weight_0_has_no_gradient(tiny_model: Path, tmp_path: Path) -> None:
    rows = pair_rows(0, ROWS, chat=False)
    for row, weight in zip(rows, (0.0, 1.0, 0.0, 3.0), strict=True):
        row["weight"] = weight
    trainer = pair_trainer("dpo", tiny_model, tmp_path, weighted=True, rows=rows)
    found = gradient(trainer, loss_of(trainer, batch_of(trainer)))
    # The same, from the two rows alone.
    losses = dpo(trainer._pairs(trainer.model, batch_of(trainer)).z)
    alone = gradient(trainer, (losses[1] + 3 * losses[3]) / 4)
    assert alone.abs().max() > 1e-3
    assert torch.allclose(found, alone, atol=1e-6)


def test_a_weight_counts_only_where_it_is_asked_for(tiny_model: Path, tmp_path: Path) -> None:
    plain = pair_trainer("dpo", tiny_model, tmp_path)
    assert "weight" not in batch_of(plain)["columns"]
    rdo = pair_trainer("rdo", tiny_model, tmp_path)
    assert batch_of(rdo)["columns"]["weight"].tolist() == [0.5, 1.5, 0.5, 1.5]


@pytest.mark.parametrize(
    "name", ["rdo", "optune", "dlma", "cdpo", "robust", "soft", "ties", "ties-davidson"]
)
def test_the_columns_of_a_row_reach_its_loss(name: str, tiny_model: Path, tmp_path: Path) -> None:
    trainer = pair_trainer(name, tiny_model, tmp_path)
    loss = LOSSES[name]
    assert isinstance(loss, PairLoss)
    batch = batch_of(trainer)
    rows = pair_rows(0, ROWS, chat=False)
    for column in loss.columns:
        expected = [float(row[column]) for row in rows]
        assert batch["columns"][column].tolist() == pytest.approx(expected)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    sums = [
        [by_hand(model, each).sum() for each in sides(tokenizer, row, "chosen", "rejected")]
        for model in (trainer.model, reference)
        for row in rows
    ]
    ours, theirs = (torch.stack([torch.stack(each) for each in sums[i : i + 4]]) for i in (0, 4))
    pairs = Pairs(
        beta=0.5,
        chosen=ours[:, 0],
        rejected=ours[:, 1],
        ref_chosen=theirs[:, 0],
        ref_rejected=theirs[:, 1],
        columns={
            column: torch.tensor([float(row[column]) for row in rows], dtype=torch.float64)
            for column in loss.columns
        },
    )
    expected_loss = loss.losses(pairs, loss.own)
    if name == "rdo":
        expected_loss = expected_loss * pairs.columns["weight"]
    assert loss_of(trainer, batch).item() == pytest.approx(expected_loss.mean().item(), rel=1e-4)


def test_selm_sees_what_the_reference_policy_says(tiny_model: Path, tmp_path: Path) -> None:
    trainer = pair_trainer("selm", tiny_model, tmp_path, own={"alpha": 1.0})
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    batch = batch_of(trainer)
    pairs = trainer._pairs(trainer.model, batch)
    for place, row in enumerate(pair_rows(0, ROWS, chat=False)):
        (third,) = sides(tokenizer, row, "reference_response")
        ratio = by_hand(trainer.model, third).sum() - by_hand(reference, third).sum()
        assert pairs.third_ratio[place].item() == pytest.approx(ratio.item(), rel=1e-3)
    expected = (-logsigmoid(pairs.z) + 0.5 * pairs.third_ratio).mean()
    assert loss_of(trainer, batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_bmc_weighs_tokens_by_their_own_model(tiny_model: Path, tmp_path: Path) -> None:
    trainer = pair_trainer("bmc", tiny_model, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    reference = AutoModelForCausalLM.from_pretrained(tiny_model)
    stop = stop_tokens(tokenizer)
    expected = []
    for row in pair_rows(0, ROWS, chat=False):
        chosen, rejected = sides(tokenizer, row, "chosen", "rejected")
        masks = differing(chosen.ids[chosen.start :], rejected.ids[rejected.start :], stop)
        assert 0 < sum(masks[0]) < len(masks[0])
        ratio = []
        for side, mask in zip((chosen, rejected), masks, strict=True):
            both = []
            for model in (trainer.model, reference):
                logs = by_hand(model, side)
                weights = 1 + torch.tensor(mask) * torch.exp(-logs).clamp(max=1.5)
                both.append((weights * logs).sum())
            ratio.append(both[0] - both[1])
        expected.append(-logsigmoid(0.5 * (ratio[0] - ratio[1])))
    found = loss_of(trainer, batch_of(trainer)).item()
    assert found == pytest.approx(torch.stack(expected).mean().item(), rel=1e-3)


def test_spo_adds_the_degrees_of_the_chosen(tiny_model: Path, tmp_path: Path) -> None:
    trainer = pair_trainer("spo", tiny_model, tmp_path, own={"gamma": 0.0})
    assert isinstance(trainer, DegreeTrainer)
    plain = loss_of(trainer, batch_of(trainer))
    trainer.own["gamma"] = 2.0
    both = loss_of(trainer, batch_of(trainer))
    batch = batch_of(trainer)
    assert len(batch["versions"]) == 4
    tokens = [int(version["completion_mask"].sum()) for version in batch["versions"]]
    assert tokens == sorted(tokens, reverse=True)
    assert tokens[-1] < tokens[0]
    logits = torch.stack([trainer._logits(version) for version in batch["versions"]])
    expected = -log_softmax(logits, dim=2)[torch.arange(4), :, torch.arange(4)].mean()
    assert (both - plain).item() == pytest.approx(2 * expected.item(), rel=1e-4)
    gradient(trainer, both)
    head = trainer.model.get_submodule("degree_head")
    assert all(each.grad is not None and each.grad.abs().max() > 0 for each in head.parameters())


def test_pro_sees_ragged_lists(tiny_model: Path, tmp_path: Path) -> None:
    rows = ranking_rows(0, ROWS)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    loss = LOSSES["pro"]
    trainer = ListwiseTrainer(
        model=model,
        args=arguments(tmp_path, TrainingArguments),
        loss=loss,  # type: ignore[arg-type]
        own=loss.own,
        max_length=512,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows),
    )
    batch = batch_of(trainer)
    assert batch["sizes"].tolist() == [2, 3, 4, 2]
    expected = []
    for row in rows:
        prompt = [{"role": "user", "content": row["prefix"][0][0].removeprefix("<|prompter|>")}]
        logs = [
            by_hand(model, tokenise(tokenizer, prompt, [{"role": "assistant", "content": text}]))
            for text in row["suffix"]
        ]
        scores, total = [each.mean() for each in logs], torch.zeros(())
        for k in range(len(scores) - 1):
            gaps = [row["reward"][k] - reward for reward in row["reward"][k + 1 :]]
            own = torch.exp(scores[k] * max(gaps))
            pairs = zip(scores[k + 1 :], gaps, strict=True)
            total = total - torch.log(own / (own + sum(torch.exp(s * gap) for s, gap in pairs)))
        expected.append(total - 0.05 * (len(scores) - 1) ** 2 * logs[0].sum())
    found = loss_of(trainer, batch).item()
    assert found == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)
