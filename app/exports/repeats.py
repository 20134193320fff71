"""Prompts that are stored several times: their labels are judged together. Pure.

A text may be stored as a string and as a chat, with an id and without one, or be posted again with
other responses. Whatever the rows are, a trainer sees one prompt.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from app.exports.aggregate import Answer
from app.exports.pairs import LabelledPair
from app.selection.arrays import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Repeats:
    """Sets of prompts of one text each, two or more in a set."""

    ids: IntArray
    """The prompts, set by set, rising in each: ``(prompts,)``."""
    ends: IntArray
    """Where each set begins in ``ids``, and last where the last one ends: ``(sets + 1,)``."""
    rising: IntArray
    """The prompts by id: ``(prompts,)``."""

    @classmethod
    def of(cls, ids: IntArray, ends: IntArray) -> Self:
        """These sets."""
        return cls(ids, ends, np.sort(ids))

    def __iter__(self) -> Iterator[list[int]]:
        """The sets, in the order of their first prompts."""
        for start, end in zip(self.ends[:-1].tolist(), self.ends[1:].tolist(), strict=True):
            yield self.ids[start:end].tolist()

    def has(self, prompt_ids: Sequence[int]) -> BoolArray:
        """Which of the prompts are in a set: ``(len(prompt_ids),)``."""
        if not len(self.rising):
            return np.zeros(len(prompt_ids), dtype=np.bool_)
        places = np.searchsorted(self.rising, prompt_ids)
        found = self.rising[np.minimum(places, len(self.rising) - 1)]
        return np.asarray(found == np.asarray(prompt_ids), dtype=np.bool_)

    def together(self, order: IntArray) -> Iterator[list[int]]:
        """Prompts in an order, alone or as a set, which comes where the last of its prompts does.

        Prompts of a set that are not in the order come along.
        """
        sets = list(self)
        set_of = {number: place for place, numbers in enumerate(sets) for number in numbers}
        left = Counter(set_of[number] for number in order.tolist() if number in set_of)
        for number in order.tolist():
            place = set_of.get(number)
            if place is None:
                yield [number]
                continue
            left[place] -= 1
            if not left[place]:
                yield sets[place]


def pool(pairs: Sequence[LabelledPair]) -> Sequence[LabelledPair]:
    """The pairs of prompts of one text, with one pair for any two texts, which has all labels.

    It is otherwise the first such pair. The pairs of a single prompt stay as they are.
    """
    if pairs[0].prompt_id == pairs[-1].prompt_id:
        return pairs
    alike: dict[frozenset[str], list[LabelledPair]] = {}
    for pair in pairs:
        texts = frozenset((pair.first.said, pair.second.said))
        alike.setdefault(texts, []).append(pair)
    return [_as_one(*same) if len(same) > 1 else same[0] for same in alike.values()]


def _as_one(first: LabelledPair, *others: LabelledPair) -> LabelledPair:
    answers = list(first.answers)
    joined: list[tuple[int, bool]] = []
    for other in others:
        swapped = other.first.said != first.first.said
        own = (other.first.response_id, other.second.response_id)
        ours = (first.first.response_id, first.second.response_id)
        same_text: dict[int | None, int | None] = dict(
            zip(own, reversed(ours) if swapped else ours, strict=True)
        )
        answers += [
            Answer(same_text.get(answer.preferred_response_id), answer.strength)
            for answer in other.answers
        ]
        joined.append((other.pair_id, swapped))
    return replace(
        first,
        answers=tuple(answers),
        both_bad=first.both_bad + sum(other.both_bad for other in others),
        edits=sum((other.edits for other in others), first.edits),
        edits_of_rejected=sum(
            (other.edits_of_rejected for other in others), first.edits_of_rejected
        ),
        joined=tuple(joined),
    )
