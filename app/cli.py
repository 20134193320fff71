"""The command line: `annotation-budget serve`, its parts apart, and what one needs beside it.

Only what a command needs is imported, when it runs: `--help` is instant, and the API's process
never holds what the embedder or the planner does.
"""
# ruff: noqa: PLC0415 - a command imports what it needs, when it runs

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli_errors import plain_errors

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_OWNER_GONE_SECONDS = 1.0
"""A part whose supervisor was killed leaves soon: the next supervisor wants its port."""

cli = typer.Typer(
    help="Decides which pairs of LLM responses are worth a human's label, and holds the budget.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of the embedded database, the index files and the admin key "
        "[DATA_DIR; default: the user's own data folder].",
        show_default=False,
    ),
]
Host = Annotated[
    str | None,
    typer.Option(
        "--host", help="Address to listen on [HOST; default: 127.0.0.1].", show_default=False
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        help="TCP port to listen on; 0 takes a free one [PORT; default: 8000].",
        show_default=False,
    ),
]
Project = Annotated[str, typer.Option("--project", help="The project's name.")]
Url = Annotated[str, typer.Option("--url", help="Address of the running service.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="An admin's key [ADMIN_KEY; default: the one kept in the data folder].",
        show_default=False,
    ),
]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
ListenDescriptor = Annotated[int | None, typer.Option("--listen-descriptor", hidden=True)]


def _examples(*commands: str) -> str:
    """An epilog; blank lines keep the commands on lines of their own."""
    word = "Example" if len(commands) == 1 else "Examples"
    return "\n\n".join((f"[bold]{word}[/]:", *commands))


@cli.command(
    epilog=_examples(
        "annotation-budget serve",
        "annotation-budget serve --data-dir ./data --host 0.0.0.0 --port 8080",
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget serve",
    )
)
def serve(data_dir: DataDir = None, host: Host = None, port: Port = None) -> None:
    """Run the whole service on this machine: database, API, embedder and planner."""
    from app import cli_service
    from app.cli_settings import read_settings
    from app.pipeline.listening import AddressUnusable
    from app.storage.embedded_errors import EmbeddedPostgresError

    with plain_errors(AddressUnusable, EmbeddedPostgresError):
        cli_service.serve(read_settings(data_dir=data_dir, host=host, port=port))


@cli.command(
    epilog=_examples(
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
    from app import cli_api
    from app.cli_settings import read_settings
    from app.pipeline.listening import AddressUnusable

    with plain_errors(AddressUnusable):
        settings = read_settings(host=host, port=port)
        cli_api.serve_api(settings, supervised=supervised, descriptor=listen_descriptor)


@cli.command(
    epilog=_examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget embedder")
)
def embedder(supervised: Supervised = False) -> None:
    """Run an embedder alone: it turns pending texts into vectors. Several may run."""
    _watch_owner(supervised)
    from app.cli_service import begin_part
    from app.cli_settings import read_settings
    from app.pipeline.part import run_until_stopped

    with plain_errors():
        settings = read_settings()
        url = begin_part(settings)

        from app.pipeline import embed

        run_until_stopped(embed.run(settings, url))


@cli.command(
    epilog=_examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget planner")
)
def planner(data_dir: DataDir = None, supervised: Supervised = False) -> None:
    """Run a planner alone: it keeps the index, the groups and every project's plan."""
    _watch_owner(supervised)
    from app.cli_service import begin_part
    from app.cli_settings import read_settings
    from app.pipeline.part import run_until_stopped

    with plain_errors():
        settings = read_settings(data_dir=data_dir)
        url = begin_part(settings)

        from app.pipeline import plan

        run_until_stopped(plan.run(settings, url))


@cli.command(
    epilog=_examples(
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget migrate",
        "annotation-budget migrate --data-dir ./data",
    )
)
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema; `serve` does this by itself."""
    from app import cli_service
    from app.cli_settings import read_settings
    from app.storage.embedded_errors import EmbeddedPostgresError

    with plain_errors(EmbeddedPostgresError):
        cli_service.migrate(read_settings(data_dir=data_dir))


@cli.command(
    epilog=_examples(
        "annotation-budget key",
        'curl -H "Authorization: Bearer $(annotation-budget key)" http://127.0.0.1:8000/projects',
    )
)
def key(data_dir: DataDir = None) -> None:
    """Print the key of the annotator `admin` that the first start made and kept."""
    from app.cli_settings import kept_admin_key, read_settings

    with plain_errors():
        typer.echo(kept_admin_key(read_settings(data_dir=data_dir)))


@cli.command(
    "import",
    epilog=_examples(
        "annotation-budget import prompts.ndjson",
        "annotation-budget import hh-train.jsonl.gz --project helpful-v1 --labels keep",
        "zstd -dc prompts.ndjson.zst | annotation-budget import -",
    ),
)
def import_prompts(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Prompts, one JSON object a line; gzip is unpacked; `-` reads standard input.",
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
    from app import cli_transfer
    from app.cli_settings import kept_admin_key, read_settings

    with plain_errors():
        bearer = admin_key or kept_admin_key(read_settings(data_dir=data_dir))
        if cli_transfer.import_prompts(
            source, cli_transfer.Service(url, bearer), {"project": project, "labels": labels}
        ):
            raise typer.Exit(1)


@cli.command(
    "export",
    epilog=_examples(
        "annotation-budget export dpo > preferences.jsonl",
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
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Add the columns of provenance.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write, whole or not at all; standard output without it.",
            show_default=False,
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    admin_key: Key = None,
    data_dir: DataDir = None,
) -> None:
    """Download the labels of a running service as a dataset that a trainer loads."""
    from app import cli_transfer
    from app.cli_settings import kept_admin_key, read_settings

    query: dict[str, str | int | float | bool] = {
        "project": project,
        "file": file,
        "layout": layout,
        "split": split,
        "test_fraction": test_fraction,
        "seed": seed,
        "min_agreement": min_agreement,
        "surplus": surplus,
        "metadata": metadata,
    }
    with plain_errors():
        bearer = admin_key or kept_admin_key(read_settings(data_dir=data_dir))
        cli_transfer.export_dataset(recipe, cli_transfer.Service(url, bearer), query, out)


def _watch_owner(supervised: bool) -> None:
    """Before the slow imports, so that a part whose supervisor is killed never finishes them."""
    if supervised:
        from app.pipeline.part import end_with_owner

        end_with_owner(sys.stdin.fileno(), _OWNER_GONE_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    cli(arguments)


if __name__ == "__main__":
    main()
