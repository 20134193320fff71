"""The user Postgres runs as: it refuses root, so root starts it as an unprivileged user."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import DataDirUnusable

_CANDIDATES = ("annotation-budget", "postgres", "nobody")
"""In this order: a user made for this service, the usual user of Postgres, any weak user."""


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Who runs Postgres; ``uid`` and ``gid`` are None if it is the user of this process."""

    name: str
    uid: int | None = None
    gid: int | None = None

    @property
    def privileges(self) -> dict[str, Any]:
        """The keyword arguments of ``subprocess`` that start a process as this user."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make this user the owner of ``path``."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may enter ``folder``, found out by trying."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        probe = subprocess.run(  # noqa: S603 - a fixed command; the path is an argument
            ["/bin/sh", "-c", 'cd -- "$0"', str(folder)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **self.privileges,
        )
        return probe.returncode == 0


def choose_server_user(cluster: Path) -> ServerUser:
    """The user for the database's files in ``cluster``: their owner, if they exist.

    So existing files keep their owner when a better candidate is added to the system later.

    Raises:
        DataDirUnusable: we may not run as their owner, or there is no unprivileged user.
    """
    us = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if us != 0:
        if owner is not None and owner != us:
            raise DataDirUnusable(
                f"{cluster} belongs to user {_name(owner)}, and this process runs as {_name(us)}: "
                "start it as that user, or choose another --data-dir."
            )
        return ServerUser(_name(us))
    if owner is not None and owner != 0:
        try:
            return _server_user(pwd.getpwuid(owner))
        except KeyError:
            return ServerUser(str(owner), owner, owner)
    for name in _CANDIDATES:
        try:
            return _server_user(pwd.getpwnam(name))
        except KeyError:
            continue
    raise DataDirUnusable(
        "Postgres does not run as root, and no user `annotation-budget`, `postgres` or `nobody` "
        "exists here: create one (useradd --system annotation-budget), or start as another user."
    )


def _server_user(entry: pwd.struct_passwd) -> ServerUser:
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
