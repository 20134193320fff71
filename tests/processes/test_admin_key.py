"""The admin's key: kept where the operator finds it, and never set back behind the admin."""

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.accounts.service import authenticate, rotate_key
from app.errors import Unauthenticated
from app.processes.admin_key import settle_admin_key
from app.settings import Settings
from app.storage.embedded.folder import DataFolder

Sessions = async_sessionmaker[AsyncSession]


async def settle(settings: Settings) -> str | None:
    return await settle_admin_key(settings, str(settings.database_url))


async def opens(sessions: Sessions, key: str) -> bool:
    async with sessions() as session:
        try:
            return (await authenticate(session, f"Bearer {key}")).is_admin
        except Unauthenticated:
            return False


async def rotate(sessions: Sessions) -> str:
    async with sessions.begin() as session:
        return await rotate_key(session, "admin")


async def test_the_first_start_makes_a_key_and_keeps_it_closed_to_others(
    settings: Settings, sessions: Sessions
) -> None:
    key = await settle(settings)
    assert key is not None
    assert await opens(sessions, key)
    kept = DataFolder.of(settings.data_dir).admin_key
    assert kept.read_text().strip() == key
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["admin.key"]


async def test_the_next_starts_keep_the_key(settings: Settings, sessions: Sessions) -> None:
    assert await settle(settings) == await settle(settings)


async def test_a_key_that_was_replaced_since_stays_dead(
    settings: Settings, sessions: Sessions
) -> None:
    first = await settle(settings)
    assert first is not None
    second = await rotate(sessions)
    assert await settle(settings) is None
    assert await opens(sessions, second)
    assert not await opens(sessions, first)


async def test_deleting_the_kept_key_is_the_way_back_in(
    settings: Settings, sessions: Sessions
) -> None:
    await settle(settings)
    lost = await rotate(sessions)
    DataFolder.of(settings.data_dir).admin_key.unlink()
    key = await settle(settings)
    assert key is not None
    assert await opens(sessions, key)
    assert not await opens(sessions, lost)


@pytest.mark.parametrize("database_has_it", [False, True])
async def test_a_crash_between_file_and_database_is_mended(
    settings: Settings, sessions: Sessions, database_has_it: bool
) -> None:
    kept = DataFolder.of(settings.data_dir).admin_key
    key = await settle(settings)
    assert key is not None
    if not database_has_it:
        await rotate(sessions)
    kept.replace(kept.with_suffix(".key.new"))
    assert await settle(settings) == key
    assert await opens(sessions, key)
    assert kept.read_text().strip() == key


async def test_a_kept_key_opens_a_new_database_too(settings: Settings, sessions: Sessions) -> None:
    kept = DataFolder.of(settings.data_dir).admin_key
    kept.write_text("a-key-from-an-earlier-database\n")
    assert await settle(settings) == "a-key-from-an-earlier-database"
    assert await opens(sessions, "a-key-from-an-earlier-database")


async def test_admin_key_of_the_environment_is_always_the_admins(
    settings: Settings, sessions: Sessions
) -> None:
    await settle(settings)
    chosen = settings.model_copy(update={"admin_key": SecretStr("chosen-by-the-operator")})
    for _ in range(2):
        assert await settle(chosen) is None
        assert await opens(sessions, "chosen-by-the-operator")
        await rotate(sessions)
