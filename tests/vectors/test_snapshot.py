from pathlib import Path

import numpy as np
import pytest

from app.vectors import index as index_module
from app.vectors import snapshot
from app.vectors.index import VectorIndex
from app.vectors.marks import Mark, Position
from tests.vectors.test_index import unit

MARK = Mark(Position(2**40, 7), Position(12, 3))


@pytest.fixture(params=[100, 1_000_000], ids=["inverted", "flat"])
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> VectorIndex:
    monkeypatch.setattr(index_module, "FLAT_LIMIT", request.param)
    index = VectorIndex(32)
    index.add(np.arange(4000), unit(np.random.default_rng(1), 4000))
    return index


def test_what_was_saved_is_loaded(index: VectorIndex, tmp_path: Path) -> None:
    path = tmp_path / "index" / "1.faiss"
    snapshot.save(path, index, MARK, owner="me")

    loaded = snapshot.load(path, owner="me", dimensions=32)

    assert loaded is not None
    assert loaded.mark == MARK
    np.testing.assert_array_equal(index.ids(), loaded.index.ids())
    queries = unit(np.random.default_rng(2), 20)
    for expected, found in zip(
        index.search(queries, 5), loaded.index.search(queries, 5), strict=True
    ):
        np.testing.assert_array_equal(expected, found)


def test_a_loaded_index_can_be_changed(index: VectorIndex, tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    snapshot.save(path, index, MARK, owner="me")
    loaded = snapshot.load(path, owner="me", dimensions=32)
    assert loaded is not None

    loaded.index.remove(np.arange(10))
    loaded.index.add(np.arange(3990, 4010), unit(np.random.default_rng(3), 20))

    assert loaded.index.ids().tolist() == list(range(10, 4010))


def test_a_file_cut_short_or_changed_anywhere_is_not_loaded(
    index: VectorIndex, tmp_path: Path
) -> None:
    path = tmp_path / "1.faiss"
    snapshot.save(path, index, MARK, owner="me")
    whole = path.read_bytes()

    for length in (0, 1, 40, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert snapshot.load(path, owner="me", dimensions=32) is None
    for place in (0, 30, 100, len(whole) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert snapshot.load(path, owner="me", dimensions=32) is None


def test_a_missing_file_another_owners_or_one_of_other_dimensions_is_not_loaded(
    index: VectorIndex, tmp_path: Path
) -> None:
    path = tmp_path / "1.faiss"
    snapshot.save(path, index, MARK, owner="me")

    assert snapshot.load(tmp_path / "2.faiss", owner="me", dimensions=32) is None
    assert snapshot.load(path, owner="you", dimensions=32) is None
    assert snapshot.load(path, owner="me", dimensions=33) is None
    assert snapshot.load(tmp_path, owner="me", dimensions=32) is None


def test_deleting_leaves_nothing_of_an_interrupted_save(tmp_path: Path) -> None:
    path = tmp_path / "1.faiss"
    snapshot.save(path, VectorIndex(4), MARK, owner="me")
    (tmp_path / "1.faiss.unfinished").write_bytes(b"half")

    snapshot.delete(path)

    assert list(tmp_path.iterdir()) == []
