"""A small process between the service and Postgres, so that Postgres never outlives the service.

It runs as a script: ``python -I -S guard.py OPTIONS -- COMMAND``, and imports nothing of ours.
Its standard input is a pipe from its owner. When the pipe closes, because the owner closed it or
was killed, the guard shuts Postgres down. When the guard itself is killed, Linux does the same by
the parent-death signal; on other systems the next start stops the orphan.

It also writes Postgres's log and bounds its size.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1
FAST_SHUTDOWN = signal.SIGINT
"""Postgres ends every session, writes a checkpoint and exits."""
_FAST_SHUTDOWN_SECONDS = 60.0
_IMMEDIATE_SHUTDOWN_SECONDS = 5.0
_LOG_DRAIN_SECONDS = 1.0


def main() -> int:
    """Run the command until it ends or the owner is gone, and return its exit status."""
    options = _options()
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    privileges = (
        {}
        if options.uid is None
        else {"user": options.uid, "group": options.gid, "extra_groups": []}
    )
    server = subprocess.Popen(  # noqa: S603 - our owner says what to run
        options.command,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_dying_with_parent(),  # noqa: PLW1509 - no other thread runs yet
        **privileges,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(FAST_SHUTDOWN))
    assert server.stdout is not None
    log = threading.Thread(
        target=_write_log, args=(server.stdout, options.log, options.log_bytes), daemon=True
    )
    log.start()
    threading.Thread(target=_stop_after_owner, args=(server,), daemon=True).start()
    status = server.wait()
    log.join(_LOG_DRAIN_SECONDS)
    return status if status >= 0 else 128 - status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--log-bytes", type=int, required=True)
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def _dying_with_parent() -> Callable[[], None] | None:
    """For the child to call before ``exec``: Linux shuts it down when the guard dies."""
    if not sys.platform.startswith("linux"):
        return None
    guard = os.getpid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, int(FAST_SHUTDOWN))
        if os.getppid() != guard:
            os._exit(1)

    return ask


def _stop_after_owner(server: "subprocess.Popen[bytes]") -> None:
    """When the owner's end of the pipe closes, stop the server, by stronger signals if needed."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    server.send_signal(FAST_SHUTDOWN)
    for seconds, stronger in (
        (_FAST_SHUTDOWN_SECONDS, signal.SIGQUIT),
        (_IMMEDIATE_SHUTDOWN_SECONDS, signal.SIGKILL),
    ):
        try:
            server.wait(seconds)
        except subprocess.TimeoutExpired:
            server.send_signal(stronger)


def _write_log(lines: BinaryIO, path: Path, limit_bytes: int) -> None:
    """Append the server's output to ``path``; at the limit, ``path`` is renamed to ``path.1``."""
    log = _open(path)
    for line in lines:
        try:
            if os.fstat(log).st_size + len(line) > limit_bytes:
                path.replace(path.with_name(path.name + ".1"))
                os.close(log)
                log = _open(path)
            os.write(log, line)
        except OSError:
            # A full disk costs lines of the log; an unread pipe would block the database.
            continue


def _open(path: Path) -> int:
    """A descriptor of the log, which only its owner may read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


if __name__ == "__main__":
    # Not sys.exit: backends that are still ending hold the log pipe, and nothing waits for them.
    os._exit(main())
