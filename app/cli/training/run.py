"""What `train`, `evaluate` and `losses` do: read the options, run, print."""
# ruff: noqa: PLC0415 - `losses` needs no trainer

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.errors import CommandFailed

_EXTRA: Final = ("trl", "peft", "accelerate", "datasets")


def run_training(
    loss: str,
    data: Path,
    model: str,
    out: Path,
    *,
    given: Mapping[str, Any],
    own: Mapping[str, float],
    options: Sequence[str],
    device: str,
    save_every: int,
    dry_run: bool,
) -> None:
    """Train, or with ``dry_run`` print what would be done."""
    check_extra()
    from app.training.build import Job
    from app.training.data import check_columns, read_data
    from app.training.losses import find_loss
    from app.training.run import CHECKPOINTS, train
    from app.training.settings import Device, Precision, resolve

    found = find_loss(loss)
    if "precision" in given:
        given = {**given, "precision": one_of(Precision, "--precision", given["precision"])}
    job = Job(
        loss=found,
        resolved=resolve(found, given, own, _options(options)),
        data=read_data(data),
        model=model,
        device=one_of(Device, "--device", device),
        checkpoints=out / CHECKPOINTS,
        save_every=save_every,
    )
    if job.data.changed:
        typer.echo(f"Changed since the export: {', '.join(job.data.changed)}.", err=True)
    # DPO takes the pairs of any recipe. Others mean less without what their own recipe puts in.
    if job.data.recipe not in {None, found.recipe} and found.recipe != "dpo":
        typer.echo(
            f"`{found.name}` is made for the recipe `{found.recipe}`; these rows are of"
            f" `{job.data.recipe}`.",
            err=True,
        )
    if dry_run:
        check_columns(job.data, found, weighted=job.settings.weighted)
        _print_table(("setting", "value", "from"), job.resolved.as_rows())
        held_out = 0 if job.data.test is None else len(job.data.test)
        typer.echo(f"{len(job.data.train)} rows to train on, {held_out} held out.")
        return
    done = train(job, out)
    if done.was_there:
        typer.echo(f"{out} holds this model already.")
    else:
        resumed = "" if done.resumed_at is None else f" (resumed at step {done.resumed_at})"
        typer.echo(f"{int(done.figures['steps'])} steps{resumed}: the model is in {out}.")
    if done.left_out:
        typer.echo(
            f"{done.left_out} rows were left out: their prompts fill --max-length"
            f" {job.settings.max_length}.",
            err=True,
        )
    for name, value in done.figures.items():
        if name.startswith(("eval_loss", "eval_rewards", "eval_order")):
            typer.echo(f"{name}: {value:.4f}")


def run_evaluation(
    model: str,
    reference: str,
    data: Path,
    *,
    split: str,
    beta: float,
    max_length: int,
    reward_model: str | None,
    new_tokens: int,
    temperature: float,
    limit: int,
    seed: int,
    device: str,
    json_out: Path | None,
) -> None:
    """Evaluate, and print the figures."""
    check_extra()
    from app.training.build import place
    from app.training.data import read_data
    from app.training.evaluate import Sampling, evaluate
    from app.training.settings import Device

    read = read_data(data)
    if split not in read.splits:
        raise CommandFailed(f"{data} has no split `{split}`; it has: {', '.join(read.splits)}")
    sampling = None
    if reward_model is not None:
        sampling = Sampling(
            reward_model=reward_model,
            new_tokens=new_tokens,
            temperature=temperature,
            limit=limit,
            seed=seed,
        )
    with progress_bar() as bar:
        found = evaluate(
            model,
            reference,
            read.splits[split],
            beta=beta,
            max_length=max_length,
            progress=lambda name, total: _advance(bar, name, total),
            device=place(one_of(Device, "--device", device)),
            sampling=sampling,
            seed=seed,
        )
    figures = {
        "implicit-reward accuracy": found.accuracy,
        "implicit-reward margin": found.margin,
        "win rate by the reward model": found.win_rate,
    }
    rows = [
        (name, f"{each.mean:.4f}", f"{each.low:.4f} to {each.high:.4f}")
        for name, each in figures.items()
        if each is not None
    ]
    _print_table(("figure", "mean", "95% interval"), rows)
    typer.echo(f"{found.pairs} pairs of {found.prompts} prompts; intervals over prompts.")
    if json_out is not None:
        json_out.write_text(json.dumps(found.as_json(), indent=2) + "\n", encoding="utf-8")


def print_losses() -> None:
    """One line a loss: name, the recipe that serves it, what it is."""
    from app.training.losses import LOSSES

    rows = [(loss.name, loss.recipe, loss.description) for loss in LOSSES.values()]
    _print_table(("loss", "recipe", ""), rows)


def check_extra() -> None:
    """Check that the extra is installed, and keep the libraries from calling home.

    Raises:
        CommandFailed: it is not.
    """
    missing = [name for name in _EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise CommandFailed(f"training needs {missing[0]}: pip install 'annotation-budget[train]'")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def one_of(kind: Any, flag: str, value: str) -> Any:
    """The member of an enumeration that a flag names.

    Raises:
        CommandFailed: it names none.
    """
    try:
        return kind(value)
    except ValueError as error:
        raise CommandFailed(f"{flag} {value}: must be one of {', '.join(kind)}") from error


def _options(pairs: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE``; a value is JSON if it reads as such, else a string."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise CommandFailed(f"--option {pair}: must be NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def progress_bar() -> Progress:
    """A progress bar on standard error if that is a terminal, else nothing."""
    return Progress(console=Console(stderr=True), disable=not sys.stderr.isatty())


def _advance(bar: Progress, name: str, total: int) -> Any:
    task = bar.add_task(name, total=total)
    return lambda count: bar.advance(task, count)


def _print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
