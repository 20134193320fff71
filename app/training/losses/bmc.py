"""Bridging and Modeling Correlations, BMC (arXiv 2408.07471): DPO over weighted tokens.

L = −log σ(β Σₜ λₜ log π(y_wᵗ) − … − the same of y_l), where λ = 1 for tokens that both responses
share and 1 + min(1/p, δ) for those in which they differ; p is the policy's own probability of the
token, without a gradient. The sums under the reference policy are weighted by the reference's own
probabilities, as in the authors' code. Tokens differ where ``difflib`` says so, but never those of
English stop words.
"""

from collections.abc import Mapping, Sequence, Set
from difflib import SequenceMatcher
from typing import Final

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from app.training.loss import PairLoss, Pairs, dpo

_ENGLISH: Final = """
a about above after again against all am an and any are as at be because been before being below
between both but by can did do does doing don down during each few for from further had has have
having he her here hers herself him himself his how i if in into is it its itself just me more most
my myself no nor not now of off on once only or other our ours ourselves out over own same she
should so some such than that the their theirs them themselves then there these they this those
through to too under until up very was we were what when where which while who whom why will with
you your yours yourself yourselves
"""
STOP_WORDS: Final = frozenset(_ENGLISH.split())


def stop_tokens(tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that are a stop word, capitalised or not, with a space before it or not."""
    spellings = [form for word in STOP_WORDS for form in (word, word.capitalize())]
    spellings += [f" {word}" for word in spellings]
    encoded = tokenizer(spellings, add_special_tokens=False)["input_ids"]
    return frozenset(ids[0] for ids in encoded if len(ids) == 1)


def differing(
    one: Sequence[int], other: Sequence[int], stop: Set[int] = frozenset()
) -> tuple[list[int], list[int]]:
    """For each token of both responses, 1 where the two differ there and 0 where they agree."""
    first, second = [0] * len(one), [0] * len(other)
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag != "equal":
            first[i1:i2] = [int(token not in stop) for token in one[i1:i2]]
            second[j1:j2] = [int(token not in stop) for token in other[j1:j2]]
    return first, second


def token_weights(log_probabilities: Tensor, differs: Tensor, *, delta: float) -> Tensor:
    """λ of each token: 1 + min(1/p, δ) where the responses differ, else 1. Without a gradient."""
    return 1 + differs * (-log_probabilities.detach()).exp().clamp(max=delta)


def _weights(log_probabilities: Tensor, differs: Tensor, own: Mapping[str, float]) -> Tensor:
    return token_weights(log_probabilities, differs, delta=own["delta"])


def _losses(pairs: Pairs, _: Mapping[str, float]) -> Tensor:
    return dpo(pairs.z)  # of sums over weighted tokens


LOSS = PairLoss(
    name="bmc",
    description="The tokens in which the responses differ count for more (BMC)",
    paper="2408.07471",
    recipe="bridged",
    # As for Llama 3. Mistral: δ 2; mathematics: β 0.05, δ 2.5; question answering: β 0.05, δ 3.
    authors={"beta": 0.01, "learning_rate": 5e-7},
    own={"delta": 1.5},
    losses=_losses,
    token_weights=_weights,
)
