"""The connection to Postgres: one engine a process."""

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

_DRIVER = "postgresql+psycopg"


def create_engine(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """An async engine over psycopg 3, with at most ``pool_size`` connections.

    When a connection turns out to be dead (the server restarted), all are replaced. The request
    that found out is answered 503, and is safe to repeat.
    """
    return create_async_engine(
        make_url(url).set(drivername=_DRIVER),
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"application_name": "annotation-budget"},
    )


def session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Sessions whose objects stay readable after the commit."""
    return async_sessionmaker(engine, expire_on_commit=False)


def raw_dsn(url: str) -> str:
    """The same address in libpq's form, for psycopg without SQLAlchemy."""
    rendered = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    address, mark, query = rendered.partition("?")
    # libpq takes a plus as a plus: the socket's folder may have a space in its name.
    return address + mark + query.replace("+", "%20")
