"""Check that the packages ``app`` and ``migrations`` are the ones that annotation-budget installed.

Other wheels use these two names too, and installing such a wheel beside this one replaces files
without a word. Nothing but the standard library is imported here: any other file of ours may be
one of those replaced.
"""

import base64
import csv
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PACKAGES: Final = ("app", "migrations")
_MARKER: Final = '__distribution__ = "annotation-budget"'
"""A line of each package's ``__init__.py``."""
_REMEDY: Final = (
    "Install annotation-budget in an environment of its own: with `uvx annotation-budget`, with "
    "`pipx install annotation-budget`, or as the container image."
)


def refuse_foreign_packages() -> None:
    """Exit with status 1 if another package has replaced files of ours."""
    site = Path(__file__).resolve().parents[2]
    problem = next(_foreign_packages(site), None) or next(_foreign_files(site), None)
    if problem is not None:
        print(f"Error: {problem} {_REMEDY}", file=sys.stderr)
        raise SystemExit(1)


def _foreign_packages(site: Path) -> Iterator[str]:
    """Which of the two packages is not in the folder ``site``, or does not have our marker."""
    for name in _PACKAGES:
        expected = site / name / "__init__.py"
        if not expected.exists():
            yield f"The file {expected} is missing."
            continue
        spec = importlib.util.find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or Path(origin).resolve() != expected:
            yield f"Python imports {origin} instead of {expected}."
        elif _MARKER not in expected.read_text(encoding="utf-8", errors="replace"):
            yield _replaced(expected)


def _foreign_files(site: Path) -> Iterator[str]:
    """Which files differ from the record of the installed wheel, are missing, or not in it.

    An editable install has no record of them, and no other wheel is installed over its files. An
    upgrade into a folder (``pip --target``) leaves the old record behind: one must agree.
    """
    records = map(_recorded_digests, site.glob("annotation_budget-*.dist-info/RECORD"))
    differences = [list(_differences(site, recorded)) for recorded in records if recorded]
    yield from min(differences, key=len, default=[])


def _differences(site: Path, recorded: dict[str, str]) -> Iterator[str]:
    for path, digest in recorded.items():
        file = site / path
        if not file.exists():
            yield f"The file {file} is missing."
        elif _digest(file) != digest:
            yield _replaced(file)
    for name in _PACKAGES:
        for file in (site / name).rglob("*.py"):
            if file.relative_to(site).as_posix() not in recorded:
                yield f"The file {file} belongs to another package."


def _replaced(file: Path) -> str:
    return f"The file {file} is not the one that annotation-budget installed."


def _recorded_digests(record: Path) -> dict[str, str]:
    """The SHA-256 digests of our packages' files, by path; empty for an editable install."""
    with record.open(encoding="utf-8", newline="") as file:
        return {
            path: digest.removeprefix("sha256=")
            for path, digest, _ in csv.reader(file)
            if path.startswith(("app/", "migrations/"))
            and digest.startswith("sha256=")
            and not path.endswith(".pyc")
        }


def _digest(file: Path) -> str:
    """As ``RECORD`` writes it."""
    digest = hashlib.sha256(file.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
