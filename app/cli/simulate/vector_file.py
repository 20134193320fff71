"""Vectors of a labelled file in an NPZ file: made elsewhere, by `embed`, or kept from last time."""

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.cli.simulate.labelled_file import Encode, FileVectors, LabelledFile, Vectors, encode_file
from app.embedding.unit import normalise
from app.errors import CommandFailed
from app.prompts.incoming import IncomingPrompt


@dataclass(frozen=True, slots=True)
class Origin:
    """What vectors were made of."""

    digest: str
    """SHA-256 of the labelled file, as it lies on disk."""
    model: str
    """The name of the encoder."""


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        CommandFailed: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error


def kept_beside(source: Path) -> Path:
    """Where the vectors of a labelled file are kept."""
    return source.with_name(f"{source.name}.vectors.npz")


def write_vectors(
    path: Path, file: LabelledFile, vectors: FileVectors, empty: Vectors, origin: Origin
) -> None:
    """Write the vectors: ``prompts``, ``questions`` and ``responses``, and what they were made of.

    ``responses`` has a row for each response that was sent, as ``load_vectors`` reads it: a
    repeated one has that of its text, an empty one ``empty``, the vector of the empty text.

    Raises:
        OSError: the file cannot be written; nothing of it is left.
    """
    rows = [
        np.stack([empty if place is None else its[place] for place in _places(line.prompt, sent)])
        for line, its, sent in zip(file.lines, vectors.responses, file.sent_responses, strict=True)
    ]
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as written:
            np.savez(
                written,
                prompts=vectors.prompts,
                questions=vectors.questions,
                responses=np.concatenate(rows),
                digest=np.array(origin.digest),
                model=np.array(origin.model),
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_kept(path: Path, file: LabelledFile, origin: Origin) -> FileVectors | None:
    """The vectors kept of this very file and model; None if there are none."""
    try:
        arrays = _arrays(path)
    except CommandFailed:
        return None
    if (arrays.get("digest"), arrays.get("model")) != (origin.digest, origin.model):
        return None
    return _of_file(path, file, arrays)


def load_vectors(file: LabelledFile, path: Path) -> FileVectors:
    """Load vectors made elsewhere: ``prompts``, a row a line, and ``responses``, a row a response.

    Rows are in the order of the file; empty and repeated responses have a row too.

    Raises:
        CommandFailed: the arrays are missing, do not fit the file, or hold no vectors.
    """
    arrays = _arrays(path)
    if file.rejected and "digest" not in arrays:
        bad = file.rejected[0]
        raise CommandFailed(
            f"--embeddings needs a file without bad lines; line {bad.line}: {bad.detail}"
        )
    return _of_file(path, file, arrays)


def encode_and_keep(
    source: Path, file: LabelledFile, encode: Encode, model: str, advance: Callable[[int], None]
) -> FileVectors:
    """Embed a file, unless its vectors lie beside it, and keep them there if the folder allows."""
    path, origin = kept_beside(source), Origin(digest_of(source), model)
    kept = read_kept(path, file, origin)
    if kept is not None:
        return kept
    vectors = encode_file(file, encode, advance)
    with contextlib.suppress(OSError):
        write_vectors(path, file, vectors, encode([""])[0], origin)
    return vectors


def _arrays(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise CommandFailed(f"{path} is not an NPZ file, as `numpy.savez` writes them.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                found: dict[str, Any] = {name: arrays[name] for name in arrays.files}
        for name in ("prompts", "responses"):
            found[name] = normalise(found[name])
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise CommandFailed(
            f"{path} holds no `prompts` and `responses` vectors: {error}"
        ) from error
    return {name: str(each) if each.ndim == 0 else each for name, each in found.items()}


def _of_file(path: Path, file: LabelledFile, arrays: dict[str, Any]) -> FileVectors:
    prompts, responses = arrays["prompts"], arrays["responses"]
    expected = len(file.lines), sum(file.sent_responses)
    if (len(prompts), len(responses)) != expected or prompts.shape[1:] != responses.shape[1:]:
        raise CommandFailed(
            f"{path} has {len(prompts)} prompts and {len(responses)} responses;"
            f" the file has {expected[0]} and {expected[1]}"
        )
    starts = np.concatenate([[0], np.cumsum(file.sent_responses)[:-1]])
    kept = [
        responses[start + np.array(_kept_positions(line.prompt))]
        for line, start in zip(file.lines, starts, strict=True)
    ]
    # Without questions, prompts are grouped as in a project with the caller's own vectors.
    return FileVectors(prompts, arrays.get("questions", prompts), kept)


def _places(prompt: IncomingPrompt, sent: int) -> list[int | None]:
    """Which kept response each sent one is; None for an empty one."""
    return [prompt.kept.kept_as.get(place) for place in range(sent)]


def _kept_positions(prompt: IncomingPrompt) -> list[int]:
    """For each kept response, the position at which its text was first sent."""
    first = {kept: sent for sent, kept in sorted(prompt.kept.kept_as.items(), reverse=True)}
    return [first[number] for number in range(len(prompt.responses))]
