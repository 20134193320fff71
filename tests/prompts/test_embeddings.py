from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import TypeAdapter

from app.embedding.unit import mean_direction, normalise
from app.prompts.embeddings import Embedding, SentVectors, unit_vectors
from tests.prompts.sending import in_base64

_numbers = st.floats(-4, 4, width=32).filter(lambda number: number == 0 or abs(number) > 1e-3)
_field: TypeAdapter[Any] = TypeAdapter(Embedding)


@st.composite
def _prompts(draw: st.DrawFn) -> SentVectors:
    dimensions = draw(st.integers(1, 4))
    vectors = arrays(np.float32, dimensions, elements=_numbers).filter(lambda each: each.any())
    responses = draw(st.lists(vectors, max_size=4))
    return SentVectors(draw(st.none() | vectors) if responses else None, responses)


@pytest.mark.slow
@given(st.lists(_prompts(), max_size=8))
def test_all_at_once_gives_what_one_by_one_gives(prompts: list[SentVectors]) -> None:
    found = unit_vectors(prompts)

    assert len(found) == len(prompts)
    for sent, unit in zip(prompts, found, strict=True):
        if not sent.responses:
            assert unit is None
            continue
        assert unit is not None
        each = normalise(np.stack(sent.responses))
        np.testing.assert_allclose(unit.responses, each, atol=1e-6)
        if sent.prompt is not None:
            np.testing.assert_allclose(unit.prompt, normalise(sent.prompt), atol=1e-6)
        elif np.linalg.norm(each.mean(axis=0)) > 0.01:
            np.testing.assert_allclose(unit.prompt, mean_direction(each), atol=1e-4)


def test_opposite_responses_have_the_direction_of_the_first() -> None:
    first = np.array([0.6, 0.8], dtype=np.float32)

    (unit,) = unit_vectors([SentVectors(None, [first, -first])])

    assert unit is not None
    np.testing.assert_allclose(unit.prompt, first, atol=1e-6)


@pytest.mark.parametrize(
    "sent",
    [
        [3, 4],
        [3e200, 4e200],
        [3e-200, 4e-200],
        [0.0, 1.0, 0.0],
        in_base64(3, 4),
        in_base64(3e37, 4e37),
        in_base64(3e-38, 4e-38),
    ],
)
def test_numbers_of_any_size_keep_their_direction(sent: Any) -> None:
    taken = _field.validate_python(sent)

    (unit,) = unit_vectors([SentVectors(None, [taken])])

    assert unit is not None
    expected = [0, 1, 0] if len(taken) == 3 else [0.6, 0.8]
    np.testing.assert_allclose(unit.responses, [expected], rtol=1e-3)
