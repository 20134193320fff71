"""A searchable set of unit vectors, each under an id."""

import threading
from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]

FLAT_LIMIT = 32_768
"""Up to this many vectors the search is exact."""

_LISTS_AT_MOST = 2048
_PROBES = 64
_GROWTH = 4
_TRAINING_VECTORS_PER_LIST = 64
_TRAINING_ROUNDS = 10
_CHUNK = 65_536


class VectorIndex:
    """Unit vectors under ids, searched by cosine. Threads may share it: it has a lock.

    Up to ``FLAT_LIMIT`` vectors: exact, float32, some 0.25 ms a query (384 dimensions, one core).
    Above that: an inverted file of min(4·√n, 2048) lists in float16. It searches 64 of them, and is
    trained again when the index has grown fourfold. Measured recall of a near-duplicate at
    cosine 0.95, 1000 queries: 1.000 among 40,000 and among 160,000 vectors, both drawn uniformly
    from the sphere (the worst case) and in clusters, at 0.1 and 0.25 ms a query; with 16 lists
    searched it was 0.993 for 160,000 uniform ones. HNSW is no alternative: it cannot remove.
    """

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self.lock = threading.RLock()
        self._known: set[int] = set()
        self.faiss: Any = faiss.IndexIDMap(faiss.IndexFlatIP(dimensions))
        self._retrain_above = FLAT_LIMIT

    def __len__(self) -> int:
        return len(self._known)

    def ids(self) -> Ids:
        """All ids, rising: ``(n,)``."""
        return np.sort(np.fromiter(self._known, dtype=np.int64, count=len(self._known)))

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Add vectors, ``(n, dimensions)``; an id that the index has keeps its vector."""
        with self.lock:
            fresh = {
                number: row
                for row, number in reversed(list(enumerate(ids.tolist())))
                if number not in self._known
            }
            if fresh:
                rows = list(fresh.values())
                self.faiss.add_with_ids(np.ascontiguousarray(vectors[rows]), ids[rows])
                self._known.update(fresh)
            if len(self) > self._retrain_above:
                self._retrain()

    def remove(self, ids: Ids) -> None:
        """Remove those of the ids, ``(n,)``, that the index has."""
        with self.lock:
            present = self._known.intersection(ids.tolist())
            if present:
                self.faiss.remove_ids(np.fromiter(present, dtype=np.int64, count=len(present)))
                self._known -= present

    def search(self, vectors: Vectors, limit: int) -> tuple[Vectors, Ids]:
        """The nearest vectors to each of ``(queries, dimensions)``.

        Returns:
            Cosines and ids, ``(queries, limit)`` each, nearest first; id -1 and cosine -inf where
            there are fewer.
        """
        if not len(vectors) or not len(self):
            shape = (len(vectors), limit)
            return np.full(shape, -np.inf, dtype=np.float32), np.full(shape, -1, dtype=np.int64)
        with self.lock:
            similarities, ids = self.faiss.search(np.ascontiguousarray(vectors), limit)
        return np.where(ids < 0, np.float32(-np.inf), similarities), ids

    @classmethod
    def of_structure(cls, structure: Any) -> "VectorIndex":
        """The index around the FAISS index of a snapshot."""
        index = cls(structure.d)
        index.faiss = structure
        index._known = {number for ids, _ in _stored(structure) for number in ids.tolist()}
        if isinstance(structure, faiss.IndexIVF):
            structure.nprobe = _PROBES
            index._retrain_above = _next_training(structure.nlist)
        return index

    def _retrain(self) -> None:
        lists = min(int(4 * np.sqrt(len(self))), _LISTS_AT_MOST)
        # FAISS' k-means depends on the order of its input.
        chosen = self.ids()[:: max(1, len(self) // (lists * _TRAINING_VECTORS_PER_LIST))]
        trained = _inverted(self.dimensions, lists)
        trained.train(self._vectors_of(chosen))
        for ids, vectors in _stored(self.faiss):
            trained.add_with_ids(vectors, ids)
        self.faiss = trained
        self._retrain_above = _next_training(lists)

    def _vectors_of(self, ids: Ids) -> Vectors:
        """The vectors of rising ids that the index has: ``(n, dimensions)``."""
        found = np.empty((len(ids), self.dimensions), dtype=np.float32)
        for stored, vectors in _stored(self.faiss):
            rows = np.flatnonzero(np.isin(stored, ids))
            found[np.searchsorted(ids, stored[rows])] = vectors[rows]
        return found


def _next_training(lists: int) -> int:
    """Train again above this size; never once the number of lists is at its largest."""
    if lists >= _LISTS_AT_MOST:
        return int(np.iinfo(np.int64).max)
    return _GROWTH * (lists // 4) ** 2


def _inverted(dimensions: int, lists: int) -> Any:
    quantizer = faiss.IndexFlatIP(dimensions)
    half = faiss.ScalarQuantizer.QT_fp16
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFScalarQuantizer(quantizer, dimensions, lists, half, metric, False)
    index.cp.spherical = True
    index.cp.niter = _TRAINING_ROUNDS
    index.cp.max_points_per_centroid = 2 * _TRAINING_VECTORS_PER_LIST
    index.nprobe = _PROBES
    return index


def _stored(structure: Any) -> Iterator[tuple[Ids, Vectors]]:
    """Everything in a FAISS index, in parts: ids ``(n,)`` and vectors ``(n, dimensions)``."""
    if isinstance(structure, faiss.IndexIVF):
        yield from _stored_in_lists(structure)
        return
    ids = faiss.vector_to_array(structure.id_map)
    inner = faiss.downcast_index(structure.index)
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        yield part, inner.reconstruct_n(start, len(part))


def _stored_in_lists(structure: Any) -> Iterator[tuple[Ids, Vectors]]:
    lists = structure.invlists
    for number in range(structure.nlist):
        size = lists.list_size(number)
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
            codes = faiss.rev_swig_ptr(lists.get_codes(number), size * structure.code_size)
            halves = codes.view("<f2").reshape(size, structure.d)
            yield ids, halves.astype(np.float32)
