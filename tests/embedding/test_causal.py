from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from app.embedding.causal import CausalLMEncoder
from app.embedding.load import load_encoder
from tests.embedding.tiny_models import CONTEXT_TOKENS, save_causal_lm

TEXTS = [
    "the cat sat on the mat .",
    "a dog ran",
    "it was good and then it was bad and then the dog ran under the tree !",
    "the",
    "unknown words only",
]


@pytest.fixture(scope="module", params=[None, "<pad>"], ids=["no pad token", "a pad token"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal_lm(tmp_path_factory.mktemp("causal"), pad_token=request.param)


def _formula(folder: Path, text: str) -> np.ndarray:
    """REAL, section 3: the mean over the response's tokens of the last layer's hidden states."""
    tokens = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        output = AutoModelForCausalLM.from_pretrained(folder).eval()(
            input_ids=tokens[:, :CONTEXT_TOKENS], output_hidden_states=True
        )
    mean = output.hidden_states[-1][0].double().mean(dim=0)
    unit: np.ndarray = (mean / mean.norm()).numpy()
    return unit


def test_a_folder_with_a_causal_lm_gives_the_papers_embedding(folder: Path) -> None:
    encoder = load_encoder(str(folder), "cpu")
    assert isinstance(encoder, CausalLMEncoder)
    assert encoder.dimensions == 16
    vectors = encoder.encode(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        assert vector == pytest.approx(_formula(folder, text), abs=1e-5)


def test_padding_and_order_do_not_change_a_vector(folder: Path) -> None:
    encoder = load_encoder(str(folder), "cpu")
    together = encoder.encode(TEXTS)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-5)
    assert encoder.encode(TEXTS[::-1])[::-1] == pytest.approx(together, abs=1e-5)


def test_a_text_over_the_context_is_cut_there(folder: Path) -> None:
    encoder = load_encoder(str(folder), "cpu")
    cut = " ".join(["cat", "dog"] * (CONTEXT_TOKENS // 2))
    assert encoder.encode([cut + " tree tree tree"]) == pytest.approx(encoder.encode([cut]))
    assert encoder.encode([cut + " tree"])[0] == pytest.approx(_formula(folder, cut), abs=1e-5)


def test_a_text_without_tokens_has_a_unit_vector(folder: Path) -> None:
    encoder = load_encoder(str(folder), "cpu")
    vectors = encoder.encode(["", "the cat", " \n "])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0)
    assert vectors[0] @ vectors[2] == pytest.approx(1.0)


def test_many_texts_of_all_lengths_come_back_in_their_order(folder: Path) -> None:
    encoder = load_encoder(str(folder), "cpu")
    texts = [" ".join(["cat", "sat"][: 1 + i % 2] * (1 + i * 7 % 16)) for i in range(600)]
    vectors = encoder.encode(texts)
    for i in (0, 1, 299, 599):
        assert vectors[i] == pytest.approx(encoder.encode([texts[i]])[0], abs=1e-5)


def test_no_texts_give_no_vectors(folder: Path) -> None:
    assert load_encoder(str(folder), "cpu").encode([]).shape == (0, 16)
