"""Read a labelled file, in any format that `import` reads, as the input of a simulation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.embedding.style import style_of
from app.embedding.unit import mean_direction
from app.errors import CommandFailed
from app.formats.format import Preference
from app.imports.files.sources import json_source, opened
from app.imports.line_splitter import Line
from app.imports.lines import GoodLine, read_lines
from app.imports.schemas import RejectedLine
from app.imports.stream_splitter import StreamSplitter
from app.prompts.incoming import IncomingPrompt
from app.prompts.question import question
from app.prompts.text import render_prompt
from app.selection.cost import count_words
from app.selection.pair_grid import column_of, pair_count
from app.selection.simulation.world import FIRST, SECOND, TIE, LabelledPrompt, World, make_world
from app.settings import MAX_LINE_BYTES

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""From texts to unit vectors, ``(texts, dimensions)``."""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """The lines of a file that hold a prompt with two responses or more."""

    lines: Sequence[GoodLine]
    rejected: Sequence[RejectedLine]
    sent_responses: Sequence[int]
    """How many responses each of ``lines`` was sent with, dropped ones included."""

    @property
    def pairs(self) -> NDArray[np.int64]:
        """How many pairs with votes each prompt that has any has: ``(prompts,)``."""
        votes = [_votes(line.preferences, len(line.prompt.responses)) for line in self.lines]
        pairs = np.array([int((each.sum(axis=1) > 0).sum()) for each in votes], dtype=np.int64)
        return pairs[pairs > 0]

    def world(self, vectors: "FileVectors") -> World:
        """The file as arrays.

        Raises:
            CommandFailed: no prompt has a preference.
        """
        prompts = [
            LabelledPrompt(
                embedding=vectors.prompts[number],
                question=vectors.questions[number],
                responses=vectors.responses[number],
                votes=_votes(line.preferences, len(line.prompt.responses)),
                gold=_gold(line.prompt),
                words=np.array([count_words(each.rendered) for each in line.prompt.responses]),
                style=style_of([each.rendered for each in line.prompt.responses]),
            )
            for number, line in enumerate(self.lines)
        ]
        try:
            return make_world(prompts)
        except ValueError as error:
            raise CommandFailed(f"Nothing to simulate: {error}.") from error


@dataclass(frozen=True, slots=True)
class FileVectors:
    """The unit vectors of a file's prompts and of the responses kept of each."""

    prompts: Vectors
    questions: Vectors
    """Of what the prompts ask, by which they are grouped."""
    responses: Sequence[Vectors]


def read_labelled_file(path: Path) -> LabelledFile:
    """Read a file of any kind and format that `import` knows.

    Raises:
        CommandFailed: it cannot be read, or no line of it can.
    """
    lines, refused = _lines(path)
    good, bad = read_lines(lines)
    bad = sorted([*refused, *bad], key=lambda each: each.line)
    if not good:
        reason = f" ({bad[0].detail})" if bad else ""
        raise CommandFailed(f"{path} has no line that can be read{reason}.")
    sent = [len(line.prompt.responses) + len(line.prompt.kept.dropped) for line in good]
    return LabelledFile(good, bad, sent)


def encode_file(file: LabelledFile, encode: Encode, advance: Callable[[int], None]) -> FileVectors:
    """Embed the texts of a file; ``advance`` is called with the number of texts in each batch."""
    texts = [texts_to_embed(line.prompt) for line in file.lines]
    vectors = _encode_sorted(list(chain.from_iterable(texts)), encode, advance)
    prompts, questions, responses, at = [], [], [], 0
    for line, its_texts in zip(file.lines, texts, strict=True):
        of_text = dict(zip(its_texts, vectors[at : at + len(its_texts)], strict=True))
        content = line.prompt.content
        prompts.append(of_text[render_prompt(content)])
        questions.append(mean_direction(np.stack([of_text[text] for text in question(content)])))
        responses.append(np.stack([of_text[each.rendered] for each in line.prompt.responses]))
        at += len(its_texts)
    return FileVectors(np.stack(prompts), np.stack(questions), responses)


def texts_to_embed(prompt: IncomingPrompt) -> list[str]:
    """The prompt, its responses and what it asks, each text once."""
    responses = [response.rendered for response in prompt.responses]
    return list(
        dict.fromkeys([render_prompt(prompt.content), *responses, *question(prompt.content)])
    )


def _lines(path: Path) -> tuple[list[Line], list[RejectedLine]]:
    """The lines of a file, and the rows that cannot be read for sure."""
    splitter = StreamSplitter(MAX_LINE_BYTES)
    with opened(path) as (file, _):
        source = json_source(file, path)
        lines = [line for chunk in source for line in splitter.feed(chunk)]
    return [*lines, *splitter.finish()], source.refused.told


def _encode_sorted(texts: Sequence[str], encode: Encode, advance: Callable[[int], None]) -> Vectors:
    """Encode in order of length, so that the texts of a batch are about equally long."""
    order = sorted(range(len(texts)), key=lambda number: (len(texts[number]), number))
    parts = []
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        parts.append(encode([texts[number] for number in batch]))
        advance(len(batch))
    return np.concatenate(parts)[np.argsort(order)]


def _votes(preferences: Sequence[Preference], responses: int) -> NDArray[np.int64]:
    votes = np.zeros((pair_count(responses), 3), dtype=np.int64)
    for each in preferences:
        low, high = sorted(each.responses)
        choice = TIE if each.preferred is None else FIRST if each.preferred == low else SECOND
        votes[column_of(low, high, responses), choice] += 1
    return votes


def _gold(prompt: IncomingPrompt) -> NDArray[np.float64] | None:
    # numpy reads None as NaN.
    scores = np.array([response.score for response in prompt.responses], dtype=np.float64)
    return None if np.isnan(scores).all() else scores
