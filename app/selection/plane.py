"""The plane on which vectors differ most: a picture of what prompts are about."""

from dataclasses import dataclass

import numpy as np

from app.selection.arrays import Float64Array, FloatArray


@dataclass(frozen=True, slots=True)
class Plane:
    """Vectors on their two principal directions."""

    coordinates: Float64Array
    """Shape ``(n, 2)``, the mean at the origin."""
    share: float | None
    """How much of the vectors' spread (the sum of their variances) the plane holds, 0 to 1.

    None where they do not differ.
    """


def principal_plane(vectors: FloatArray) -> Plane:
    """Put vectors, shape ``(n, dimensions)``, on their two principal directions (Pearson 1901).

    Each direction points to where its largest component is positive, so that the same vectors
    always give the same picture, and nearly the same ones nearly the same.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if len(rows) == 0:
        return Plane(np.zeros((0, 2)), None)
    centred = rows - rows.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred)  # in ascending order
    total = float(variances.clip(0).sum())
    if total <= np.finfo(np.float32).eps:
        return Plane(np.zeros((len(rows), 2)), None)
    largest = directions[:, ::-1][:, :2]
    largest = largest * np.sign(largest[np.abs(largest).argmax(axis=0), range(largest.shape[1])])
    coordinates = np.zeros((len(rows), 2))
    coordinates[:, : largest.shape[1]] = centred @ largest
    share = float(variances.clip(0)[-2:].sum()) / total
    return Plane(coordinates, min(share, 1.0))
