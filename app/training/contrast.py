"""How much likelier a good prompt makes a response than a bad one: the reward of DLMA.

    R(y) = log π(y|x, p⁺) − log π(y|x, p⁻)

Liu et al., 2024: Direct Large Language Model Alignment Through Self-Rewarding Contrastive Prompt
Distillation (arXiv 2402.11907). The two pairs of prompts here are those of the authors' code, which
writes them as plain text, without a chat template, and counts no end-of-sequence token.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.errors import CommandFailed
from app.exports.recipes.contrastive import LOG_PROBABILITIES
from app.prompts.text import render_prompt
from app.training.scoring import log_probabilities
from app.training.tokens import Tokens, common_prefix

PLACE: Final = "{}"
"""Where the prompt stands in the text that comes before a response."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The text before a response that asks for a good one, and the one that asks for a bad one."""

    name: str
    good: str
    bad: str


HARMLESS: Final = Contrast(
    "harmless",
    f"USER: {PLACE}\nASSISTANT(law-abiding, ethical, inoffensive response):\n",
    f"USER: {PLACE}\nASSISTANT(illegal, unethical, toxic response):\n",
)
HELPFUL: Final = Contrast(
    "helpful",
    f"USER: {PLACE}\nASSISTANT(giving a helpful response):\n",
    f"USER: {PLACE}\nASSISTANT(giving an unhelpful response):\n",
)
AUTHORS: Final = {each.name: each for each in (HARMLESS, HELPFUL)}


def own_contrast(good: str, bad: str) -> Contrast:
    """A pair of one's own.

    Raises:
        CommandFailed: one of them has no place for the prompt, or more than one.
    """
    for flag, text in (("--good", good), ("--bad", bad)):
        if text.count(PLACE) != 1:
            raise CommandFailed(f"{flag} must have {PLACE} once, where the prompt goes")
    digest = hashlib.sha256("\0".join((good, bad)).encode()).hexdigest()
    return Contrast(f"own-{digest[:12]}", good, bad)


def best_and_worst(rewards: Mapping[str, float]) -> tuple[str, str] | None:
    """The responses of highest and lowest reward, by their ids: what DLMA labels by itself.

    None: there are not two, or all rewards are the same.
    """
    if not rewards or max(rewards.values()) == min(rewards.values()):
        return None
    return max(rewards, key=lambda each: rewards[each]), min(
        rewards, key=lambda each: rewards[each]
    )


def contrast_metadata(
    model: Any,
    tokenizer: Any,
    contrast: Contrast,
    asked: Sequence[tuple[Any, str]],
    *,
    max_length: int,
) -> list[dict[str, float] | None]:
    """The two log-probabilities of each response, as its metadata have them.

    ``asked`` are prompts as they are stored, each with one response. None: under one of the two
    prompts it is longer than ``max_length`` tokens; half a response would have another reward.
    """
    rows = [
        [
            _tokens(tokenizer, before.replace(PLACE, _asked(prompt)), response)
            for before in (contrast.good, contrast.bad)
        ]
        for prompt, response in asked
    ]
    fit = [all(len(each.ids) <= max_length for each in row) for row in rows]
    flat = [each for row, fits in zip(rows, fit, strict=True) if fits for each in row]
    found = iter(log_probabilities(model, flat).reshape(-1, 2).tolist())
    return [
        dict(zip(LOG_PROBABILITIES, next(found), strict=True)) if fits else None for fits in fit
    ]


def _asked(prompt: Any) -> str:
    """A prompt as the text after ``USER:``; of one turn it is the content alone."""
    if not isinstance(prompt, str) and len(prompt) == 1:
        return str(prompt[0].get("content") or "")
    return render_prompt(prompt)


def _tokens(tokenizer: Any, before: str, response: str) -> Tokens:
    alone = tokenizer(before)["input_ids"]
    whole = tokenizer(before + response)["input_ids"]
    return Tokens(whole, common_prefix(alone, whole))
