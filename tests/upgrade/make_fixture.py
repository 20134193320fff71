"""Fill a database with a released version, and keep it: what an upgrade must not lose.

    python -m tests.upgrade.make_fixture CHECKOUT VERSION

CHECKOUT is a checkout of that release. Its own service runs, with its embedder and its planner, and
its own `backup` writes the file. tests/data/upgrade/README.md says what is in it.
"""

import contextlib
import gzip
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen, run
from typing import Any, Final

import httpx
import psutil

from tests.e2e.serving import answers_ok, free_port, open_folder, own_environment, wait_until
from tests.support.data import REPOSITORY, SAMPLES

KEPT: Final = REPOSITORY / "tests" / "data" / "upgrade"
SECONDS: Final = 240.0
LONG_LEASE: Final = 2_592_000
EXPORTS: Final = (
    *((project, "dpo", "metadata=true") for project in ("default", "chat", "vectors", "paid")),
    *(("chat", "dpo", f"metadata=true&layout={layout}") for layout in ("conversational",)),
    *(("near", "dpo", f"metadata=true&surplus={surplus}") for surplus in ("false", "true")),
    *(("default", "dpo", f"split={split}&test_fraction=0.3") for split in ("train", "test")),
    *(("default", recipe, "") for recipe in ("reward", "kto", "ranking", "openrlhf", "axolotl")),
)
CHAT: Final = [
    {"role": "system", "content": "Answer in one sentence.\n\n  - and indent"},
    {"role": "user", "content": "Warum ist der Himmel blau? 🌍"},
    {"role": "assistant", "content": "Wegen der Streuung.\r\nEnde"},
    {"role": "user", "content": "And at night?"},
]


@dataclass(frozen=True)
class Release:
    """A checkout of a release, and the data folder of its service."""

    checkout: Path
    data_dir: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "app.cli", *arguments, "--data-dir", str(self.data_dir)]

    def environment(self) -> dict[str, str]:
        return own_environment(PYTHONPATH=str(self.checkout))

    @contextlib.contextmanager
    def serving(self, log: Path) -> Iterator[tuple[psutil.Process, str]]:
        """The release's whole service, and its address."""
        port = free_port()
        command = self.command("serve", "--host", "127.0.0.1", "--port", str(port))
        with log.open("ab") as output:
            server = Popen(
                command, env=self.environment(), cwd=self.checkout, stdout=output, stderr=output
            )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: answers_ok(f"{url}/readyz"), SECONDS, "the service is ready", log)
            yield psutil.Process(server.pid), url
        finally:
            server.terminate()
            server.wait(SECONDS)


