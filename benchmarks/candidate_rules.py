"""Rules for choosing pairs that no strategy uses, measured as `simulate` measures strategies.

    python -m benchmarks.candidate_rules ../shared/data [--seeds 20] [--only PATTERN] [--rules ...]

Before ``FIRST_LABELS`` labels a rule is ``random``, unless it needs no model. Then, in each prompt,
``AMONG`` open pairs are drawn, and the best of them by a score comes first:

- ``wide``: the most different one (no model: from the first label on);
- ``information``: p(1 − p)·zᵀH⁻¹z, as ``uncertain``;
- ``variance``: how much its label is expected to lower the variance of the gaps of random pairs of
  the pool (V-optimal);
- ``weighted``: the same, each gap weighted by its (p(1 − p))² (EPIG, to first order).

``-across`` ranks prompts too: of every ``AMONG`` that follow each other in the random order, the
one whose best pair has the highest score comes first. Written as ``information-8``,
``information-8-across``; ``-all`` in place of a number takes the best of all open pairs.
"""

import argparse
import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from app.selection.arrays import Float64Array, FloatArray
from app.selection.candidates import PromptBlock
from app.selection.hashing import salts, uniform
from app.selection.model.posterior import sigmoid
from app.selection.model.preference import PreferenceModel
from app.selection.pair_grid import gram_matrices, pair_columns
from app.selection.simulation.measures import Measure
from app.selection.simulation.simulate import Plan, simulate
from app.selection.simulation.world import World
from app.selection.strategies import random
from app.selection.strategies.learning import FIRST_LABELS, open_scores
from app.selection.strategy import PairOrder, Strategy
from benchmarks.label_efficiency import FILES, SETS, SOURCE, read_world

Score = Callable[[list[PromptBlock], PreferenceModel | None], list[Float64Array]]
"""How much the label of each pair is worth, ``(prompts, pairs)``, one array a block."""
ALL: Final = 10**9
TRIED: Final = ("wide-4", "information-4", "information-8", "information-all", "weighted-8")
ACROSS: Final = ("information-8-across", "weighted-8-across")
"""What is tried where every prompt has one pair."""


def wide(blocks: list[PromptBlock], _model: PreferenceModel | None) -> list[Float64Array]:
    """1 − cosine."""
    found = []
    for block in blocks:
        first, second = pair_columns(block.responses)
        cosines = gram_matrices(block.embeddings)[:, first, second]
        found.append(1.0 - cosines.astype(np.float64))
    return found


def information(blocks: list[PromptBlock], model: PreferenceModel | None) -> list[Float64Array]:
    """p(1 − p)·zᵀH⁻¹z."""
    assert model is not None
    found = []
    for block in blocks:
        means, variances = model.gaps(model.pair_differences(block))
        found.append(_spread(means) * variances)
    return found


def lowered_variance(
    blocks: list[PromptBlock], model: PreferenceModel | None, *, weighted: bool
) -> list[Float64Array]:
    """w·zᵀH⁻¹MH⁻¹z / (1 + w·zᵀH⁻¹z), M being the mean of zzᵀ over the pool, each prompt equal."""
    assert model is not None
    size = model.feature_map.size
    targets, prompts = np.zeros((size, size)), 0
    gaps: list[tuple[Float64Array, Float64Array, FloatArray]] = []
    for block in blocks:
        z = np.asarray(model.pair_differences(block), dtype=np.float64)
        means, variances = model.gaps(z)
        gaps.append((z, _spread(means), variances))
        rows = z * gaps[-1][1][..., None] if weighted else z
        flat = rows.reshape(-1, size)
        targets += flat.T @ flat / rows.shape[1]
        prompts += len(rows)
    middle = model.posterior.covariance @ (targets / prompts) @ model.posterior.covariance
    found = []
    for z, w, variances in gaps:
        along = ((z @ middle) * z).sum(axis=-1)
        found.append(w * along / (1 + w * variances))
    return found


def _spread(means: FloatArray) -> Float64Array:
    """p(1 − p)."""
    p = sigmoid(means)
    return np.asarray(p * (1 - p))


SCORES: Final[dict[str, Score]] = {
    "wide": wide,
    "information": information,
    "variance": partial(lowered_variance, weighted=False),
    "weighted": partial(lowered_variance, weighted=True),
}


