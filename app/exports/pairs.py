"""The pairs that an export reads and judges, and what recipes make rows of.

These classes, and those of ``aggregate``, are not frozen: a frozen instance takes eight times as
long to create, and an export creates several for every row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.exports.aggregate import Answer, Preference
from app.formats.tool_calls import said


@dataclass(slots=True)
class Candidate:
    """One of the two responses of a pair; ``metadata`` is read only if the recipe needs it."""

    response_id: int
    external_id: str | None
    text: str
    metadata: Any = None
    tool_calls: Any = None

    @property
    def said(self) -> str:
        """What it says, in text and calls: responses that say the same are one."""
        return said(self.text, self.tool_calls)


@dataclass(slots=True)
class LabelledPair:
    """A stored pair with the labels that an export takes. ``prompt`` is a string or chat messages.

    ``edits`` are the edited texts of the preferred response that came with the answers, one (or
    None) each, and ``edits_of_rejected`` those of the other response; ``reference`` is the text of
    the prompt's reference response. They are read only if the recipe needs them.
    ``with_tools``: the prompt has tools, or it or any of its responses has tool calls or the like.
    ``joined`` are pairs of the same two texts whose labels are counted here, by id, each with
    whether its first text is the second one here.
    """

    prompt_id: int
    prompt_external_id: str | None
    prompt: Any
    group_id: int
    pair_id: int
    first: Candidate
    second: Candidate
    answers: tuple[Answer, ...]
    both_bad: int
    similarity: float | None
    arm: str
    strategy: str
    propensity: float | None
    edits: tuple[str | None, ...] = ()
    edits_of_rejected: tuple[str | None, ...] = ()
    reference: str | None = None
    tools: Any = None
    with_tools: bool = False
    joined: tuple[tuple[int, bool], ...] = ()

    @property
    def says_two_things(self) -> bool:
        """Whether the two differ in more than white space around the text and the ids of calls."""
        return self.first.said != self.second.said


@dataclass(slots=True)
class PreferredPair:
    """A pair with a preference: what most recipes make rows of.

    The rewards are 0, ``margin`` is None and ``mean_weight`` and ``confidence`` are 1 unless the
    recipe needs them. ``mean_weight`` is the mean of the unscaled weights of the whole file,
    ``confidence`` the probability that the preference is right.
    """

    pair: LabelledPair
    preference: Preference
    reward_chosen: float = 0.0
    reward_rejected: float = 0.0
    margin: float | None = None
    mean_weight: float = 1.0
    confidence: float = 1.0

    @property
    def chosen(self) -> Candidate:
        """The response that was preferred."""
        return self.pair.first if self._first_is_chosen else self.pair.second

    @property
    def rejected(self) -> Candidate:
        """The other one."""
        return self.pair.second if self._first_is_chosen else self.pair.first

    @property
    def unscaled_weight(self) -> float:
        """σ(r_chosen − r_rejected), in (0, 1): larger where the rewards lie further apart."""
        return 1 / (1 + math.exp(self.reward_rejected - self.reward_chosen))

    @property
    def edited(self) -> str | None:
        """The first edited text of the chosen response by an annotator who chose it."""
        return self._first_of(self.pair.edits)

    @property
    def improved(self) -> str | None:
        """The edited text, unless it is empty or says what one of the two responses says."""
        return self._if_new(self.edited)

    @property
    def bridge(self) -> str | None:
        """The rejected response as an annotator who rejected it brought it nearer to the chosen.

        The first such text, unless it is empty or says what one of the two responses says.
        """
        return self._if_new(self._first_of(self.pair.edits_of_rejected))

    def _first_of(self, edits: Sequence[str | None]) -> str | None:
        preferred_id = self.preference.preferred_response_id
        for answer, edit in zip(self.pair.answers, edits, strict=False):
            if edit is not None and answer.preferred_response_id == preferred_id:
                return edit
        return None

    def _if_new(self, edit: str | None) -> str | None:
        said = ("", self.chosen.text.strip(), self.rejected.text.strip())
        return None if edit is None or edit.strip() in said else edit

    @property
    def _first_is_chosen(self) -> bool:
        return self.preference.preferred_response_id == self.pair.first.response_id


@dataclass(slots=True)
class JudgedPrompt:
    """A prompt with all its preferences: what recipes of whole prompts make rows of.

    If it is stored several times, ``pairs`` are those of all of them, and it has the ids of the
    first.

    ``disliked`` are the pairs of which most labels say that both are bad, ``tied`` those of which
    most say a tie, if the recipe takes ties; ``rewards`` are those of the labelled responses, by
    id; ``rank`` counts the prompts of the file from 1.
    """

    pairs: tuple[LabelledPair, ...]
    preferred: tuple[PreferredPair, ...]
    disliked: tuple[LabelledPair, ...]
    rewards: Mapping[int, float]
    rank: int
    tied: tuple[LabelledPair, ...] = ()

    @property
    def prompt_id(self) -> int:
        """The prompt's id in the database."""
        return self.pairs[0].prompt_id

    @property
    def external_id(self) -> str | None:
        """The caller's id of the prompt."""
        return self.pairs[0].prompt_external_id

    @property
    def content(self) -> Any:
        """The prompt: a string or chat messages."""
        return self.pairs[0].prompt

    @property
    def tools(self) -> Any:
        """The tools of the prompt; None where it has none."""
        return self.pairs[0].tools

    @property
    def candidates(self) -> dict[int, Candidate]:
        """The labelled responses by id, in ascending order."""
        found = {}
        for pair in self.pairs:
            found[pair.first.response_id] = pair.first
            found[pair.second.response_id] = pair.second
        return dict(sorted(found.items()))
