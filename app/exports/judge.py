"""Turn the labelled pairs of a prompt into its preferences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field

from app.exports.aggregate import Preference, majority, weighted
from app.exports.cycles import Edge, break_cycles
from app.exports.filter import Split, SplitRule
from app.exports.pairs import JudgedPrompt, LabelledPair, PreferredPair
from app.exports.reliability import PairOdds
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

    Every labelled pair is counted once: as preferred, or as one of the kinds that are left out.
    """

    prompts: int = 0
    """Prompts of the split that have labels."""
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
    rewards: Rewards | None = None
    with_margin: bool = False
    scale: Scale = field(default_factory=Scale)
    counts: Counts = field(default_factory=Counts)

    def judge(self, pairs: Sequence[LabelledPair]) -> JudgedPrompt | None:
        """Judge all labelled pairs of one prompt; None if the file does not take the prompt."""
        if not self.split_rule.takes(self.split, pairs[0].group_id):
            return None
        counts = self.counts
        counts.prompts += 1
        counts.labelled_pairs += len(pairs)
        counts.labels += sum(len(pair.answers) for pair in pairs)
        if self.is_left_out(pairs):
            counts.prompts_with_tools += 1
            counts.pairs_with_tools += len(pairs)
            return None
        decided = [found for pair in pairs if (found := self._preferred(pair)) is not None]
        preferred = self._without_cycles(decided) if len(decided) > 1 else decided
        for each in preferred:
            self._count(each)
        rewards = self.rewards.of(pairs[0].prompt_id) if self.rewards is not None else {}
        return JudgedPrompt(
            pairs=tuple(pairs),
            preferred=tuple(self._with_scores(each, rewards) for each in preferred),
            disliked=tuple(pair for pair in pairs if self._is_disliked(pair)),
            rewards=rewards,
            rank=counts.prompts - counts.prompts_with_tools,
        )

    def _preferred(self, pair: LabelledPair) -> PreferredPair | None:
        preference = self._preference(pair)
        if preference is None:
            self.counts.undecided_pairs += 1
        elif not pair.says_two_things:
            self.counts.pairs_of_one_text += 1
        elif preference.confidence < self.min_agreement:
            self.counts.pairs_below_agreement += 1
        else:
            return PreferredPair(pair, preference)
        return None

    def _preference(self, pair: LabelledPair) -> Preference | None:
        if self.odds is None:
            return majority(pair.answers)
        log_odds = self.odds.of(pair.pair_id)
        likelier = pair.first if log_odds > 0 else pair.second
        return weighted(pair.answers, likelier.response_id, abs(log_odds))

    def _without_cycles(self, preferred: Sequence[PreferredPair]) -> Sequence[PreferredPair]:
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
        self.counts.pairs_dropped_for_cycles += len(preferred) - len(kept)
        return kept

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
        if self.with_margin and self.scale.margin_is_strength:
            preferred.margin = preferred.preference.strength
        elif self.with_margin and self.rewards is not None:
            gap = preferred.reward_chosen - preferred.reward_rejected
            preferred.margin = round(max(0.0, gap), DIGITS)
        return preferred

    def _is_disliked(self, pair: LabelledPair) -> bool:
        if not pair.both_bad:
            return False
        share = pair.both_bad / len(pair.answers)
        return share > 0.5 and share >= self.min_agreement
