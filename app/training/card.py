"""The card of a trained model, as the Hugging Face Hub displays it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.training.build import Job

CARD: Final = "README.md"
_TOLD: Final = {
    "eval_loss": "loss",
    "eval_rewards/accuracies": "implicit-reward accuracy",
    "eval_rewards/margins": "implicit-reward margin",
    "eval_accuracy": "accuracy",
    "eval_order/accuracies": "neighbours in the right order",
}


def model_card(job: Job, record: Mapping[str, Any]) -> str:
    """The card: what was trained from what, on which data, and how."""
    loss, data = job.loss, job.data
    name = Path(job.model).name
    paper = (
        f"[arXiv {loss.paper}](https://arxiv.org/abs/{loss.paper})" if loss.paper else "no paper"
    )
    lines = [
        "---",
        f"base_model: {json.dumps(name if Path(job.model).exists() else job.model)}",
        "library_name: transformers",
        "tags:",
        "- annotation-budget",
        "- trl",
        f"- {loss.name}",
        "---",
        "",
        f"# {name}, trained by `{loss.name}`",
        "",
        f"{loss.description}: {paper}.",
        "",
        "## Data",
        "",
        f"Recipe `{data.recipe or 'none'}` of the project `{data.project or 'unknown'}`.",
        f"{len(data.train)} rows to train on.",
        f"SHA-256 of its {'manifest' if data.recipe else 'file'}: `{data.sha256}`.",
    ]
    if record["rows_left_out"]:
        lines.append(
            f"{record['rows_left_out']} of them were left out: their prompts fill"
            f" {job.settings.max_length} tokens."
        )
    if data.changed:
        lines.append(f"Changed since the export: {', '.join(data.changed)}.")
    lines += ["", "## Settings", "", "| setting | value | from |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {value} | {source} |" for name, value, source in job.resolved.as_rows()
    ]
    figures = {
        label: record["figures"][key] for key, label in _TOLD.items() if key in record["figures"]
    }
    if figures:
        lines += ["", "## On the test split", "", "| figure | value |", "|---|---|"]
        lines += [f"| {label} | {value:.4f} |" for label, value in figures.items()]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    return "\n".join([*lines, "", f"Trained with {versions}.", ""])
