"""A pair on its way out: as it is stored, and as a row of a dataset sees it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.exports.aggregate import Answer, Preference, aggregate
from app.exports.split import Split, SplitRule


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the two responses of a pair."""

    response_id: int
    external_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A stored pair with the labels an export takes. ``prompt`` is a string or chat messages."""

    prompt_id: int
    prompt_external_id: str | None
    prompt: Any
    group_id: int
    first: Candidate
    second: Candidate
    answers: tuple[Answer, ...]
    similarity: float | None
    arm: str
    strategy: str
    propensity: float | None


@dataclass(frozen=True, slots=True)
class PreferredPair:
    """A pair whose labels agree on a preference: what a recipe makes rows of."""

    pair: LabelledPair
    preference: Preference

    @property
    def chosen(self) -> Candidate:
        """The response that was preferred."""
        return self.pair.first if self._first_is_chosen else self.pair.second

    @property
    def rejected(self) -> Candidate:
        """The other one."""
        return self.pair.second if self._first_is_chosen else self.pair.first

    @property
    def _first_is_chosen(self) -> bool:
        return self.preference.preferred_response_id == self.pair.first.response_id


@dataclass(frozen=True, slots=True)
class Filter:
    """Which pairs an export takes."""

    split: Split
    split_rule: SplitRule
    min_agreement: float

    def preferred(self, pairs: Iterable[LabelledPair]) -> Iterator[PreferredPair]:
        """The pairs of the split with a clear preference between two texts that differ."""
        for pair in pairs:
            if not self.split_rule.takes(self.split, pair.group_id):
                continue
            preference = aggregate(pair.answers)
            if preference is None or preference.agreement < self.min_agreement:
                continue
            if pair.first.text.strip() != pair.second.text.strip():
                yield PreferredPair(pair, preference)
