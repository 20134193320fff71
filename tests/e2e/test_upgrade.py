"""A new version takes over the database and the data folder of an earlier one, and goes on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from app.storage.embedded.postgres import EmbeddedPostgres
from tests.e2e.serving import (
    COMMAND,
    RunningService,
    open_folder,
    own_environment,
    running_service,
    wait_until,
)
from tests.upgrade.released import (
    RELEASES,
    answers,
    connection,
    let_time_stand_still,
    put_in_place,
    put_index,
    rows,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SECONDS: Final = 300.0
LEFT_TO_FILL: Final[dict[str, str]] = {
    "prompts that are not embedded": "SELECT count(*) FROM prompts WHERE status = 'pending'",
    "prompts that are not planned": "SELECT count(*) FROM prompts WHERE group_id IS NULL",
    "prompts whose question is not embedded": (
        "SELECT count(*) FROM prompt_embeddings AS embedded"
        " JOIN projects ON projects.id = project_id"
        " WHERE embedding_source = 'service' AND NOT EXISTS ("
        "SELECT FROM question_embeddings AS asked WHERE asked.prompt_id = embedded.prompt_id)"
    ),
    "responses whose style is not known": (
        "SELECT count(*) FROM response_embeddings AS embedded WHERE NOT EXISTS ("
        "SELECT FROM response_styles AS known WHERE known.response_id = embedded.response_id)"
    ),
}
"""What is filled in while the service runs: counts that become 0. A migration adds its own."""


class Upgraded:
    """A service of this version over the database of a release."""

    def __init__(self, service: RunningService, url: str, release: str) -> None:
        self.service = service
        self.url = url
        self.told = answers(release)
        self.groups = self.groups_now()

    def client(self, name: str) -> httpx.Client:
        """A client with the key that somebody had in the release."""
        bearer = {"Authorization": f"Bearer {self.told['keys'][name]}"}
        return httpx.Client(base_url=self.service.url, headers=bearer, timeout=60)

    def groups_now(self) -> dict[int, int]:
        """The groups of the prompts by the prompts' numbers, where they are fixed."""
        found = rows(self.url)["prompts"]
        return {row["id"]: row["group_id"] for row in found if row["group_id"] is not None}

    def left_to_fill(self) -> dict[str, int]:
        """What is not filled in yet."""
        with connection(self.url) as opened:
            counts = {
                what: opened.execute(query.encode()).fetchall()[0][0]
                for what, query in LEFT_TO_FILL.items()
            }
        return {what: count for what, count in counts.items() if count}

    def wait_until_filled(self) -> None:
        wait_until(lambda: not self.left_to_fill(), SECONDS, "all is filled in", self.service.log)


@pytest.fixture(scope="module", params=RELEASES)
def upgraded(request: pytest.FixtureRequest) -> Iterator[Upgraded]:
    """The service, started over the release's database, index files and admin key."""
    release: str = request.param
    with open_folder() as folder, EmbeddedPostgres(folder / "database") as database:
        put_in_place(release, database.url, folder)
        let_time_stand_still(database.url)

        def prepare(data_dir: Path) -> None:
            data_dir.mkdir()
            (data_dir / "admin.key").write_text(answers(release)["keys"]["admin"] + "\n")
            (data_dir / "admin.key").chmod(0o600)
            put_index(release, data_dir, database.url)

        with running_service(prepare=prepare, DATABASE_URL=database.url) as service:
            yield Upgraded(service, database.url, release)


def test_what_was_left_to_do_is_done_and_no_group_changes(upgraded: Upgraded) -> None:
    pending = [each for each in upgraded.told["prompts"]["default"] if each["status"] == "pending"]
    assert len(pending) == 3
    upgraded.wait_until_filled()
    assert upgraded.groups_now().items() >= upgraded.groups.items()
    with upgraded.client("admin") as client:
        now = [client.get(f"/prompts/{each['id']}").json() for each in pending]
        assert client.get("/projects/default").json()["counts"]["pending_prompts"] == 0
    assert [each["status"] for each in now] == ["ready"] * 3
    assert all(each["group"] for each in now)


def test_similar_prompts_are_found_among_the_old_ones_and_join_their_group(
    upgraded: Upgraded,
) -> None:
    upgraded.wait_until_filled()
    old = [
        each for each in upgraded.told["prompts"]["near"] if "three rivers" in str(each["prompt"])
    ]
    assert len({each["group"] for each in old}) == 1
    texts = [{"text": "Po"}, {"text": "Seine, Elbe"}]
    again: dict[str, Any] = {"prompt": "NAME three rivers of Europe.", "responses": texts}
    with upgraded.client("admin") as client:
        sent = client.post("/prompts?project=near", json=again)
        assert sent.status_code == 201, sent.text
        (created,) = sent.json()["prompts"]
        upgraded.wait_until_filled()
        assert client.get(f"/prompts/{created['id']}").json()["group"] == old[0]["group"]
        found = client.get(f"/prompts/{created['id']}/similar?limit=3").json()["similar"]
    assert {each["id"] for each in found} == {each["id"] for each in old}


def test_annotators_go_on_and_the_ledger_stays_right(upgraded: Upgraded) -> None:
    for project in ("near", "paid"):
        with upgraded.client("ana") as client:
            path = f"/next-pairs?project={project}&budget=3&wait=20"
            pairs = client.get(path).json()["pairs"]
            assert len(pairs) == 3
            labels = [
                {"assignment_id": each["assignment_id"], "choice": "right", "seconds": 5}
                for each in pairs
            ]
            answer = client.post("/labels", json={"labels": labels})
            assert answer.status_code == 201, answer.text
            assert {each["status"] for each in answer.json()["labels"]} == {"counted"}
    done = subprocess.run(
        [COMMAND, "ledger", "verify"],
        env=own_environment(DATABASE_URL=upgraded.url),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
