"""Background tasks end with their block, and a failure is logged."""

import asyncio

import structlog

from app.storage.background import BackgroundTasks


async def test_tasks_end_with_the_block() -> None:
    async with BackgroundTasks() as tasks:
        task = tasks.start(asyncio.sleep(3600))
    assert task.cancelled()


async def test_a_failure_is_logged_at_once_and_does_not_end_the_block() -> None:
    async def fail() -> None:
        raise ValueError("a reason")

    with structlog.testing.capture_logs() as logged:
        async with BackgroundTasks() as tasks:
            await asyncio.wait([tasks.start(fail())])
            await asyncio.sleep(0)
            assert [line["log_level"] for line in logged] == ["error"]
    assert isinstance(logged[0]["exc_info"], ValueError)
