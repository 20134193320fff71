"""What stands between a rendered prompt and its answer: which end keeps the border of the tokens.

    python -m benchmarks.seam ../shared/data/multi-*.jsonl.gz

A trainer that is given strings tokenises the prompt, and then prompt and answer together. Where the
tokens of the first do not begin those of the second, the answer does not begin where the trainer
thinks. Three kinds of tokeniser are trained on the files' own texts, with the rules by which known
models split text before they merge: GPT-2 (SmolLM2, OLMo), cl100k (Llama 3, Qwen) and
SentencePiece (Llama 2, Mistral). For each end of the prompt: the share of answers with a border.
"""

import argparse
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from app.prompts.text import render_prompt

ENDS = {"nothing": "", "a space": " ", "a line break": "\n"}
_CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTES = pre_tokenizers.ByteLevel.alphabet()


def kinds() -> dict[str, tuple[Any, list[str]]]:
    """How each kind splits text before it merges, and the characters that it knows from the start.

    The library has no types.
    """
    cl100k = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CL100K), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    # A line break is a byte of its own there, which is never merged.
    lines = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", behavior="isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="first"),
        ]
    )
    return {
        "GPT-2": (pre_tokenizers.ByteLevel(add_prefix_space=False), _BYTES),
        "cl100k": (cl100k, _BYTES),
        "SentencePiece": (lines, []),
    }


def train(splitter: Any, alphabet: list[str], texts: Sequence[str], size: int) -> Tokenizer:
    """A byte-pair tokeniser of that many tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, show_progress=False, max_token_length=16
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def read(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The prompts of a file as chats, rendered without a cue, and the answers to each."""
    with gzip.open(path) as lines:
        for line in lines:
            row = orjson.loads(line)
            chat = row["prompt"]
            if isinstance(chat, str):
                chat = [{"role": "user", "content": chat}]
            yield render_prompt(chat), [each["text"] for each in row["responses"]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--tokens", type=int, default=16_000)
    options = parser.parse_args()
    rows = [row for path in options.files for row in read(path)]
    texts = [text for prompt, answers in rows for text in (prompt, *answers)]
    answers = sum(len(answers) for _, answers in rows)
    print(f"{len(rows)} prompts, {answers} answers")
    for name, (splitter, alphabet) in kinds().items():
        tokenizer = train(splitter, alphabet, texts, options.tokens)
        for end, characters in ENDS.items():
            kept = 0
            for prompt, its_answers in rows:
                start = f"{prompt}\n\nassistant:{characters}"
                alone = tokenizer.encode(start).ids
                for answer in its_answers:
                    kept += tokenizer.encode(start + answer).ids[: len(alone)] == alone
            print(f"{name:14} {end:14} {kept / answers:.1%}")


if __name__ == "__main__":
    main()
