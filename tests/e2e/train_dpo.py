"""Load dataset files with `datasets` and train TRL's DPOTrainer on each for two steps.

A script of its own: trainers warn about much that is not ours. Its last line is a JSON object,
from the name of each file to what came of it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

STEPS = 2
END = "<|end|>"
CHAT_TEMPLATE = (
    "{% if tools %}{{ 'tools: ' + tools | tojson }}<|end|>{% endif %}"
    "{% for turn in messages %}{{ turn['role'] + ': ' + (turn['content'] or '') }}"
    # As the template of Llama 3.1: a field that is there must not be null.
    "{% if 'tool_calls' in turn %}{% for call in turn.tool_calls %}"
    "{{ call.function.name + (call.function.arguments | tojson) }}{% endfor %}{% endif %}"
    "<|end|>{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def save_tiny_model(folder: Path) -> None:
    """A random Llama of two layers and a tokenizer of bytes, saved as a model folder."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([END, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def train_two_steps(
    make_arguments: Any, make_trainer: Any, dataset_file: Path, model: Path, work: Path
) -> tuple[Dataset, Any]:
    """Train on the file as the service wrote it: its rows, and TRL's trainer after that."""
    kind = "parquet" if dataset_file.suffix == ".parquet" else "json"
    rows = load_dataset(kind, data_files=str(dataset_file), split="train", cache_dir=str(work))
    arguments = make_arguments(
        output_dir=str(work / "out"),
        max_steps=STEPS,
        per_device_train_batch_size=4,
        max_length=None,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        logging_steps=1,
    )
    trainer = make_trainer(model=str(model), args=arguments, train_dataset=rows)
    trainer.train()
    return rows, trainer


def report(rows: Dataset, trainer: Any) -> dict[str, Any]:
    """What came of a training."""
    return {
        "rows": len(rows),
        "columns": rows.column_names,
        "first": rows[0],
        "trainable": len(trainer.train_dataset),
        "steps": trainer.state.global_step,
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
    }


def main() -> None:
    """`train_dpo.py WORK_FOLDER FILE...`"""
    work = Path(sys.argv[1])
    save_tiny_model(work / "model")
    found = {}
    for name in sys.argv[2:]:
        file = Path(name)
        trained = train_two_steps(
            DPOConfig, DPOTrainer, file, work / "model", work / f"{file.name}.work"
        )
        found[file.name] = report(*trained)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
