"""Turn the labelled pairs of a prompt into its preferences."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import groupby

from app.exports.aggregate import Preference, majority, probability, weighted
from app.exports.cycles import Edge, break_cycles
from app.exports.filter import Split, SplitRule
from app.exports.pairs import JudgedPrompt, LabelledPair, PreferredPair
from app.exports.reliability import PairOdds
from app.exports.repeats import pool
from app.exports.rewards import DIGITS, Rewards
from app.storage.arm import Arm


@dataclass(frozen=True, slots=True)
class Scale:
    """What is the same for all rows of a file."""

    margin_is_strength: bool = False
    """Every row has a mean strength, its margin; otherwise the margin is the gap of the rewards."""
    mean_weight: float = 1.0
    """The mean of the unscaled weights."""


@dataclass(slots=True)
class Counts:
    """What became of the labelled pairs of a file.

    Every labelled pair is counted once: as preferred, as tied, or as one of the kinds that are left
    out.
    """

    prompts: int = 0
    """Prompts whose labels are in the file, as they are stored."""
    labelled_pairs: int = 0
    labels: int = 0
    """The labels of those pairs, without skips."""
    votes: int = 0
    """The left/right labels of the preferred pairs."""
    agreeing_votes: int = 0
    pairs_with_several_labels: int = 0
    preferred_pairs: int = 0
    exploration_pairs: int = 0
    """Preferred pairs of the exploration arm."""
    undecided_pairs: int = 0
    """Pairs with ties, both bad, or as many votes for either response."""
    pairs_without_majority: int = 0
    """Those of the undecided pairs that have votes for either response."""
    pairs_both_bad: int = 0
    """Those of the other undecided pairs of which most labels say that both are bad."""
    tied_pairs: int = 0
    """Pairs of which most labels say a tie, if the recipe takes ties."""
    pairs_joined: int = 0
    """Pairs of the same two texts as another pair of the same prompt text, which has their labels.
    """
    pairs_below_agreement: int = 0
    pairs_of_one_text: int = 0
    pairs_with_tools: int = 0
    """Pairs of prompts whose tools or tool calls the file cannot hold."""
    prompts_with_tools: int = 0
    """Those prompts; they are among the prompts counted above."""
    cycles: int = 0
    pairs_dropped_for_cycles: int = 0
    rows: int = 0


def total(counts: Iterable[Counts]) -> Counts:
    """The counts of several files together."""
    return Counts(*map(sum, zip(*map(astuple, counts), strict=True)))


@dataclass(slots=True)
class Judge:
    """Finds the preferences of one prompt after the other, and counts.

    With ``odds`` the labels are weighted by their annotators' reliability; without, the majority
    decides.
    """

    split: Split
    split_rule: SplitRule
    min_agreement: float
    is_left_out: Callable[[Sequence[LabelledPair]], bool] = lambda _: False
    """Whether the file cannot hold a prompt, given with its labelled pairs."""
    odds: PairOdds | None = None
    confidences: PairOdds | None = None
    """The odds from which rows have their ``confidence``."""
    takes_ties: bool = False
    rewards: Rewards | None = None
    with_margin: bool = False
    by_prompt: bool = False
    """A row is about a whole prompt: if that is stored several times, the first decides the side.
    Otherwise each pair is on the side of its own prompt.
    """
    scale: Scale = field(default_factory=Scale)
    counts: Counts = field(default_factory=Counts)
    _judged: int = 0
    _expected_wrong: float = 0.0

    @property
    def label_noise(self) -> float | None:
        """The mean probability that a preference of the file is wrong; None without confidences."""
        if self.confidences is None or not self.counts.preferred_pairs:
            return None
        return self._expected_wrong / self.counts.preferred_pairs

    def judge(self, pairs: Sequence[LabelledPair]) -> JudgedPrompt | None:
        """Judge all labelled pairs of one prompt, or of all prompts that have its text.

        They are judged together, so that no two files contradict each other. What is in the split
        is counted and given; None if nothing is that the file can hold.
        """
        pairs = self._held(pairs)
        together = pool(pairs) if pairs else ()
        _drop_edits_of_others(together)
        own = self._in_split(together) if together else ()
        if not own:
            return None
        self._judged += 1
        self.counts.prompts += _count_prompts(pairs, own)
        own_ids = {pair.pair_id for pair in own}
        decided = self._decided(together, own_ids)
        kept = self._without_cycles(decided, own_ids) if len(decided) > 1 else decided
        preferred = [each for each in kept if each.pair.pair_id in own_ids]
        for each in preferred:
            self._count(each)
        rewards = self._rewards_of(pairs)
        return JudgedPrompt(
            pairs=tuple(own),
            preferred=tuple(self._with_scores(each, rewards) for each in preferred),
            disliked=tuple(pair for pair in own if self._is_disliked(pair)),
            rewards=rewards,
            rank=self._judged,
            tied=tuple(pair for pair in own if self.takes_ties and self._is_tied(pair)),
        )

    def _held(self, pairs: Sequence[LabelledPair]) -> Sequence[LabelledPair]:
        """The pairs without those of prompts that the file cannot hold, which are counted."""
        if not any(pair.with_tools for pair in pairs):
            return pairs
        held: list[LabelledPair] = []
        for _, each in groupby(pairs, key=lambda pair: pair.prompt_id):
            of_prompt = list(each)
            if not self.is_left_out(of_prompt):
                held += of_prompt
            elif self.split_rule.takes(self.split, of_prompt[0].group_id):
                self.counts.prompts += 1
                self.counts.prompts_with_tools += 1
                self.counts.labelled_pairs += len(of_prompt)
                self.counts.pairs_with_tools += len(of_prompt)
                self.counts.labels += sum(len(pair.answers) for pair in of_prompt)
        return held

    def _in_split(self, pairs: Sequence[LabelledPair]) -> Sequence[LabelledPair]:
        """Those of the pairs that are in the split, by their own prompts or by the first one."""
        takes, first = self.split_rule.takes, pairs[0]
        if self.by_prompt or first.prompt_id == pairs[-1].prompt_id:
            return pairs if takes(self.split, first.group_id) else ()
        taken = [pair for pair in pairs if takes(self.split, pair.group_id)]
        return pairs if len(taken) == len(pairs) else taken

    def _decided(self, pairs: Sequence[LabelledPair], own_ids: set[int]) -> list[PreferredPair]:
        """The pairs that have a preference; only those of the split are counted."""
        decided = []
        elsewhere = Counts()
        for pair in pairs:
            counts = self.counts if pair.pair_id in own_ids else elsewhere
            counts.labelled_pairs += 1 + len(pair.joined)
            counts.pairs_joined += len(pair.joined)
            counts.labels += len(pair.answers)
            found = self._preferred(pair, counts)
            if found is not None:
                decided.append(found)
        return decided

    def _preferred(self, pair: LabelledPair, counts: Counts) -> PreferredPair | None:
        if self.takes_ties and self._is_tied(pair):
            counts.tied_pairs += 1
            return None
        preference = self._preference(pair)
        if preference is None:
            counts.undecided_pairs += 1
            votes = {answer.preferred_response_id for answer in pair.answers}
            is_divided = len(votes - {None}) > 1
            counts.pairs_without_majority += is_divided
            counts.pairs_both_bad += not is_divided and 2 * pair.both_bad > len(pair.answers)
        elif not pair.says_two_things:
            counts.pairs_of_one_text += 1
        elif preference.confidence < self.min_agreement:
            counts.pairs_below_agreement += 1
        else:
            return PreferredPair(pair, preference)
        return None

    def _preference(self, pair: LabelledPair) -> Preference | None:
        if self.odds is None:
            return majority(pair.answers)
        log_odds = _log_odds(self.odds, pair)
        likelier = pair.first if log_odds > 0 else pair.second
        return weighted(pair.answers, likelier.response_id, abs(log_odds))

    def _without_cycles(
        self, preferred: Sequence[PreferredPair], own_ids: set[int]
    ) -> Sequence[PreferredPair]:
        kept, cycles = break_cycles(
            [
                Edge(
                    better=each.chosen.said,
                    worse=each.rejected.said,
                    evidence=each.preference.evidence,
                    order=each.pair.pair_id,
                    item=each,
                )
                for each in preferred
            ]
        )
        self.counts.cycles += cycles
        if len(kept) < len(preferred):
            dropped = own_ids & {each.pair.pair_id for each in preferred}
            dropped -= {each.pair.pair_id for each in kept}
            self.counts.pairs_dropped_for_cycles += len(dropped)
        return kept

    def _rewards_of(self, pairs: Sequence[LabelledPair]) -> Mapping[int, float]:
        """The rewards of the responses of these prompts that labels compare, by id."""
        rewards: dict[int, float] = {}
        if self.rewards is not None:
            for prompt_id in dict.fromkeys(pair.prompt_id for pair in pairs):
                rewards |= self.rewards.of(prompt_id)
        return rewards

    def _count(self, preferred: PreferredPair) -> None:
        preferred_id = preferred.preference.preferred_response_id
        votes = [answer.preferred_response_id for answer in preferred.pair.answers]
        self.counts.preferred_pairs += 1
        self.counts.exploration_pairs += preferred.pair.arm == Arm.EXPLORATION
        self.counts.pairs_with_several_labels += len(votes) > 1
        self.counts.votes += len(votes) - votes.count(None)
        self.counts.agreeing_votes += votes.count(preferred_id)

    def _with_scores(self, preferred: PreferredPair, rewards: Mapping[int, float]) -> PreferredPair:
        """Add rewards and margin. A response without a reward gets the mean of all, which is 0."""
        preferred.reward_chosen = rewards.get(preferred.chosen.response_id, 0.0)
        preferred.reward_rejected = rewards.get(preferred.rejected.response_id, 0.0)
        preferred.mean_weight = self.scale.mean_weight
        if self.confidences is not None:
            log_odds = _log_odds(self.confidences, preferred.pair)
            is_first = preferred.chosen is preferred.pair.first
            preferred.confidence = probability(log_odds if is_first else -log_odds)
            self._expected_wrong += 1 - preferred.confidence
        if self.with_margin and self.scale.margin_is_strength:
            preferred.margin = preferred.preference.strength
        elif self.with_margin and self.rewards is not None:
            gap = preferred.reward_chosen - preferred.reward_rejected
            preferred.margin = round(max(0.0, gap), DIGITS)
        return preferred

    def _is_disliked(self, pair: LabelledPair) -> bool:
        return self._say_most(pair, pair.both_bad)

    def _is_tied(self, pair: LabelledPair) -> bool:
        ties = sum(answer.preferred_response_id is None for answer in pair.answers) - pair.both_bad
        return self._say_most(pair, ties) and pair.says_two_things

    def _say_most(self, pair: LabelledPair, labels: int) -> bool:
        """Whether so many of the pair's labels are most of them, and enough."""
        share = labels / len(pair.answers)
        return share > 0.5 and share >= self.min_agreement


