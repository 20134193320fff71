"""The key of the annotator `admin`: made on the first start, and kept in the data folder."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import authenticate, ensure_admin, new_key
from app.errors import Unauthenticated
from app.settings import Settings
from app.storage.embedded.folder import DataFolder, write_private
from app.storage.engine import create_engine, session_factory


async def settle_admin_key(settings: Settings, url: str) -> str | None:
    """Make sure that the operator knows the admin's key; return it if it is the kept one.

    If ``ADMIN_KEY`` is set, it becomes the admin's key. Otherwise the kept key is, unless the admin
    was given another one since: then that one stays, and None is returned. If no key is kept, one
    is made. So whoever loses the key gets a new one by deleting ``admin.key``.
    """
    engine = create_engine(url, pool_size=1)
    try:
        async with session_factory(engine)() as session:
            if settings.admin_key is not None:
                await ensure_admin(session, settings.admin_key.get_secret_value())
                await session.commit()
                return None
            return await _kept_or_new_key(session, DataFolder.of(settings.data_dir))
    finally:
        await engine.dispose()


async def _kept_or_new_key(session: AsyncSession, folder: DataFolder) -> str | None:
    """The kept key if it is valid, or a new one.

    A new key is written to ``admin.key.new`` before it is stored in the database, and renamed
    after. If the process crashes in between, the next start continues with that file.
    """
    if folder.admin_key.exists():
        kept = folder.admin_key.read_text().strip()
        if not await _is_valid(session, kept):
            if await ensure_admin(session, None) is None:
                return None
            await ensure_admin(session, kept)
        await session.commit()
        return kept
    fresh = folder.admin_key.with_suffix(".key.new")
    if not fresh.exists():
        write_private(fresh, new_key())
    key = fresh.read_text().strip()
    await ensure_admin(session, key)
    await session.commit()
    fresh.replace(folder.admin_key)
    return key


async def _is_valid(session: AsyncSession, key: str) -> bool:
    try:
        await authenticate(session, f"Bearer {key}")
    except Unauthenticated:
        return False
    return True
