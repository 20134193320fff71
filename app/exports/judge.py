"""From the labelled pairs of one prompt to what a dataset may say of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.exports.aggregate import Preference, majority, weighted
from app.exports.counts import Counts
from app.exports.cycles import Edge, break_cycles
from app.exports.pairs import JudgedPrompt, LabelledPair, PreferredPair
from app.exports.reliability import PairOdds
from app.exports.rewards import Rewards
from app.exports.split import Split, SplitRule


@dataclass(frozen=True, slots=True)
class Scale:
    """What is one for all rows of a file.

    ``margin_is_strength``: every row has a mean strength, and that is its margin; otherwise the
    margin is the gap of the rewards. ``mean_weight`` is that of the unscaled weights.
    """

    margin_is_strength: bool = False
    mean_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Filter:
    """Which pairs a file takes."""

    split: Split
    split_rule: SplitRule
    min_agreement: float


@dataclass(slots=True)
class Judge:
    """Judges one prompt after the other, and counts.

    ``odds`` weighs the labels by their annotators' reliability; without, the majority decides.
    """

    filter: Filter
    odds: PairOdds | None = None
    rewards: Rewards | None = None
    with_margin: bool = False
    scale: Scale = field(default_factory=Scale)
    counts: Counts = field(default_factory=Counts)

    def judge(self, pairs: Sequence[LabelledPair]) -> JudgedPrompt | None:
        """All labelled pairs of one prompt; None where the prompt is not of the split."""
        if not self.filter.split_rule.takes(self.filter.split, pairs[0].group_id):
            return None
        counts = self.counts
        counts.prompts += 1
        counts.labelled_pairs += len(pairs)
        counts.labels += sum(len(pair.answers) for pair in pairs)
        decided = [found for pair in pairs if (found := self._preferred(pair)) is not None]
        preferred = self._without_cycles(decided) if len(decided) > 1 else decided
        for each in preferred:
            self._count(each)
        return JudgedPrompt(
            pairs=tuple(pairs),
            preferred=tuple(map(self._with_scores, preferred)),
            disliked=tuple(pair for pair in pairs if self._is_disliked(pair)),
            rewards=self._rewards_of(pairs),
            rank=counts.prompts,
        )

    def _preferred(self, pair: LabelledPair) -> PreferredPair | None:
        preference = self._preference(pair)
        if preference is None:
            self.counts.undecided_pairs += 1
        elif not pair.says_two_things:
            self.counts.pairs_of_one_text += 1
        elif preference.confidence < self.filter.min_agreement:
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
        acyclic = break_cycles(
            [
                Edge(
                    better=each.chosen.text.strip(),
                    worse=each.rejected.text.strip(),
                    evidence=each.preference.evidence,
                    order=each.pair.pair_id,
                    item=each,
                )
                for each in preferred
            ]
        )
        self.counts.cycles += acyclic.cycles
        self.counts.pairs_dropped_for_cycles += len(preferred) - len(acyclic.items)
        return acyclic.items

    def _count(self, preferred: PreferredPair) -> None:
        preferred_id = preferred.preference.preferred_response_id
        votes = [answer.preferred_response_id for answer in preferred.pair.answers]
        self.counts.preferred_pairs += 1
        self.counts.exploration_pairs += preferred.pair.arm == "exploration"
        self.counts.pairs_with_several_labels += len(votes) > 1
        self.counts.votes += len(votes) - votes.count(None)
        self.counts.agreeing_votes += votes.count(preferred_id)

    def _with_scores(self, preferred: PreferredPair) -> PreferredPair:
        if self.rewards is None and not self.with_margin:
            return preferred
        reward_chosen = reward_rejected = 0.0
        if self.rewards is not None:
            reward_chosen = self.rewards.of(preferred.chosen.response_id)
            reward_rejected = self.rewards.of(preferred.rejected.response_id)
        margin: float | None = None
        if self.with_margin:
            gap = round(max(0.0, reward_chosen - reward_rejected), 6)
            margin = preferred.preference.strength if self.scale.margin_is_strength else gap
        return PreferredPair(
            preferred.pair,
            preferred.preference,
            reward_chosen,
            reward_rejected,
            margin,
            self.scale.mean_weight,
        )

    def _is_disliked(self, pair: LabelledPair) -> bool:
        if not pair.both_bad:
            return False
        share = pair.both_bad / len(pair.answers)
        return share > 0.5 and share >= self.filter.min_agreement

    def _rewards_of(self, pairs: Sequence[LabelledPair]) -> dict[int, float]:
        """Those of the labelled responses that votes compare."""
        if self.rewards is None:
            return {}
        rewards = self.rewards
        ids = {each.response_id for pair in pairs for each in (pair.first, pair.second)}
        return {each: rewards.of(each) for each in sorted(ids) if rewards.has(each)}