def _log_odds(odds: PairOdds, pair: LabelledPair) -> float:
    """The log odds that the first response is the better, with those of the pairs joined to it."""
    found = odds.of(pair.pair_id)
    for joined_id, is_swapped in pair.joined:
        joined = odds.of(joined_id)
        found += -joined if is_swapped else joined
    return found


def _count_prompts(pairs: Sequence[LabelledPair], own: Sequence[LabelledPair]) -> int:
    """How many stored prompts have labels in the file."""
    if pairs[0].prompt_id == pairs[-1].prompt_id:
        return 1
    prompt_of = {pair.pair_id: pair.prompt_id for pair in pairs}
    ids = (number for pair in own for number in (pair.pair_id, *(each for each, _ in pair.joined)))
    return len({prompt_of[number] for number in ids})


def _drop_edits_of_others(pairs: Sequence[LabelledPair]) -> None:
    """Drop edits that say what another labelled response of the prompt says.

    Its own labels say how good that is, and the edit may contradict them.
    """
    edits = (edit for pair in pairs for edit in (*pair.edits, *pair.edits_of_rejected))
    if all(edit is None for edit in edits):
        return
    said = {each.said for pair in pairs for each in (pair.first, pair.second)}
    for pair in pairs:
        others = said - {pair.first.said, pair.second.said}
        pair.edits = _without(others, pair.edits)
        pair.edits_of_rejected = _without(others, pair.edits_of_rejected)


def _without(texts: Collection[str], edits: Iterable[str | None]) -> tuple[str | None, ...]:
    return tuple(None if edit is not None and edit.strip() in texts else edit for edit in edits)
