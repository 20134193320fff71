"""What models make of texts: log-probabilities, answers, and scores of reward models."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import log_softmax

from app.training.tokens import Tokens

Advance = Callable[[int], None]
"""Told how many rows are done."""
_ROWS_AT_ONCE: Final = {"cuda": 32}
_ROWS_AT_ONCE_ELSEWHERE: Final = 8


def log_probabilities(
    model: Any, rows: Sequence[Tokens], advance: Advance = lambda _: None
) -> NDArray[np.float64]:
    """log π(y|x) of each row, the sum over the tokens of its response: (rows,)."""
    found = np.zeros(len(rows))
    for places, batch, attention in _batches(model, [row.ids for row in rows]):
        with torch.inference_mode():
            logits = model(input_ids=batch, attention_mask=attention, use_cache=False).logits
            tokens = log_softmax(logits[:, :-1].float(), dim=2)
            chosen = tokens.gather(2, batch[:, 1:, None]).squeeze(2)
        starts = torch.tensor([rows[place].start for place in places], device=batch.device)
        positions = torch.arange(1, batch.shape[1], device=batch.device)
        mask = attention[:, 1:].bool() & (positions >= starts[:, None])
        found[places] = (chosen.double() * mask).sum(1).cpu().numpy()
        advance(len(places))
    return found


def reward_scores(
    model: Any, rows: Sequence[Tokens], advance: Advance = lambda _: None
) -> NDArray[np.float64]:
    """The score that a reward model gives each row: (rows,)."""
    found = np.zeros(len(rows))
    for places, batch, attention in _batches(model, [row.ids for row in rows]):
        with torch.inference_mode():
            scores = model(input_ids=batch, attention_mask=attention, use_cache=False).logits
        found[places] = scores[:, 0].double().cpu().numpy()
        advance(len(places))
    return found


def answers(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    new_tokens: int,
    temperature: float,
    seed: int,
    advance: Advance = lambda _: None,
) -> list[str]:
    """What the model says to each prompt, given as tokens; temperature 0 takes the likeliest."""
    torch.manual_seed(seed)
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0:
        sampling = {"do_sample": True, "temperature": temperature, "top_p": 1.0, "top_k": 0}
    said = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        with torch.inference_mode():
            whole = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=new_tokens,
                pad_token_id=tokenizer.pad_token_id,
                **sampling,
            )
        said.append(tokenizer.decode(whole[0, len(prompt) :], skip_special_tokens=True))
        advance(1)
    return said


def _batches(
    model: Any, rows: Sequence[list[int]]
) -> Iterator[tuple[NDArray[np.intp], Tensor, Tensor]]:
    """Rows of like length together: their places, tokens and attention mask, padded right."""
    order = np.argsort([-len(ids) for ids in rows], kind="stable")
    at_once = _ROWS_AT_ONCE.get(model.device.type, _ROWS_AT_ONCE_ELSEWHERE)
    for first in range(0, len(order), at_once):
        places = order[first : first + at_once]
        length = len(rows[places[0]])
        ids = [rows[place] + [0] * (length - len(rows[place])) for place in places]
        mask = [[1] * len(rows[place]) + [0] * (length - len(rows[place])) for place in places]
        yield (
            places,
            torch.tensor(ids, device=model.device),
            torch.tensor(mask, device=model.device),
        )
