import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from app.embedding.encoder import Encoder
from app.embedding.load import default_folder, load_encoder

LONG = " ".join(f"Sentence {i} tells about the {word} of the house." for i in range(12) for word in
                ("garden", "kitchen", "roof", "cellar", "window"))  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(None, "cpu")


@pytest.fixture(scope="module")
def model() -> SentenceTransformer:
    return SentenceTransformer(str(default_folder()), device="cpu", local_files_only=True)


def test_the_default_weights_give_the_published_similarities(encoder: Encoder) -> None:
    """The example of sentence-transformers' quick start, with the numbers it prints."""
    vectors = encoder.encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    expected = np.array([[1, 0.6660, 0.1046], [0.6660, 1, 0.1411], [0.1046, 0.1411, 1]])
    assert vectors @ vectors.T == pytest.approx(expected, abs=1e-3)


def test_a_paraphrase_is_nearer_than_another_subject(encoder: Encoder) -> None:
    question, paraphrase, recipe = encoder.encode(
        [
            "How do I reset my password?",
            "I forgot my password, how can I change it?",
            "The recipe needs two eggs and a cup of flour.",
        ]
    )
    assert question @ paraphrase > question @ recipe + 0.5


def test_texts_that_fit_the_window_have_sentence_transformers_own_vectors(
    encoder: Encoder, model: SentenceTransformer
) -> None:
    texts = ["short", "a somewhat longer text, 日本語, 🙂", LONG[:900], "", "   "]
    assert encoder.encode(texts) == pytest.approx(model.encode(texts), abs=1e-5)


def test_a_long_text_is_the_token_weighted_mean_of_its_windows(
    encoder: Encoder, model: SentenceTransformer
) -> None:
    offsets = model.tokenizer(
        LONG, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )["offset_mapping"]
    window = 256 - 2
    assert 2 * window < len(offsets) < 3 * window
    parts = [offsets[:window], offsets[window : 2 * window], offsets[2 * window :]]
    vectors = model.encode([LONG[part[0][0] : part[-1][1]] for part in parts])
    mean = np.average(vectors, axis=0, weights=[len(part) for part in parts])
    assert encoder.encode([LONG])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_long_texts_that_begin_alike_are_told_apart_by_their_ends(encoder: Encoder) -> None:
    other = LONG[:2000] + " The parliament passed a law on fishing quotas in the North Sea." * 20
    first, second = encoder.encode([LONG, other])
    assert first @ second < 0.95


def test_a_text_has_the_same_vector_whatever_batch_it_is_in(encoder: Encoder) -> None:
    texts = ["one", LONG, "two words", LONG[: len(LONG) // 2], "Explain DPO.", "x " * 300]
    together = encoder.encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    backwards = encoder.encode(texts[::-1])[::-1]
    assert (together * alone).sum(axis=1).min() > 1 - 1e-5
    assert (together * backwards).sum(axis=1).min() > 1 - 1e-5


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\u200d", "\ufffd\ufffd", "\x07\x1b", "🙂" * 900]
)
def test_odd_texts_have_unit_vectors_too(encoder: Encoder, text: str) -> None:
    vector = encoder.encode([text, "beside it"])[0]
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-6)


def test_no_texts_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimensions) == (0, 384)
