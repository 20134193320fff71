"""How much better a trained model is, on pairs that were held out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from transformers import AutoModelForSequenceClassification

from app.errors import CommandFailed
from app.training.build import load_causal_model, load_tokenizer
from app.training.scoring import Advance, answers, log_probabilities, reward_scores
from app.training.tokens import Tokens, tokenise

Progress = Callable[[str, int], Advance]
"""Begins a task of so many rows, and gives what counts them."""
_RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95% interval, from resampling prompts."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How answers are sampled for the win rate."""

    reward_model: str
    new_tokens: int
    temperature: float
    limit: int
    """The most prompts."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """``accuracy`` is the share of pairs whose chosen response has the larger implicit reward,
    β·log π(y|x)/π_ref(y|x); ``margin`` is the mean difference of the two rewards.
    """

    pairs: int
    prompts: int
    accuracy: Estimate
    margin: Estimate
    win_rate: Estimate | None = None
    """The share of prompts to which the model's answer scores higher than the reference's."""

    def as_json(self) -> dict[str, Any]:
        """The figures as an object."""
        return asdict(self)


def evaluate(
    model: str,
    reference: str,
    rows: Dataset,
    *,
    beta: float,
    max_length: int,
    progress: Progress,
    device: torch.device,
    sampling: Sampling | None = None,
    seed: int = 0,
) -> Evaluation:
    """Compare a model with its reference on pairs.

    Raises:
        CommandFailed: the rows are no pairs, or a model cannot be loaded.
    """
    missing = {"prompt", "chosen", "rejected"}.difference(rows.column_names)
    if missing:
        raise CommandFailed(f"the rows have no column `{min(missing)}`: they are no pairs")
    tokenizer = load_tokenizer(model)
    pairs = [
        tuple(
            tokenise(tokenizer, row["prompt"], row[side], row.get("tools")).cut(max_length)
            for side in ("chosen", "rejected")
        )
        for row in rows
    ]
    asked = [json.dumps(prompt) for prompt in rows["prompt"]]
    flat = [side for pair in pairs for side in pair]
    log_ratios = np.zeros(len(flat))
    win_rate = None
    said: list[list[str]] = []
    first = _first_rows(asked, 0 if sampling is None else sampling.limit)
    for name, sign in ((model, 1.0), (reference, -1.0)):
        loaded = load_causal_model(name).to(device).eval()
        advance = progress(f"Log-probabilities of {name}", len(flat))
        log_ratios += sign * log_probabilities(loaded, flat, advance)
        if sampling is not None:
            prompts = [pairs[place][0].ids[: pairs[place][0].start] for place in first]
            said.append(_said(loaded, tokenizer, prompts, sampling, name, progress))
        del loaded
    rewards = beta * log_ratios.reshape(-1, 2)
    margins = rewards[:, 0] - rewards[:, 1]
    if sampling is not None:
        wins = _wins(sampling, [rows[place] for place in first], said, device, progress)
        win_rate = estimate(wins, list(range(len(wins))), seed)
    right = (margins > 0) + 0.5 * (margins == 0)
    return Evaluation(
        pairs=len(pairs),
        prompts=len(set(asked)),
        accuracy=estimate(right, asked, seed),
        margin=estimate(margins, asked, seed),
        win_rate=win_rate,
    )


def estimate(values: NDArray[np.float64], prompts: Sequence[Any], seed: int) -> Estimate:
    """The mean of the values and its interval; values of one prompt are drawn together."""
    _, which = np.unique(np.array(prompts), return_inverse=True)
    sums, counts = np.bincount(which, weights=values), np.bincount(which)
    draws = np.random.default_rng(seed).integers(len(sums), size=(_RESAMPLES, len(sums)))
    means = sums[draws].sum(1) / counts[draws].sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high))


def _first_rows(asked: Sequence[str], limit: int) -> list[int]:
    """The first row of each prompt, of the first prompts."""
    first: dict[str, int] = {}
    for place, prompt in enumerate(asked):
        first.setdefault(prompt, place)
    return list(first.values())[:limit]


def _said(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    sampling: Sampling,
    name: str,
    progress: Progress,
) -> list[str]:
    return answers(
        model,
        tokenizer,
        prompts,
        new_tokens=sampling.new_tokens,
        temperature=sampling.temperature,
        seed=sampling.seed,
        advance=progress(f"Answers of {name}", len(prompts)),
    )


def _wins(
    sampling: Sampling,
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Sequence[str]],
    device: torch.device,
    progress: Progress,
) -> NDArray[np.float64]:
    """1 where the first model's answer scores higher, 0 where the second's does, ½ if equal."""
    tokenizer = load_tokenizer(sampling.reward_model)
    try:
        judge = AutoModelForSequenceClassification.from_pretrained(sampling.reward_model)
    except (OSError, ValueError) as error:
        raise CommandFailed(f"--reward-model {sampling.reward_model}: {error}") from error
    if judge.config.num_labels != 1:
        raise CommandFailed(f"--reward-model {sampling.reward_model}: gives no single score")
    judge = judge.to(device).eval()
    judged: list[Tokens] = []
    for texts in said:
        for row, text in zip(rows, texts, strict=True):
            is_text = isinstance(row["prompt"], str)
            response = text if is_text else [{"role": "assistant", "content": text}]
            judged.append(tokenise(tokenizer, row["prompt"], response, row.get("tools")))
    scores = reward_scores(judge, judged, progress("Scores", len(judged))).reshape(2, -1)
    wins: NDArray[np.float64] = (scores[0] > scores[1]) + 0.5 * (scores[0] == scores[1])
    return wins
