"""Options that several commands share, and the examples below a command's help."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_URL: Final = "http://127.0.0.1:8000"

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder of the embedded database, the index files and the admin key "
        "[DATA_DIR; default: the user's own data folder].",
    ),
]
Host = Annotated[
    str | None,
    typer.Option("--host", help="Address to listen on [HOST; default: 127.0.0.1]."),
]
Port = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=0,
        max=65535,
        help="TCP port to listen on; 0 takes a free one [PORT; default: 8000].",
    ),
]
ApiProcesses = Annotated[
    int | None,
    typer.Option(
        "--api-processes",
        min=1,
        max=64,
        help="API processes behind the one address [API_PROCESSES; default: 1].",
    ),
]
Embedders = Annotated[
    int | None,
    typer.Option(
        "--embedders",
        min=1,
        max=64,
        help="Processes that hold the embedding model [EMBEDDERS; default: 1].",
    ),
]
Project = Annotated[str, typer.Option("--project", help="The project's name.")]
Url = Annotated[str, typer.Option("--url", help="Address of the running service.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="An admin's key [ADMIN_KEY; default: the one kept in the data folder].",
    ),
]
Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
ListenDescriptor = Annotated[int | None, typer.Option("--listen-descriptor", hidden=True)]


def examples(*commands: str) -> str:
    """An epilog with one command a line."""
    word = "Example" if len(commands) == 1 else "Examples"
    return "\n\n".join((f"[bold]{word}[/]:", *commands))
