"""Folders as `export` writes them, with made-up rows that have every column of every loss."""

import hashlib
import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TRAIN_ROWS, TEST_ROWS = 8, 4


def pair_rows(first: int, count: int, *, chat: bool) -> list[Row]:
    """Pairs, with the numbers and third responses that losses read."""
    return [_pair(number, chat=chat) for number in range(first, first + count)]


def _pair(number: int, *, chat: bool) -> Row:
    texts = {
        "chosen": f"good answer about planets number {number}",
        "rejected": f"poor reply number {number}",
        "reference_response": f"our own words {number}",
        "reference": f"the best answer about planets {number}",
    }
    prompt = f"Question {number}?"
    said: Row = {"prompt": prompt, **texts}
    if chat:
        said = {name: [{"role": "assistant", "content": text}] for name, text in texts.items()}
        said["prompt"] = [{"role": "user", "content": prompt}]
    return said | {
        "weight": 0.5 + number % 2,
        "reward_gap": 0.3 * number - 1,
        "margin": float(number - 2),
        "confidence": 0.6 + 0.03 * number,
        "tie": number % 3 == 0,
        "overall_score_chosen": 1.0,
        "overall_score_rejected": 0.0,
    }


def response_rows(first: int, count: int, *, chat: bool) -> list[Row]:
    """Single responses, for KTO."""
    rows = []
    for pair in pair_rows(first, count, chat=chat):
        rows.append({"prompt": pair["prompt"], "completion": pair["chosen"], "label": True})
        rows.append({"prompt": pair["prompt"], "completion": pair["rejected"], "label": False})
    return rows


def ranking_rows(first: int, count: int) -> list[Row]:
    """Rankings of two to four responses, for PRO."""
    return [
        {
            "meta": {"prompt_id": f"p{number}", "prompt_external_id": None, "roles": None},
            "prefix": [[f"<|prompter|>Question {number}?", "<|assistant|>"]] * (2 + number % 3),
            "suffix": [f"answer {place} of {number}" for place in range(2 + number % 3)],
            "reward": [1.0 - 0.5 * place for place in range(2 + number % 3)],
            "sft_index": 0,
        }
        for number in range(first, first + count)
    ]


def rows_of(recipe: str, first: int, count: int, *, chat: bool) -> list[Row]:
    """Rows in the columns of a recipe (of pairs: with more columns than that)."""
    if recipe == "kto":
        return response_rows(first, count, chat=chat)
    if recipe == "ranking":
        return ranking_rows(first, count)
    return pair_rows(first, count, chat=chat)


def write_folder(folder: Path, recipe: str, *, chat: bool = False) -> Path:
    """A folder with train, test and manifest."""
    folder.mkdir(parents=True)
    files = []
    for split, first, count in (("train", 0, TRAIN_ROWS), ("test", TRAIN_ROWS, TEST_ROWS)):
        rows = rows_of(recipe, first, count, chat=chat)
        content = "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / f"{split}.jsonl").write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        files.append({"name": f"{split}.jsonl", "sha256": digest})
    manifest = {"recipe": {"name": recipe}, "project": {"name": "p"}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
