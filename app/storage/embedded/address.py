"""Where the embedded database answers: made by its owner, found by others in the same folder."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL

from app.storage.embedded.folder import DataFolder

DATABASE: Final = "annotation_budget"
ROLE: Final = "annotation_budget"
SOCKET_PORT: Final = 5432
"""Of the socket in the data folder: a part of its name."""

_PORT_LINE, _STATUS_LINE = 3, 7


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A socket in the folder, or a port of 127.0.0.1 where the socket's path would be too long."""

    folder: DataFolder
    port: int | None
    """None for the socket."""
    password: str

    @property
    def host(self) -> str:
        """As libpq takes it: a path is a socket's folder."""
        return "127.0.0.1" if self.port else str(self.folder.run)

    def url(self) -> URL:
        """The SQLAlchemy address; a socket's folder stands in the query, beside a needed host."""
        return URL.create(
            "postgresql+psycopg",
            username=ROLE,
            password=self.password,
            host="127.0.0.1" if self.port else "localhost",
            port=self.port or SOCKET_PORT,
            database=DATABASE,
            query={} if self.port else {"host": str(self.folder.run)},
        )


def find_running(folder: DataFolder) -> ServerAddress | None:
    """The server that somebody else runs over the folder; None while none takes connections.

    What Postgres tells of itself in ``postmaster.pid`` says where it listens.
    """
    try:
        told = (folder.cluster / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(told) <= _STATUS_LINE or told[_STATUS_LINE].strip() != "ready":
        return None
    listens_on_socket = bool(told[_PORT_LINE + 1].strip())
    port = None if listens_on_socket else int(told[_PORT_LINE])
    return ServerAddress(folder, port, folder.kept_password())
