"""How a part of the service (API, embedder, planner) ends when it should."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine


def run_until_stopped(work: Coroutine[None, None, None]) -> None:
    """Run a part until it ends, and cancel it on SIGTERM or Ctrl-C."""

    async def stoppable() -> None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for asked in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(asked, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if not task.cancelled():
                raise

    asyncio.run(stoppable())


def end_with_owner(owner: int, grace_seconds: float) -> None:
    """End this process when the supervisor's end of the pipe ``owner`` closes.

    The supervisor never writes to it; it closes when the supervisor is gone, in whatever way. The
    process is asked to stop as by SIGTERM, and killed if it has not after ``grace_seconds``.
    """
    threading.Thread(
        target=_wait_and_end, args=(owner, grace_seconds), name="owner", daemon=True
    ).start()


def _wait_and_end(owner: int, grace_seconds: float) -> None:
    while os.read(owner, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(grace_seconds)
    os.kill(os.getpid(), signal.SIGKILL)
