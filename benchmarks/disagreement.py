"""Do people disagree more on similar pairs? The minority's share of the votes, by similarity.

    python -m benchmarks.disagreement FILE [--embeddings FILE.npz]

Pairs with two votes or more are sorted by the cosine of their responses into fifths. A pair's
minority share is the smaller of its votes for the first and for the second response, over both;
ties are counted apart. 95% intervals by bootstrap over prompts.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.cli.simulate.labelled_file import encode_file, read_labelled_file
from app.cli.simulate.vector_file import load_vectors
from app.selection.pair_grid import pair_similarities
from app.selection.simulation.world import FIRST, SECOND, TIE, World

FIFTHS = 5
REPLICATES = 1000


def main() -> None:
    """Print a row for each fifth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--embeddings", type=Path)
    asked = parser.parse_args()
    file = read_labelled_file(asked.file)
    if asked.embeddings is None:
        from app.embedding.load import load_encoder  # noqa: PLC0415 - takes seconds to load

        vectors = encode_file(file, load_encoder(None, None).encode, lambda _: None)
    else:
        vectors = load_vectors(file, asked.embeddings)
    _print_fifths(*_pairs(file.world(vectors)))


def _pairs(world: World) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Prompt ``(pairs,)``, cosine ``(pairs,)`` and votes ``(pairs, 3)``, of several votes each."""
    owners, cosines, votes = [], [], []
    for number, prompt in enumerate(world.prompts):
        several = prompt.votes.sum(axis=1) >= 2
        owners.append(np.full(int(several.sum()), number))
        cosines.append(pair_similarities(prompt.responses[None])[0][several].astype(np.float64))
        votes.append(prompt.votes[several])
    return np.concatenate(owners), np.concatenate(cosines), np.concatenate(votes)


def _print_fifths(
    owners: NDArray[np.int64], cosines: NDArray[np.float64], votes: NDArray[np.int64]
) -> None:
    minority = np.minimum(votes[:, FIRST], votes[:, SECOND])
    judged = votes[:, FIRST] + votes[:, SECOND]
    fifth = np.argsort(np.argsort(cosines, kind="stable"), kind="stable") * FIFTHS // len(cosines)
    rng = np.random.default_rng(0)
    prompts = int(owners.max()) + 1
    weights = rng.multinomial(prompts, np.full(prompts, 1 / prompts), size=REPLICATES)
    print(f"{len(cosines)} pairs of several votes, {int(votes.sum())} votes")
    for number in range(FIFTHS):
        mine = fifth == number
        share = minority[mine].sum() / judged[mine].sum()
        drawn = weights[:, owners[mine]]
        spread = (drawn @ minority[mine]) / (drawn @ judged[mine])
        low, high = np.percentile(spread, (2.5, 97.5))
        ties = votes[mine, TIE].sum() / votes[mine].sum()
        print(
            f"cosine {cosines[mine].min():.3f} to {cosines[mine].max():.3f}:"
            f" minority {share:.3f} ({low:.3f} {high:.3f}), ties {ties:.3f}"
        )


if __name__ == "__main__":
    main()
