"""The user Postgres runs as: it refuses root, so a root process lends it an unprivileged one."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from app.storage.embedded.errors import DataDirUnusable

_CANDIDATES = ("annotation-budget", "postgres", "nobody")
"""A user of our own if the operator made one, else the one meant for Postgres, else anyone weak."""


class Privileges(TypedDict, total=False):
    """The keyword arguments of ``subprocess`` that drop privileges."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Who runs Postgres. ``uid`` and ``gid`` are ``None`` where it is simply us."""

    name: str
    uid: int | None = None
    gid: int | None = None

    @property
    def privileges(self) -> Privileges:
        """How to start a process as this user."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Make ``path`` this user's."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may pass through ``folder``, asked of the system itself."""
        if self.uid is None:
            return os.access(folder, os.X_OK)
        probe = subprocess.run(  # noqa: S603 - a fixed command; the path is an argument
            ["/bin/sh", "-c", 'cd -- "$0"', str(folder)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **self.privileges,
        )
        return probe.returncode == 0


def choose_server_user(cluster: Path) -> ServerUser:
    """The user for the database files in ``cluster``: their owner if they exist.

    So a user that appears later (a Postgres package installed) changes nothing for old files.

    Raises:
        DataDirUnusable: we may not run as their owner, or there is no user to lend.
    """
    us = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if us != 0:
        if owner not in {None, us}:
            raise DataDirUnusable(
                f"{cluster} belongs to user {_name(owner)}, and this process runs as {_name(us)}: "
                "start it as that user, or choose another --data-dir."
            )
        return ServerUser(_name(us))
    if owner is not None and owner != 0:
        return _lent(_entry(owner), owner)
    for name in _CANDIDATES:
        try:
            return _lent(pwd.getpwnam(name), None)
        except KeyError:
            continue
    raise DataDirUnusable(
        "Postgres does not run as root, and no user `annotation-budget`, `postgres` or `nobody` "
        "exists here: create one (useradd --system annotation-budget), or start as another user."
    )


def _lent(entry: pwd.struct_passwd | None, uid: int | None) -> ServerUser:
    if entry is None:
        assert uid is not None
        return ServerUser(str(uid), uid, uid)
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _name(uid: int | None) -> str:
    entry = None if uid is None else _entry(uid)
    return str(uid) if entry is None else entry.pw_name
