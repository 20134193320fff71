"""`create`, `import` and `export`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import DEFAULT_URL, DataDir, Key, Project, Url, examples

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import httpx

commands = typer.Typer(rich_markup_mode="rich")


@commands.command(
    epilog=examples(
        "annotation-budget create helpful-v1 --budget 5000",
        "annotation-budget create as-in-the-paper --preset real --budget 1000",
    )
)
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Small letters, digits, `-` and `_`.")
    ],
    preset: Annotated[
        str | None,
        typer.Option("--preset", help="`real` or `real-two`: settings of the REAL paper."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", min=0, help="The most labels; default: no limit.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="A name of `strategies`.")
    ] = None,
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Make a project in a running service. The page *New project* has all settings."""
    from app.cli.transfer.service import raise_for_refusal

    given = {
        "name": name,
        "preset": preset,
        "strategy": strategy,
        "budget": None if budget is None else {"unit": "labels", "limit": budget},
    }
    with open_service(url, admin_key, data_dir) as client:
        sent = {field: value for field, value in given.items() if value is not None}
        answer = client.post("/projects", json=sent)
        raise_for_refusal(answer)
    made = answer.json()
    limit = "no limit" if budget is None else f"at most {budget} labels"
    settings = f"strategy {made['strategy']}, exploration {made['exploration']:g}, {limit}"
    typer.echo(f"{made['name']}: {settings}.")


@commands.command(
    "import",
    epilog=examples(
        "annotation-budget import prompts.ndjson",
        "annotation-budget import hh-train.jsonl.gz --project helpful-v1 --labels keep",
        "annotation-budget import argilla-records.json --labels keep",
        "annotation-budget import answers.csv --map q=prompt --map a=response --map b=response",
        "zstd -dc prompts.ndjson.zst | annotation-budget import -",
    ),
)
def import_prompts(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Prompts: JSON lines, a JSON array, CSV or Parquet; gzip is unpacked; `-` reads "
            "standard input.",
        ),
    ],
    project: Project = "default",
    labels: Annotated[
        str, typer.Option("--labels", help="`keep` the preferences that lines carry, or `ignore`.")
    ] = "ignore",
    extra: Annotated[
        str,
        typer.Option("--extra", help="`keep` columns that are left out as metadata, or `ignore`."),
    ] = "ignore",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=NAME",
            help="Read a column by another name: `question=prompt`; `response` for one more"
            " candidate, `metadata` to keep it beside the prompt, `ignore` to leave it out. Once a"
            " column.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Stream prompts and responses into a running service.

    Prints the counts, what was left out, and the lines that were rejected; the exit status is 1 if
    there are any.
    """
    from app.cli.transfer.importing import column_map, import_file

    query = {"project": project, "labels": labels, "extra": extra, **column_map(columns or [])}
    with open_service(url, admin_key, data_dir) as client:
        if import_file(source, client, query):
            raise typer.Exit(1)


@commands.command(
    "export",
    epilog=examples(
        "annotation-budget export dpo > preferences.jsonl",
        "annotation-budget export dpo --out my-dataset",
        "annotation-budget export dpo --file parquet --split train --out train.parquet",
        "annotation-budget export dpo --layout conversational --metadata --min-agreement 0.7",
    ),
)
def export_dataset(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="What to make of the labels, as `dpo`.")
    ],
    project: Project = "default",
    file: Annotated[str, typer.Option("--file", help="`jsonl` or `parquet`.")] = "jsonl",
    layout: Annotated[
        str, typer.Option("--layout", help="`standard` or `conversational`.")
    ] = "standard",
    split: Annotated[str, typer.Option("--split", help="`all`, `train` or `test`.")] = "all",
    test_fraction: Annotated[
        float, typer.Option("--test-fraction", help="Share of the groups that is the test.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split.")] = 0,
    min_agreement: Annotated[
        float, typer.Option("--min-agreement", help="Least share of labels that agree with a row.")
    ] = 0.5,
    labels: Annotated[
        str, typer.Option("--labels", help="`people`'s labels, `automatic` ones, or `all`.")
    ] = "people",
    surplus: Annotated[bool, typer.Option("--surplus", help="Take surplus labels too.")] = False,
    rounds: Annotated[
        str,
        typer.Option("--rounds", help="Rounds of responses: `all`, `latest`, `2`, or `2,3`."),
    ] = "all",
    aggregation: Annotated[
        str,
        typer.Option(
            "--aggregation", help="Several labels of a pair: `majority` or `dawid-skene`."
        ),
    ] = "majority",
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Add the columns of provenance.")
    ] = False,
    compression: Annotated[
        str, typer.Option("--compression", help="`none`, or `gzip` for a packed file.")
    ] = "none",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write, or (a name without a suffix) folder for train, test, dataset card "
            "and manifest; whole or not at all. Standard output without it.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Download the labels of a running service as a dataset that a trainer loads, and verify it."""
    from app.cli.transfer.exporting import export_file, export_folder, is_folder

    query: dict[str, str | int | float | bool] = {
        "project": project,
        "file": file,
        "layout": layout,
        "split": split,
        "test_fraction": test_fraction,
        "seed": seed,
        "min_agreement": min_agreement,
        "aggregation": aggregation,
        "labels": labels,
        "surplus": surplus,
        "rounds": rounds,
        "metadata": metadata,
        "compression": compression,
    }
    with open_service(url, admin_key, data_dir) as client:
        if out is not None and is_folder(out):
            export_folder(recipe, client, query, out)
        else:
            export_file(recipe, client, query, out)


def open_service(
    url: str, admin_key: str | None, data_dir: Path | None
) -> "AbstractContextManager[httpx.Client]":
    """The running service, opened with the given key or the one in the data folder."""
    from app.cli.settings import kept_admin_key, read_settings
    from app.cli.transfer.service import running_service

    return running_service(url, admin_key or kept_admin_key(read_settings(data_dir=data_dir)))
