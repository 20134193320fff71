"""The command line: `annotation-budget serve`, its parts apart, and what one needs beside it.

Only what a command needs is imported, when it runs: `--help` is instant, and the API's process
never holds what the embedder or the planner does.
"""
# ruff: noqa: PLC0415 - a command imports what it needs, when it runs

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.cli.errors import plain_errors
from app.cli.keeping import keeping
from app.cli.options import (
    DEFAULT_URL,
    ApiProcesses,
    DataDir,
    Embedders,
    Host,
    Key,
    ListenDescriptor,
    Port,
    Project,
    Supervised,
    Url,
    examples,
)

_OWNER_GONE_SECONDS = 1.0
"""A part whose supervisor was killed leaves soon: the next supervisor wants its port."""

cli = typer.Typer(
    help="Decides which pairs of LLM responses are worth a human's label, and holds the budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


@cli.command(
    epilog=examples(
        "annotation-budget serve",
        "annotation-budget serve --data-dir ./data --host 0.0.0.0 --port 8080",
        "annotation-budget serve --api-processes 4 --embedders 2",
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget serve",
    )
)
def serve(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    api_processes: ApiProcesses = None,
    embedders: Embedders = None,
) -> None:
    """Run the whole service on this machine: database, API, embedder and planner."""
    from app.cli import service as cli_service
    from app.cli.settings import read_settings
    from app.processes.listening import AddressUnusable
    from app.storage.embedded.errors import EmbeddedPostgresError

    with plain_errors(AddressUnusable, EmbeddedPostgresError):
        settings = read_settings(
            data_dir=data_dir,
            host=host,
            port=port,
            api_processes=api_processes,
            embedders=embedders,
        )
        cli_service.serve(settings)


@cli.command(
    epilog=examples(
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget api",
        "annotation-budget api --host 0.0.0.0 --port 8080",
    )
)
def api(
    host: Host = None,
    port: Port = None,
    supervised: Supervised = False,
    listen_descriptor: ListenDescriptor = None,
) -> None:
    """Run the HTTP API alone, over the PostgreSQL of DATABASE_URL."""
    _watch_owner(supervised)
    from app.cli import api_process as cli_api
    from app.cli.settings import read_settings
    from app.processes.listening import AddressUnusable

    with plain_errors(AddressUnusable):
        settings = read_settings(host=host, port=port)
        cli_api.serve_api(settings, supervised=supervised, descriptor=listen_descriptor)


@cli.command(
    epilog=examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget embedder")
)
def embedder(supervised: Supervised = False) -> None:
    """Run an embedder alone: it turns pending texts into vectors. Several may run."""
    _watch_owner(supervised)
    from app.cli.service import begin_part
    from app.cli.settings import read_settings
    from app.processes.stopping import run_until_stopped

    with plain_errors():
        settings = read_settings()
        url = begin_part(settings)

        from app.embedder import process as embed

        run_until_stopped(embed.run(settings, url))


@cli.command(
    epilog=examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget planner")
)
def planner(data_dir: DataDir = None, supervised: Supervised = False) -> None:
    """Run a planner alone: it keeps the index, the groups and every project's plan."""
    _watch_owner(supervised)
    from app.cli.service import begin_part
    from app.cli.settings import read_settings
    from app.processes.stopping import run_until_stopped

    with plain_errors():
        settings = read_settings(data_dir=data_dir)
        url = begin_part(settings)

        from app.planner import process as plan

        run_until_stopped(plan.run(settings, url))


@cli.command(
    epilog=examples(
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget migrate",
        "annotation-budget migrate --data-dir ./data",
    )
)
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema; `serve` does this by itself."""
    from app.cli import service as cli_service
    from app.cli.settings import read_settings
    from app.storage.embedded.errors import EmbeddedPostgresError

    with plain_errors(EmbeddedPostgresError):
        cli_service.migrate(read_settings(data_dir=data_dir))


@cli.command(
    epilog=examples(
        "annotation-budget key",
        'curl -H "Authorization: Bearer $(annotation-budget key)" http://127.0.0.1:8000/projects',
    )
)
def key(data_dir: DataDir = None) -> None:
    """Print the key of the annotator `admin` that the first start made and kept."""
    from app.cli.settings import kept_admin_key, read_settings

    with plain_errors():
        typer.echo(kept_admin_key(read_settings(data_dir=data_dir)))


@cli.command(
    "import",
    epilog=examples(
        "annotation-budget import prompts.ndjson",
        "annotation-budget import hh-train.jsonl.gz --project helpful-v1 --labels keep",
        "annotation-budget import argilla-records.json --labels keep",
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
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Stream prompts and responses into a running service.

    Prints the counts, and the lines that were rejected; the exit status is 1 if there are any.
    """
    from app.cli import transfer as cli_transfer
    from app.cli.settings import kept_admin_key, read_settings

    with plain_errors():
        bearer = admin_key or kept_admin_key(read_settings(data_dir=data_dir))
        if cli_transfer.import_prompts(
            source, cli_transfer.Service(url, bearer), {"project": project, "labels": labels}
        ):
            raise typer.Exit(1)


@cli.command(
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
    surplus: Annotated[bool, typer.Option("--surplus", help="Take surplus labels too.")] = False,
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
            show_default=False,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Download the labels of a running service as a dataset that a trainer loads, and verify it."""
    from app.cli import export as cli_export
    from app.cli.settings import kept_admin_key, read_settings
    from app.cli.transfer import Service

    query: dict[str, str | int | float | bool] = {
        "project": project,
        "file": file,
        "layout": layout,
        "split": split,
        "test_fraction": test_fraction,
        "seed": seed,
        "min_agreement": min_agreement,
        "aggregation": aggregation,
        "surplus": surplus,
        "metadata": metadata,
        "compression": compression,
    }
    with plain_errors():
        bearer = admin_key or kept_admin_key(read_settings(data_dir=data_dir))
        service = Service(url, bearer)
        if out is not None and cli_export.is_folder(out):
            cli_export.export_folder(recipe, service, query, out)
        else:
            cli_export.export_file(recipe, service, query, out)


cli.add_typer(keeping)


@cli.command(
    epilog=examples(
        "annotation-budget simulate labelled.jsonl.gz",
        "annotation-budget simulate labelled.jsonl --strategies auto,dissimilar --seeds 40",
        "annotation-budget simulate labelled.jsonl --json report.json --plot curve.svg",
    )
)
def simulate(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Prompts with preferences, in a format that `import` reads; gzip is unpacked.",
        ),
    ],
    strategies: Annotated[
        str | None,
        typer.Option(
            "--strategies", help="Names, with commas between [default: all].", show_default=False
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Splits by prompt.")] = 20,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the splits and draws.")] = 0,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", min=1, help="Processes [default: one a processor].", show_default=False
        ),
    ] = None,
    embeddings: Annotated[
        Path | None,
        typer.Option(
            "--embeddings",
            help="NPZ file with `prompts` and `responses`: vectors made elsewhere.",
            show_default=False,
        ),
    ] = None,
    json_out: Annotated[
        Path | None, typer.Option("--json", help="Write the figures there.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the curves: .png or .svg.", show_default=False),
    ] = None,
) -> None:
    """Find out which strategy would have saved labels on a file that is already labelled."""
    from app.cli import simulate as cli_simulate
    from app.cli.settings import read_settings

    with plain_errors():
        settings = read_settings()
        cli_simulate.simulate(
            source,
            strategies=strategies,
            seeds=seeds,
            seed=seed,
            processes=processes,
            embeddings=embeddings,
            json_out=json_out,
            plot=plot,
            model=settings.embedding_model,
            device=settings.embedding_device,
        )


@cli.command(epilog=examples("annotation-budget strategies"))
def strategies() -> None:
    """List the strategies, with one line each."""
    from app.cli import simulate as cli_simulate

    cli_simulate.list_strategies()


def _watch_owner(supervised: bool) -> None:
    """Before the slow imports, so that a part whose supervisor is killed never finishes them."""
    if supervised:
        from app.processes.stopping import end_with_owner

        end_with_owner(sys.stdin.fileno(), _OWNER_GONE_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    cli(arguments)


if __name__ == "__main__":
    main()
