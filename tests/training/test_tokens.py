"""Our tokens are those of TRL."""

from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer

from app.training.tokens import tokenise
from tests.training.exported import pair_rows

pytestmark = pytest.mark.filterwarnings("ignore")  # trainers warn about much that is not ours


@pytest.mark.parametrize("chat", [False, True])
def test_a_pair_has_the_tokens_that_trl_gives_it(
    chat: bool, tiny_model: Path, tmp_path: Path
) -> None:
    rows = pair_rows(0, 3, chat=chat)
    trainer = DPOTrainer(
        model=str(tiny_model),
        args=DPOConfig(output_dir=str(tmp_path), use_cpu=True, report_to="none", bf16=False),
        train_dataset=Dataset.from_list(rows),
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for row, theirs in zip(rows, trainer.train_dataset, strict=True):
        for side in ("chosen", "rejected"):
            ours = tokenise(tokenizer, row["prompt"], row[side])
            assert ours.ids[: ours.start] == theirs["prompt_ids"]
            assert ours.ids[ours.start :] == theirs[f"{side}_ids"]


def test_tokens_are_cut_at_the_end(tiny_model: Path) -> None:
    tokens = tokenise(AutoTokenizer.from_pretrained(tiny_model), "Question?", " An answer")
    assert (tokens.cut(12).ids, tokens.cut(12).start) == (tokens.ids[:12], 9)
    assert (tokens.cut(4).ids, tokens.cut(4).start) == (tokens.ids[:4], 4)
