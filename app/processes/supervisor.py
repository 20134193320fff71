"""Keep the parts of the service running, each in a process of its own, and stop them."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

from app.errors import EmbeddedPostgresError
from app.storage.embedded.postgres import EmbeddedPostgres

log = structlog.get_logger()

FIRST_BACKOFF_SECONDS = 0.25
MAX_BACKOFF_SECONDS = 30.0
STEADY_SECONDS = 30.0
"""A part that ran this long had started well, so its next restart waits the shortest time."""
_TICK_SECONDS = 1.0
_STOP_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Part:
    """A process to keep running; ``inherited`` are the file descriptors it gets from us."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    inherited: tuple[int, ...] = ()


class StopAsked(BaseException):
    """SIGTERM or Ctrl-C came during something slow."""


class Supervisor:
    """Starts the parts, restarts those that die, and stops all of them.

    Each part is a session of its own, so a terminal's Ctrl-C reaches only the supervisor. A part's
    standard input is a pipe from the supervisor: it closes when the supervisor is killed, and then
    the part ends.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        shutdown_seconds: float,
        database: EmbeddedPostgres | None = None,
    ) -> None:
        self._parts = [_Running(part) for part in parts]
        self._database = database
        self._database_backoff = _Backoff()
        self._shutdown_seconds = shutdown_seconds

    def run(self, signals: "StopSignals") -> None:
        """Keep everything running until SIGTERM or Ctrl-C, then stop the parts."""
        try:
            while not signals.asked:
                now = time.monotonic()
                self._keep_database_alive(now, signals)
                for part in self._parts:
                    part.keep_alive(now)
                signals.wait(_TICK_SECONDS if self._all_well() else FIRST_BACKOFF_SECONDS / 2)
        except StopAsked:
            pass
        finally:
            self.stop()

    def stop(self) -> None:
        """Ask every part to end, and kill those that have not after ``shutdown_seconds``."""
        for part in self._parts:
            part.signal(signal.SIGTERM)
        deadline = time.monotonic() + self._shutdown_seconds
        while any(part.alive for part in self._parts) and time.monotonic() < deadline:
            time.sleep(_STOP_POLL_SECONDS)
        for part in self._parts:
            part.end()

    def _all_well(self) -> bool:
        return all(part.alive for part in self._parts) and (
            self._database is None or self._database.running
        )

    def _keep_database_alive(self, now: float, signals: "StopSignals") -> None:
        """Restart the database if it died; the parts wait for it by themselves."""
        if self._database is None or self._database.running or not self._database_backoff.over(now):
            return
        log.warning("the database died, starting it again")
        try:
            with signals.raising():
                self._database.start()
        except EmbeddedPostgresError as error:
            log.error("the database does not start", reason=str(error))
            self._database_backoff.begin(time.monotonic())
        else:
            log.info("the database is back")
            self._database_backoff = _Backoff()


@dataclass(slots=True)
class _Backoff:
    """The wait before the next start; it doubles with every death soon after a start."""

    failures: int = 0
    until: float = 0.0

    def over(self, now: float) -> bool:
        """Whether the wait is over."""
        return now >= self.until

    def begin(self, now: float) -> float:
        """Begin the next wait, and return its length in seconds."""
        seconds: float = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**self.failures)
        self.failures += 1
        self.until = now + seconds
        return seconds


@dataclass(slots=True)
class _Running:
    """A part and its current process."""

    part: Part
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    backoff: _Backoff = field(default_factory=_Backoff)

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def keep_alive(self, now: float) -> None:
        """Start the process if it is not running, unless its wait is not over."""
        if self.alive:
            return
        if self.process is not None:
            self._record_death(now)
        if self.backoff.over(now):
            self._start(now)

    def signal(self, asked: signal.Signals) -> None:
        """Send a signal to the process, if there is one."""
        if self.process is not None:
            self.process.send_signal(asked)

    def end(self) -> None:
        """Kill what is left of the process and of the processes that it started."""
        if self.process is None:
            return
        if self.process.poll() is None:
            log.warning("a part did not stop in time, killing it", part=self.part.name)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._close()

    def _start(self, now: float) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own command line
            self.part.command,
            env=dict(self.part.environment),
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=self.part.inherited,
        )
        self.started_at = now
        log.info("part started", part=self.part.name, pid=self.process.pid)

    def _record_death(self, now: float) -> None:
        assert self.process is not None
        if now - self.started_at > STEADY_SECONDS:
            self.backoff = _Backoff()
        seconds = self.backoff.begin(now)
        log.warning(
            "part died, starting it again",
            part=self.part.name,
            status=self.process.returncode,
            wait_seconds=seconds,
        )
        self._close()

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process = None


class StopSignals:
    """SIGTERM and Ctrl-C as a flag, and a wait that ends early when they come or a child dies."""

    def __init__(self) -> None:
        self.asked = False
        self._raise = False
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    @contextlib.contextmanager
    def installed(self) -> Iterator["StopSignals"]:
        """Handle the signals, and restore the previous handlers at the end."""
        handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            # Without a handler, SIGCHLD would not wake the wait.
            signal.SIGCHLD: lambda *_: None,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        wakeup = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        try:
            yield self
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._woken.close()
            self._waker.close()

    @contextlib.contextmanager
    def raising(self) -> Iterator[None]:
        """Raise ``StopAsked`` inside when asked to stop; at once if that was before."""
        self._raise = True
        try:
            if self.asked:
                raise StopAsked
            yield
        finally:
            self._raise = False

    def wait(self, seconds: float) -> None:
        """Sleep until a signal comes, for at most ``seconds``."""
        select.select([self._woken], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        if self._raise:
            self._raise = False
            raise StopAsked