class Filling:
    """One admin's requests to the running service."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.url = url
        self.keys = keys

    def call(self, method: str, path: str, body: Any = None, *, by: str = "admin") -> Any:
        """Send a request that must succeed."""
        headers = {"Authorization": f"Bearer {self.keys[by]}"}
        answer = httpx.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert answer.is_success, (method, path, answer.text)
        return answer.json() if answer.content else None

    def text(self, path: str) -> str:
        headers = {"Authorization": f"Bearer {self.keys['admin']}"}
        answer = httpx.get(self.url + path, headers=headers, timeout=60)
        assert answer.is_success, answer.text
        return answer.text

    def claim(self, by: str, project: str, pairs: int, lease: int = LONG_LEASE) -> list[Any]:
        path = f"/next-pairs?project={project}&budget={pairs}&wait=20&lease_seconds={lease}"
        claimed: list[Any] = self.call("GET", path, by=by)["pairs"]
        assert len(claimed) == pairs, (by, project, claimed)
        return claimed

    def answer(self, by: str, pair: dict[str, Any], choice: str, **more: Any) -> Any:
        label = {"assignment_id": pair["assignment_id"], "choice": choice, **more}
        return self.call("POST", "/labels", label, by=by)["labels"][0]

    def counts(self, project: str) -> Any:
        return self.call("GET", f"/projects/{project}")["counts"]

    def wait_for_plan(self, project: str, prompts: int) -> None:
        """Wait until all prompts of a project are embedded and planned."""

        def planned() -> bool:
            counts = self.counts(project)
            ready = counts["prompts"] == prompts and counts["pending_prompts"] == 0
            return bool(ready and counts["open_pairs"])

        wait_until(planned, SECONDS, f"{project} is planned")


def lines(name: str) -> list[bytes]:
    """The lines of a sample."""
    return gzip.decompress((SAMPLES / f"{name}.jsonl.gz").read_bytes()).splitlines(keepends=True)


def make_projects(service: Filling) -> None:
    service.call(
        "PATCH",
        "/projects/default",
        {"exploration": 0.4, "budget": {"unit": "labels", "limit": 30}, "guidelines": "*Help*."},
    )
    for project in (
        {
            "name": "chat",
            "strategy": "dissimilar",
            "exploration": 0,
            "budget": {"unit": "labels", "limit": 20},
            "labels_per_pair": 2,
            "overlap": {"share": 0.5, "labels": 3},
            "pairs_per_prompt": 1,
        },
        {
            "name": "vectors",
            "strategy": "centroid",
            "exploration": 0.5,
            "budget": {"unit": "minutes", "limit": 60},
        },
        {
            "name": "paid",
            "strategy": "similar",
            "exploration": 0,
            "budget": {"unit": "money", "limit": 5},
            "cost": {"hourly_rate": 20},
        },
        {"name": "near", "strategy": "random", "exploration": 0},
        {"name": "deleted"},
    ):
        service.call("POST", "/projects", project)
    service.call("DELETE", "/projects/deleted?confirm=deleted")


def make_annotators(service: Filling) -> None:
    for name, role, projects in (
        ("ana", "annotator", None),
        ("bob", "annotator", ["default", "chat"]),
        ("eve", "annotator", None),
        ("late", "annotator", ["near"]),
        ("second-admin", "admin", None),
    ):
        made = {"name": name, "role": role, "projects": projects}
        service.keys[name] = service.call("POST", "/annotators", made)["key"]


def send_prompts(service: Filling, release: Release, folder: Path) -> None:
    """Prompts of every kind; waits until they are planned."""
    questions = lines("multi-qafeedback-dev")
    for name, content, labels in (
        ("voted.jsonl", questions[:4], "keep"),
        ("asked.jsonl", questions[4:14], "ignore"),
    ):
        import_file(service, release, folder / name, content, "default", labels)
    import_file(service, release, folder / "hh", transcripts(), "chat", "ignore")
    import_file(service, release, folder / "llmbar", lines("pairs-llmbar"), "paid", "ignore")
    import_file(service, release, folder / "pandalm", lines("multi-pandalm")[:6], "near", "keep")
    told = {"source": "by hand", "n": [1, None, {"deep": 1.5}]}
    responses = [
        {"id": "r-1", "text": "It scatters.", "model": "m-1", "score": 0.5, "metadata": told},
        {"id": "r-2", "text": "  Dark,\n\tas it has no light. ", "reference": True},
        {"text": "Ask the moon."},
        {"text": "It scatters."},
    ]
    chat = {"id": "sky", "prompt": CHAT, "responses": responses, "metadata": told}
    service.call("POST", "/prompts?project=chat", chat)
    two = [{"id": name, "text": f"Erase {name}"} for name in ("a", "b")]
    erased = {"id": "erased", "prompt": "Erase me", "responses": two}
    service.call("POST", "/prompts?project=chat", erased)
    near = [
        {"prompt": f"Name three rivers of Europe{end}", "responses": [{"text": a}, {"text": b}]}
        for end, a, b in ((".", "Rhine, Po", "Danube"), ("!", "Po", "Elbe"), (" ", "Ebro", "Don"))
    ]
    service.call("POST", "/prompts?project=near", {"prompts": near})
    own = [
        {
            "id": f"v-{number}",
            "prompt": f"Vector {number}?",
            "responses": [
                {"id": f"{number}-{each}", "text": f"{number} {each}", "embedding": vector}
                for each, vector in enumerate(([1, number, 0, 2], [0, 1, 1, 1], [-1, 0, number, 1]))
            ],
        }
        for number in range(8)
    ]
    service.call("POST", "/prompts?project=vectors", {"prompts": own})
    for project in ("default", "chat", "paid", "near", "vectors"):
        service.wait_for_plan(project, service.counts(project)["prompts"])
    more = {"responses": [{"id": "later", "text": "A response that was sampled again."}]}
    service.call("POST", f"/prompts/{prompt_of(service, 'chat', 'sky')}/responses", more)
    service.wait_for_plan("chat", service.counts("chat")["prompts"])


def transcripts() -> list[bytes]:
    """Pairs as Anthropic publishes them."""
    rows = []
    for line in lines("hh-harmless-pairs"):
        pair = json.loads(line)
        start = f"\n\n{pair['prompt']}\n\nAssistant: "
        row = {side: start + pair[side] for side in ("chosen", "rejected")}
        rows.append(json.dumps(row).encode() + b"\n")
    return rows


def import_file(
    service: Filling, release: Release, path: Path, content: list[bytes], project: str, labels: str
) -> None:
    path.write_bytes(b"".join(content))
    where = ["--url", service.url, "--project", project, "--labels", labels]
    command = release.command("import", str(path), *where)
    run(command, env=release.environment(), cwd=release.checkout, check=False)


def label(service: Filling) -> None:
    """Labels of every kind, some undone; some assignments stay held."""
    for by, project, choices in (
        ("ana", "default", ["left", "right", "tie", "both_bad", "skip", "right", None]),
        ("bob", "default", ["right", "left", None]),
        ("eve", "default", ["left", None]),
        ("ana", "chat", ["left", "right", "right", "left", "tie"]),
        ("bob", "chat", ["right", "right", "left", "left", None]),
        ("ana", "vectors", ["left", "right", "both_bad", None]),
        ("ana", "paid", ["left", "right", "skip", None]),
        ("ana", "near", ["left", "right"]),
    ):
        for number, (pair, choice) in enumerate(
            zip(service.claim(by, project, len(choices)), choices, strict=True)
        ):
            if choice is None:
                continue
            more: dict[str, Any] = {"seconds": 12.5 + number}
            if choice in ("left", "right"):
                more |= {"strength": 1 + number % 3, "edited": f"Better, says {by}."}
            service.answer(by, pair, choice, rationale=f"{by} on {project}: é", **more)
    undo(service)
    late_label(service)
    service.call("DELETE", "/assignments/" + service.claim("bob", "default", 2)[1]["assignment_id"])
    service.call("PATCH", "/annotators/eve", {"active": False})
    ranking = {"prompt_id": "v-7", "ranking": [["7-1"], ["7-0", "7-2"]]}
    elsewhere = ranking | {"annotator": "a.person@example.org"}
    service.call("POST", "/labels?project=vectors", elsewhere)
    preferred = {"prompt_id": "erased", "preferred": "b", "rejected": "a", "annotator": "import"}
    service.call("POST", "/labels?project=chat", preferred)
    service.call("DELETE", f"/prompts/{prompt_of(service, 'chat', 'erased')}")


def prompt_of(service: Filling, project: str, external_id: str) -> str:
    prompts = service.call("GET", f"/prompts?project={project}&limit=1000")["prompts"]
    (found,) = [each["id"] for each in prompts if each["external_id"] == external_id]
    return str(found)


def undo(service: Filling) -> None:
    """Withdraw two labels, and answer one of the pairs anew."""
    mine = service.call("GET", "/labels?project=default&annotator=ana")["labels"]
    for number, each in enumerate([each for each in mine if each["choice"] == "right"]):
        service.call("DELETE", f"/labels/{each['id']}", by="ana")
        if number == 0:
            held = service.claim("ana", "default", 2)
            (again,) = [pair for pair in held if pair["pair_id"] == each["pair_id"]]
            service.answer("ana", again, "left", rationale="thought again")


def late_label(service: Filling) -> None:
    """A label whose assignment has lapsed and whose pair somebody else has answered: surplus."""
    (pair,) = service.claim("late", "near", 1, lease=10)
    time.sleep(11)  # until the lease is over
    others = service.claim("ana", "near", 1)
    assert [each["pair_id"] for each in others] == [pair["pair_id"]]
    service.answer("ana", others[0], "right")
    assert service.answer("late", pair, "left")["status"] == "surplus"


def answers(service: Filling) -> dict[str, Any]:
    """What the service answers about all of it."""
    projects = service.call("GET", "/projects")["projects"]
    names = [project["name"] for project in projects]
    held = []
    for by in ("ana", "bob"):
        for project in names if by == "ana" else ("default", "chat"):
            path = f"/next-pairs?project={project}&budget=1"
            if service.counts(project)["held_assignments"]:
                pairs = service.call("GET", path, by=by)["pairs"]
                held += [{"by": by, "project": project, "pair": pair} for pair in pairs]
    return {
        "projects": service.call("GET", "/projects")["projects"],
        "annotators": service.call("GET", "/annotators")["annotators"],
        "prompts": {
            name: service.call("GET", f"/prompts?project={name}&limit=1000")["prompts"]
            for name in names
        },
        "labels": {
            name: service.call("GET", f"/labels?project={name}&limit=1000")["labels"]
            for name in names
        },
        "held": held,
        "exports": [
            {
                "project": project,
                "recipe": recipe,
                "query": query,
                "rows": service.text(f"/exports/{recipe}?project={project}&{query}").splitlines(),
            }
            for project, recipe, query in EXPORTS
        ],
    }


def leave_pending(service: Filling, supervisor: psutil.Process) -> dict[str, Any]:
    """Send prompts that nothing embeds, and kill everything; gives what was answered before."""
    parts = supervisor.children(recursive=True)
    (embedder,) = [part for part in parts if "embedder" in part.cmdline()]
    embedder.suspend()
    for number in range(3):
        texts = [{"text": f"{number} a"}, {"text": f"{number} b"}, {"text": f"{number} c"}]
        pending = {"id": f"pending-{number}", "prompt": f"Pending {number}?", "responses": texts}
        service.call("POST", "/prompts?project=default", pending)
    assert service.counts("default")["pending_prompts"] == 3
    told = answers(service)
    for process in [supervisor, *parts]:
        with contextlib.suppress(psutil.NoSuchProcess):
            # The database's guard stops the database when its owner is gone.
            if "postgres" not in process.name() and "guard" not in " ".join(process.cmdline()):
                process.kill()
    return told


def main() -> None:
    """Make the fixture of one release."""
    checkout, version = Path(sys.argv[1]).absolute(), sys.argv[2]
    kept = KEPT / version
    kept.mkdir(parents=True, exist_ok=True)
    with open_folder() as folder:
        release = Release(checkout, folder / "data")
        log = folder / "serve.log"
        with release.serving(log) as (_, url):
            key = (release.data_dir / "admin.key").read_text().strip()
            service = Filling(url, {"admin": key})
            make_projects(service)
            make_annotators(service)
            send_prompts(service, release, folder)
            label(service)
        with release.serving(log) as (supervisor, url):
            told = leave_pending(Filling(url, service.keys), supervisor)
        told["keys"] = service.keys
        backup = release.command("backup", str(folder / "backup"))
        run(backup, env=release.environment(), cwd=checkout, check=True)
        shutil.copyfile(folder / "backup", kept / "backup")
        for index in (release.data_dir / "index").glob("*.faiss"):
            packed = gzip.compress(index.read_bytes(), mtime=0)
            (kept / f"{index.name}.gz").write_bytes(packed)
        text = json.dumps(told, ensure_ascii=False, indent=1)
        (kept / "answers.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
