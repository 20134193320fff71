"""The service under its supervisor: what dies comes back, what stops leaves nothing behind."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from app.errors import CommandFailed
from app.processes.listening import address_of, listen
from app.processes.supervisor import Part, StopAsked, StopSignals, Supervisor, _Backoff

POLL_SECONDS = 0.02
COMMAND = [sys.executable, "-P", "-m", "app.cli"]
SETTINGS = ("DATA_DIR", "DATABASE_URL", "REDIS_URL", "ADMIN_KEY", "HOST", "PORT")

TELL = "import os, sys; print(os.getpid(), file=open(sys.argv[1], 'a'), flush=True); "
PATIENT = TELL + "sys.stdin.read()"
FAILING = TELL + "sys.exit(1)"
STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    + TELL
    + (
        "import subprocess; child = subprocess.Popen(['sleep', '600']); "
        "print(child.pid, file=open(sys.argv[1], 'a'), flush=True); child.wait()"
    )
)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come to hold in {seconds:.0f} s"
        time.sleep(POLL_SECONDS)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pids_in(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def part(script: str, file: Path) -> Part:
    return Part("part", [sys.executable, "-c", script, str(file)], dict(os.environ))


@contextlib.contextmanager
def supervised(*parts: Part, shutdown_seconds: float = 10.0) -> Iterator[Supervisor]:
    """A supervisor at work in a thread, stopped at the end."""
    supervisor = Supervisor(parts, shutdown_seconds=shutdown_seconds)
    with StopSignals().installed() as signals:
        worker = threading.Thread(target=supervisor.run, args=(signals,))
        worker.start()
        try:
            yield supervisor
        finally:
            signal.raise_signal(signal.SIGTERM)
            worker.join()


def test_a_part_that_dies_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    with supervised(part(PATIENT, tmp_path / "a"), part(PATIENT, tmp_path / "b")):
        wait_until(lambda: bool(pids_in(tmp_path / "a") and pids_in(tmp_path / "b")))
        os.kill(pids_in(tmp_path / "a")[0], signal.SIGKILL)
        wait_until(lambda: len(pids_in(tmp_path / "a")) == 2)
        assert len(pids_in(tmp_path / "b")) == 1
    assert all(gone(pid) for pid in pids_in(tmp_path / "a") + pids_in(tmp_path / "b"))


def test_a_part_that_fails_at_once_is_tried_ever_more_slowly(tmp_path: Path) -> None:
    begin = time.monotonic()
    with supervised(part(FAILING, tmp_path / "a")):
        wait_until(lambda: len(pids_in(tmp_path / "a")) == 3)
    assert time.monotonic() - begin > 0.25 + 0.5


def test_the_wait_before_a_start_doubles_up_to_half_a_minute() -> None:
    backoff = _Backoff()
    waits = [backoff.begin(now=100.0) for _ in range(9)]
    assert waits == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]
    assert not backoff.over(129.9)
    assert backoff.over(130.0)


def test_a_part_that_does_not_stop_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    begin = time.monotonic()
    with supervised(part(STUBBORN, tmp_path / "a"), shutdown_seconds=0.3):
        wait_until(lambda: len(pids_in(tmp_path / "a")) == 2)
    wait_until(lambda: all(gone(pid) for pid in pids_in(tmp_path / "a")))
    assert time.monotonic() - begin < 10


def test_a_stop_that_came_before_something_slow_prevents_it() -> None:
    with StopSignals().installed() as signals:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopAsked), signals.raising():
            pytest.fail("it was begun")


def test_a_part_ends_when_its_owner_is_gone() -> None:
    script = (
        "import sys, threading; from app.processes.stopping import end_with_owner; "
        "end_with_owner(0, 0.2); {}; print('up', flush=True); threading.Event().wait()"
    )
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    for extra, status in (("pass", -signal.SIGTERM), (deaf, -signal.SIGKILL)):
        with subprocess.Popen(
            [sys.executable, "-c", script.format(extra)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == b"up\n"
            process.stdin.close()
            assert process.wait(20) == status


def test_port_0_takes_a_free_port_and_a_taken_one_is_told() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert address_of(listener) == f"http://127.0.0.1:{port}"
        with pytest.raises(CommandFailed, match=f"Port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_told() -> None:
    with pytest.raises(CommandFailed, match="Cannot listen on"):
        listen("192.0.2.1", 0)
    with pytest.raises(CommandFailed, match="is not an address"):
        listen("no such host", 0)


def test_a_socket_on_every_address_is_opened_on_this_machine() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")
    if socket.has_ipv6:
        with contextlib.suppress(CommandFailed), listen("::1", 0) as listener:
            assert address_of(listener).startswith("http://[::1]:")


@dataclass
class Service:
    """A `serve` that answers."""

    process: "subprocess.Popen[str]"
    url: str
    said: list[str]

    def pid_of(self, name: str) -> int | None:
        """The process of a part (or `postgres`) that lives now."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = child.cmdline()
                is_part = words[1:5] == [*COMMAND[1:], name]
                is_server = name == "postgres" and words[1:2] == ["-D"]
                if is_part or is_server:
                    return child.pid
        return None

    def has_another(self, name: str, pid: int) -> bool:
        """Whether a part lives that is not ``pid``."""
        return self.pid_of(name) not in {None, pid}

    def holds(self, name: str, library: str) -> bool:
        """Whether a part's process has a library loaded."""
        return library in Path(f"/proc/{self.pid_of(name)}/maps").read_text()

    def everything(self) -> list[psutil.Process]:
        """The supervisor and all it has started."""
        whole = psutil.Process(self.process.pid)
        return [whole, *whole.children(recursive=True)]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that Postgres's user may enter."""
    made = Path(tempfile.mkdtemp(prefix="ab-supervisor-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SETTINGS}


def serve_command(data_dir: Path, port: int) -> list[str]:
    return [*COMMAND, "serve", "--data-dir", str(data_dir), "--port", str(port)]


@contextlib.contextmanager
def serving(folder: Path, port: int = 0) -> Iterator[Service]:
    """`serve` on the module's data folder; killed at the end if it still runs."""
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            serve_command(folder / "data", port),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    with process:
        try:
            said = []
            for line in process.stdout:
                said.append(line.rstrip())
                if "Admin key" in line:
                    break
            api = [line.split()[-1] for line in said if line.split()[0] == "API"]
            assert api, (folder / "log").read_text()[-4000:]
            yield Service(process, api[0], said)
        finally:
            process.kill()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url, timeout=10, trust_env=False).status_code == 200
    return False


@pytest.mark.e2e
def test_serve_tells_its_addresses_and_keeps_its_key_out_of_logs(folder: Path) -> None:
    with serving(folder) as service:
        assert answers(f"{service.url}/healthz")
        assert service.said[1].split()[-1] == f"{service.url}/sign-in"
        assert service.said[2].split()[-1] == service.url
        assert service.said[3].split()[-1] == f"{service.url}/docs"
        kept = folder / "data" / "admin.key"
        key = kept.read_text().strip()
        assert key not in " ".join(service.said)  # nobody sits at a terminal
        assert kept.stat().st_mode & 0o777 == 0o600
        opened = httpx.get(
            f"{service.url}/annotators", headers={"Authorization": f"Bearer {key}"}, trust_env=False
        )
        assert opened.status_code == 200
        passwords = (folder / "data" / "postgres.password").read_text().strip()
        for process in service.everything():
            assert passwords not in " ".join(process.cmdline())

        second = subprocess.run(
            serve_command(folder / "data", 0),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"is in use by process {service.process.pid}" in second.stderr
        assert "Traceback" not in second.stderr

        taken = int(service.url.rpartition(":")[2])
        third = subprocess.run(
            serve_command(folder / "other", taken),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert third.returncode == 1
        assert f"Port {taken} of 127.0.0.1 is in use" in third.stderr
        assert "Traceback" not in third.stderr

        everything = service.everything()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        assert [process for process in everything if not gone(process.pid)] == []


@pytest.mark.e2e
def test_what_is_killed_comes_back_and_no_two_of_the_heavy_libraries_meet(folder: Path) -> None:
    with serving(folder) as service:
        for name in ("embedder", "planner", "postgres", "api"):
            killed = service.pid_of(name)
            assert killed is not None, name
            os.kill(killed, signal.SIGKILL)
            wait_until(partial(service.has_another, name, killed), what=f"another {name}")
        wait_until(lambda: answers(f"{service.url}/readyz"), what="/readyz")

        wait_until(lambda: service.holds("embedder", "libtorch"), 60, "torch in the embedder")
        wait_until(lambda: service.holds("planner", "faiss"), 60, "FAISS in the planner")
        assert not service.holds("embedder", "faiss")
        assert not service.holds("planner", "libtorch")
        assert not service.holds("api", "faiss")
        assert not service.holds("api", "libtorch")

        everything = service.everything()
        os.killpg(service.process.pid, signal.SIGINT)
        assert service.process.wait(30) == 0
        assert [process for process in everything if not gone(process.pid)] == []


@pytest.mark.e2e
def test_a_killed_supervisor_takes_everything_along_and_serve_works_again(folder: Path) -> None:
    with serving(folder) as service:
        everything = service.everything()
        port = int(service.url.rpartition(":")[2])
        service.process.kill()
        service.process.wait()
        begin = time.monotonic()
        with serving(folder, port) as again:
            assert answers(f"{again.url}/healthz")
            assert time.monotonic() - begin < 10
            wait_until(lambda: all(gone(process.pid) for process in everything))
            everything = again.everything()
            for process in everything:
                with contextlib.suppress(psutil.NoSuchProcess):  # what saw its owner go, went
                    process.kill()
        wait_until(lambda: all(gone(process.pid) for process in everything))
    with serving(folder, port) as last:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", last.url)
        last.process.send_signal(signal.SIGTERM)
        assert last.process.wait(30) == 0
