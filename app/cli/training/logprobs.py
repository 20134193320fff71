"""What `logprobs` does: read responses from the service, score them, send the numbers back."""
# ruff: noqa: PLC0415 - the libraries are checked before they are imported

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import httpx
import typer

from app.cli.training.run import check_extra, one_of, progress_bar
from app.cli.transfer.service import get, raise_for_refusal, stored_prompts
from app.errors import CommandFailed
from app.exports.recipes.contrastive import MADE_BY, contrast
from app.formats.tool_calls import render_response
from app.settings import MAX_EXTERNAL_ID_CHARACTERS

_PROMPTS_AT_ONCE: Final = 16


@dataclass(slots=True)
class _Counts:
    scored: int = 0
    there: int = 0
    too_long: int = 0
    labelled: int = 0


def run_logprobs(
    client: httpx.Client,
    project: str,
    model: str,
    *,
    about: str,
    good: str | None,
    bad: str | None,
    again: bool,
    label: bool,
    max_length: int,
    device: str,
) -> None:
    """Score the responses of a project that have no numbers of this model and these prompts.

    With ``label``, each prompt also gets an automatic label: its best response above its worst.
    """
    check_extra()
    from app.training.build import load_causal_model, load_tokenizer, place
    from app.training.contrast import (
        AUTHORS,
        best_and_worst,
        contrast_metadata,
        own_contrast,
    )
    from app.training.settings import Device

    if (good is None) != (bad is None):
        raise CommandFailed("--good and --bad go together")
    if good is not None and bad is not None:
        prompts_used = own_contrast(good, bad)
    elif about in AUTHORS:
        prompts_used = AUTHORS[about]
    else:
        raise CommandFailed(f"--about {about}: must be one of {', '.join(AUTHORS)}")
    where = place(one_of(Device, "--device", device))
    project_view = get(client, f"/projects/{project}")
    tokenizer = load_tokenizer(model)
    loaded = load_causal_model(model).to(where).eval()
    made_by = f"{model} {prompts_used.name}"
    counts = _Counts()
    with progress_bar() as bar:
        task = bar.add_task("Prompts", total=project_view["counts"]["prompts"])
        stored = stored_prompts(client, project)
        while prompts := list(islice(stored, _PROMPTS_AT_ONCE)):
            wanted = [
                (prompt, response)
                for prompt in prompts
                for response in prompt["responses"]
                if again or (response["metadata"] or {}).get(MADE_BY) != made_by
            ]
            found = contrast_metadata(
                loaded,
                tokenizer,
                prompts_used,
                [(prompt["prompt"], _said(response)) for prompt, response in wanted],
                max_length=max_length,
            )
            new: dict[str, list[dict[str, Any]]] = {}
            for (prompt, response), numbers in zip(wanted, found, strict=True):
                if numbers is not None:
                    metadata = {**numbers, MADE_BY: made_by}
                    entry = {"id": response["id"], "metadata": metadata}
                    new.setdefault(prompt["id"], []).append(entry)
                    response["metadata"] = {**(response["metadata"] or {}), **metadata}
            for prompt_id, responses in new.items():
                body = {"responses": responses}
                raise_for_refusal(client.patch(f"/prompts/{prompt_id}/responses", json=body))
            if label:
                decided = [
                    (prompt["id"], best_and_worst(_rewards(prompt, made_by))) for prompt in prompts
                ]
                counts.labelled += _label(client, made_by, decided)
            counts.scored += sum(map(len, new.values()))
            counts.too_long += found.count(None)
            counts.there += sum(len(each["responses"]) for each in prompts) - len(wanted)
            bar.advance(task, len(prompts))
    typer.echo(f"{counts.scored} responses scored, {counts.there} had their numbers already.")
    if label:
        typer.echo(f"{counts.labelled} prompts have an automatic label.")
    if counts.too_long:
        typer.echo(
            f"{counts.too_long} responses were left out: with their prompt they are longer than"
            f" --max-length {max_length}.",
            err=True,
        )


def _rewards(prompt: dict[str, Any], made_by: str) -> dict[str, float]:
    """The reward of each response that this model and these prompts have scored, by its id."""
    return {
        each["id"]: reward
        for each in prompt["responses"]
        if (each["metadata"] or {}).get(MADE_BY) == made_by
        and (reward := contrast(each["metadata"])) is not None
    }


def _label(
    client: httpx.Client, annotator: str, decided: Sequence[tuple[str, tuple[str, str] | None]]
) -> int:
    """Store an automatic label for each prompt that has a best and a worst response."""
    labels = [
        {
            "prompt_id": prompt_id,
            "preferred": sides[0],
            "rejected": sides[1],
            "annotator": annotator[-MAX_EXTERNAL_ID_CHARACTERS:],
            "automatic": True,
        }
        for prompt_id, sides in decided
        if sides is not None
    ]
    if labels:
        raise_for_refusal(client.post("/labels", json={"labels": labels}))
    return len(labels)


def _said(response: dict[str, Any]) -> str:
    return render_response(response["text"], response["tool_calls"])
