"""Run PostgreSQL's own programs. A password is passed in the environment, never as an argument."""

import contextlib
import getpass
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from app.errors import ProgramFailed
from app.storage.embedded.binaries import find_binaries
from app.storage.embedded.folder import DataFolder
from app.storage.embedded.user import ServerUser
from app.storage.engine import raw_dsn

_LINES_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of the PostgreSQL that this package brings."""

    folder: Path

    @classmethod
    def find(cls) -> Self:
        """The installed ones, run as the user of this process.

        Raises:
            BinariesMissing: there are none, or they do not run here.
        """
        return cls(find_binaries(ServerUser(getpass.getuser()), DataFolder(Path())))

    def run(self, name: str, *arguments: str, url: str | None = None) -> str:
        """Run a program to its end, and return what it printed.

        Raises:
            ProgramFailed: it failed.
        """
        database, environment = _connection(url)
        done = subprocess.run(  # noqa: S603 - our own binaries
            [str(self.folder / name), *database, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise ProgramFailed(_failure(name, done.stderr))
        return done.stdout

    def start(
        self,
        name: str,
        *arguments: str,
        url: str | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
    ) -> "Running":
        """Start a program."""
        database, environment = _connection(url)
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - Running closes it
        process = subprocess.Popen(  # noqa: S603 - our own binaries
            [str(self.folder / name), *database, *arguments],
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=errors,
        )
        return Running(name, process, errors)


@dataclass(frozen=True, slots=True)
class Running:
    """A running program; leaving its ``with`` block kills it if it still runs."""

    name: str
    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]

    def finish(self) -> None:
        """Wait until it ends.

        Raises:
            ProgramFailed: it failed.
        """
        if self.process.wait() != 0:
            self.errors.seek(0)
            raise ProgramFailed(_failure(self.name, self.errors.read().decode(errors="replace")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                # A killed program has not read everything.
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.errors.close()


def _failure(name: str, output: str) -> str:
    """The last lines of a program's output, as one line."""
    words = " ".join(output.strip().splitlines()[-_LINES_SHOWN:])
    return f"{name} failed: {words}"


def _connection(url: str | None) -> tuple[list[str], dict[str, str]]:
    """The argument and the environment of a program that connects to ``url``."""
    environment = dict(os.environ)
    if url is None:
        return [], environment
    parameters = conninfo_to_dict(raw_dsn(url))
    password = parameters.pop("password", None)
    if password is not None:
        environment["PGPASSWORD"] = str(password)
    environment["PGAPPNAME"] = "annotation-budget backup"
    return [f"--dbname={make_conninfo('', **parameters)}", "--no-password"], environment
