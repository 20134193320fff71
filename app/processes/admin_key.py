"""The key of the annotator `admin`: made on the first start, and kept in the data folder."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.service import authenticate, ensure_admin, new_key
from app.errors import Unauthenticated
from app.settings import Settings
from app.storage.embedded.folder import DataFolder, write_private
from app.storage.engine import create_engine, session_factory


async def settle_admin_key(settings: Settings, url: str) -> str | None:
    """Have an admin whose key the operator knows; the key, if it is the one we keep.

    ``ADMIN_KEY`` is always the admin's key. Otherwise the kept key is, unless the admin was given
    another one since: that one stays, and the answer is None. Where none is kept, one is made; so
    deleting ``admin.key`` is the way back in for somebody who lost the key.
    """
    engine = create_engine(url, pool_size=1)
    try:
        async with session_factory(engine)() as session:
            if settings.admin_key is not None:
                await ensure_admin(session, settings.admin_key.get_secret_value())
                await session.commit()
                return None
            return await _keep_a_key(session, DataFolder.of(settings.data_dir))
    finally:
        await engine.dispose()


async def _keep_a_key(session: AsyncSession, folder: DataFolder) -> str | None:
    """The kept key if it opens, or a new one.

    A new one is on disk as ``admin.key.new`` before the database has it, and gets its name after:
    a crash in between leaves a file that the next start finishes.
    """
    if folder.admin_key.exists():
        kept = folder.admin_key.read_text().strip()
        if not await _opens(session, kept):
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


async def _opens(session: AsyncSession, key: str) -> bool:
    try:
        await authenticate(session, f"Bearer {key}")
    except Unauthenticated:
        return False
    return True
