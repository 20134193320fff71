"""`serve`, `api`, `embedder`, `planner`, `migrate` and `key`."""
# ruff: noqa: PLC0415 - a command imports what it needs when it runs

import sys

import typer

from app.cli.options import (
    ApiProcesses,
    DataDir,
    Embedders,
    Host,
    ListenDescriptor,
    Port,
    Supervised,
    examples,
)

_OWNER_GONE_SECONDS = 1.0
"""How long a process outlives its killed supervisor: the next supervisor wants its port."""

commands = typer.Typer(rich_markup_mode="rich")


@commands.command(
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
    from app.cli.serve.run import run_service
    from app.cli.settings import read_settings

    run_service(
        read_settings(
            data_dir=data_dir,
            host=host,
            port=port,
            api_processes=api_processes,
            embedders=embedders,
        )
    )


@commands.command(
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
    from app.cli.serve.api import run_api
    from app.cli.settings import read_settings

    settings = read_settings(host=host, port=port)
    run_api(settings, supervised=supervised, descriptor=listen_descriptor)


@commands.command(
    epilog=examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget embedder")
)
def embedder(supervised: Supervised = False) -> None:
    """Run an embedder alone: it turns pending texts into vectors. Several may run."""
    _watch_owner(supervised)
    from app.cli.serve.run import begin_part
    from app.cli.settings import read_settings
    from app.processes.stopping import run_until_stopped

    settings = read_settings()
    url = begin_part(settings)

    from app.embedder import process

    run_until_stopped(process.run(settings, url))


@commands.command(
    epilog=examples("DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget planner")
)
def planner(data_dir: DataDir = None, supervised: Supervised = False) -> None:
    """Run a planner alone: it keeps the index, the groups and every project's plan."""
    _watch_owner(supervised)
    from app.cli.serve.run import begin_part
    from app.cli.settings import read_settings
    from app.processes.stopping import run_until_stopped

    settings = read_settings(data_dir=data_dir)
    url = begin_part(settings)

    from app.planner import process

    run_until_stopped(process.run(settings, url))


@commands.command(
    epilog=examples(
        "DATABASE_URL=postgresql://budget:secret@db/budget annotation-budget migrate",
        "annotation-budget migrate --data-dir ./data",
    )
)
def migrate(data_dir: DataDir = None) -> None:
    """Bring the database to the newest schema; `serve` does this by itself."""
    from app.cli.serve.run import run_migrations
    from app.cli.settings import read_settings

    run_migrations(read_settings(data_dir=data_dir))


@commands.command(
    epilog=examples(
        "annotation-budget key",
        'curl -H "Authorization: Bearer $(annotation-budget key)" http://127.0.0.1:8000/projects',
    )
)
def key(data_dir: DataDir = None) -> None:
    """Print the key of the annotator `admin` that the first start made and kept."""
    from app.cli.settings import kept_admin_key, read_settings

    typer.echo(kept_admin_key(read_settings(data_dir=data_dir)))


def _watch_owner(supervised: bool) -> None:
    """Called before the slow imports, so that they cannot outlast a killed supervisor."""
    if supervised:
        from app.processes.stopping import end_with_owner

        end_with_owner(sys.stdin.fileno(), _OWNER_GONE_SECONDS)
