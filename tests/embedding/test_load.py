import shutil
import socket
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from app.embedding.load import ModelUnusable, default_folder, load_default, load_encoder
from app.embedding.sentence import SentenceEncoder
from tests.embedding.tiny_models import save_causal_lm


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_the_default_weights_load_without_a_network(no_network: None) -> None:
    encoder = load_encoder(None, "cpu")
    assert encoder.name == "all-MiniLM-L6-v2@sha256:53aa51172d142c89"
    assert encoder.dimensions == 384


def test_default_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(default_folder(), folder)
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.seek(-1, 2)
        last = weights.read(1)
        weights.seek(-1, 2)
        weights.write(bytes([last[0] ^ 1]))
    with pytest.raises(ModelUnusable, match="SHA-256"):
        load_default(folder, "cpu")


def test_a_local_folder_of_sentence_transformers_is_used_as_one(no_network: None) -> None:
    encoder = load_encoder(str(default_folder()), "cpu")
    assert isinstance(encoder, SentenceEncoder)
    assert encoder.encode(["same"]) == pytest.approx(load_encoder(None, "cpu").encode(["same"]))


def test_a_causal_lm_folder_loads_without_a_network(tmp_path: Path, no_network: None) -> None:
    assert load_encoder(str(save_causal_lm(tmp_path)), "cpu").dimensions == 16


def test_the_name_of_a_local_model_changes_with_its_weights(tmp_path: Path) -> None:
    folder = save_causal_lm(tmp_path / "tiny")
    before = load_encoder(str(folder), "cpu")
    again = load_encoder(str(folder), "cpu")
    with (folder / "model.safetensors").open("r+b") as weights:
        weights.seek(-4, 2)
        weights.write(np.float32(0.25).tobytes())
    after = load_encoder(str(folder), "cpu")
    assert before.name == again.name
    assert before.name.startswith("tiny@sha256:")
    assert after.name != before.name


def test_a_folder_without_a_model_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="EMBEDDING_MODEL"):
        load_encoder(str(tmp_path), "cpu")


def test_weights_cut_short_are_refused_in_words(tmp_path: Path) -> None:
    weights = save_causal_lm(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelUnusable, match="EMBEDDING_MODEL"):
        load_encoder(str(tmp_path), "cpu")


def test_a_device_that_is_not_there_is_refused_in_words() -> None:
    with pytest.raises(ModelUnusable):
        load_encoder(None, "no-such-device")


def test_a_model_that_brings_its_own_code_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "own", "architectures": ["OwnForCausalLM"],'
        ' "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}'
    )
    (tmp_path / "own.py").write_text("raise SystemExit('ran code of the model')")
    with pytest.raises(ModelUnusable):
        load_encoder(str(tmp_path), "cpu")