def order(
    blocks: list[PromptBlock],
    model: PreferenceModel | None,
    rng: np.random.Generator,
    *,
    score: str,
    among: int,
    across: bool,
) -> list[PairOrder]:
    """The rule as a strategy's order."""
    is_young = model is None or model.labels < FIRST_LABELS
    if score != "wide" and is_young:
        return random.order(blocks, None, rng)
    draws = [_draws(block) for block in blocks]
    scores = []
    for block, drawn, each in zip(blocks, draws, SCORES[score](blocks, model), strict=True):
        places = np.where(block.taken, np.inf, drawn).argsort(axis=1).argsort(axis=1)
        scores.append(np.where(places < among, each, -np.inf))
    prompt_keys: Sequence[FloatArray] = [block.order_keys for block in blocks]
    if across:
        best = [each.max(axis=1) for each in open_scores(blocks, scores)]
        prompt_keys = _best_of_runs(prompt_keys, best, among)
    return [
        PairOrder(np.where(np.isfinite(each), -each, 1.0 + drawn), keys)
        for each, drawn, keys in zip(scores, draws, prompt_keys, strict=True)
    ]


def _draws(block: PromptBlock) -> Float64Array:
    """A number in [0, 1) for every pair, the same each time."""
    return uniform(block.response_ids, salts(block.order_keys))


def _best_of_runs(
    keys: Sequence[FloatArray], best: Sequence[FloatArray], among: int
) -> list[Float64Array]:
    """Keys by place in a run of ``among`` prompts (the best has place 0), then by run."""
    sequence = np.argsort(np.concatenate(keys), kind="stable")
    scores = np.asarray(np.concatenate(best)[sequence], dtype=np.float64)
    runs = np.arange(len(sequence)) // among
    within = np.lexsort((-scores, runs))
    places = np.empty(len(sequence))
    places[within] = np.arange(len(sequence)) - runs * among
    ranks = np.empty(len(sequence))
    ranks[sequence[np.lexsort((runs, places))]] = np.arange(len(sequence))
    return np.split(ranks / len(ranks), np.cumsum([len(each) for each in keys])[:-1])


def rule(name: str) -> Strategy:
    """The rule of a name such as ``information-8-across``.

    Raises:
        SystemExit: there is no such rule.
    """
    found = re.fullmatch(r"(\w+)-(\d+|all)(-across)?", name)
    if not found or found[1] not in SCORES:
        raise SystemExit(f"there is no rule {name}: SCORE-NUMBER, SCORE of {', '.join(SCORES)}")
    among = ALL if found[2] == "all" else int(found[2])
    chosen = partial(order, score=found[1], among=among, across=bool(found[3]))
    return Strategy(name, "", chosen, learns=found[1] != "wide")


def main() -> None:
    """Print a line for each file and rule."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--most-labels", type=int, default=400)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="a pattern of the names of files")
    parser.add_argument("--rules", nargs="*", default=[])
    parser.add_argument("--vectors", type=Path, default=Path("build/vectors"))
    asked = parser.parse_args()
    asked.vectors.mkdir(parents=True, exist_ok=True)
    print("| data | rule | times, accuracy | times, log-loss | times, gold |")
    print("|---|---|---|---|---|", flush=True)
    for name in [*FILES, *SETS]:
        if re.search(asked.only, name):
            source = asked.data / f"{name if name in FILES else SOURCE}.jsonl.gz"
            world = read_world(source, asked.vectors)
            if name in SETS:
                world = SETS[name](world)
            tell(name, world, asked.rules, asked.seeds, asked.most_labels, asked.processes)


def tell(
    name: str, world: World, names: list[str], seeds: int, most_labels: int, processes: int
) -> None:
    """Print the lines of one file."""
    has_one_pair = bool((world.pairs == 1).all())
    rules = {each: rule(each) for each in names or (ACROSS if has_one_pair else TRIED)}
    plan = Plan(("auto", *rules), seeds, 0, most_labels)
    report = simulate(world, plan, processes=processes, rules=rules)
    for arm, measured in report.arms.items():
        cells = []
        for measure in (Measure.ACCURACY, Measure.LOG_LOSS, Measure.GOLD):
            if measure in measured:
                its = measured[measure].times.estimate
                cells.append(f"{its.mean:.2f} ({its.low:.2f} {its.high:.2f})")
            else:
                cells.append("–")
        print(f"| {name} | {arm} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
