"""The database: typed SQLAlchemy sessions for entities, an asyncpg pool for the hot path."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeAlias

import asyncpg
import stamina
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

CONNECT_TIMEOUT_SECONDS = 10.0
STATEMENT_TIMEOUT_SECONDS = 30.0
_NOT_YET = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)
_MODEST_IDENTITY = (
    "select oid || '-' || datname from pg_database where datname = current_database()"
)
_IDENTITY = """
    select system_identifier || '-' || oid from pg_control_system(), pg_database
    where datname = current_database()
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""An asyncpg connection, whether the pool lent it or not."""


class ReadSession(AsyncSession):
    """A session whose transaction PostgreSQL refuses writes in."""


class WriteSession(ReadSession):
    """A session that commits when its block ends well, and rolls back otherwise."""


def plain_url(url: str) -> str:
    """The URL as asyncpg takes it, whichever way its scheme was written."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ValueError("a database URL starts with postgresql://")
    return f"postgresql://{rest}"


def connector(
    url: str,
    statement_timeout_seconds: float | None = None,
    application_name: str = "penstock",
) -> "Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]":
    """A function that opens one connection; TLS and other parameters of the URL apply as asyncpg reads them."""
    dsn = plain_url(url)
    settings = server_settings(application_name, statement_timeout_seconds)

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=settings)

    return connect


def server_settings(
    application_name: str, statement_timeout_seconds: float | None
) -> dict[str, str]:
    """What every connection asks of the server; no statement timeout when None."""
    settings = {"application_name": application_name, "timezone": "UTC", "jit": "off"}
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = f"{round(statement_timeout_seconds * 1000)}ms"
    return settings


class Database:
    """One database and this process's connections to it; make it, `connect`, use it, `close`."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
        application_name: str = "penstock",
    ) -> None:
        self.url = plain_url(url)
        self._pool_size = pool_size
        self._statement_timeout_seconds = statement_timeout_seconds
        self._application_name = application_name
        self._engine: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def connect(self, timeout_seconds: float = 30.0) -> None:
        """Open the pools, retrying while the server starts; raises what the last attempt raised."""
        async for attempt in stamina.retry_context(
            on=_NOT_YET, attempts=None, timeout=timeout_seconds, wait_initial=0.1, wait_max=2.0
        ):
            with attempt:
                self._pool = await self._open_pool()
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connector(
                self.url, self._statement_timeout_seconds, self._application_name
            ),
            pool_size=self._pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
            pool_pre_ping=True,
            pool_recycle=1800,
        )
        self._reader = self._engine.execution_options(postgresql_readonly=True)

    async def close(self, timeout_seconds: float = 5.0) -> None:
        """Close every connection; those still busy after the timeout are cut."""
        engine, pool = self._engine, self._pool
        self._engine = self._reader = self._pool = None
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                if engine is not None:
                    await engine.dispose()
                if pool is not None:
                    await pool.close()
        if pool is not None:
            pool.terminate()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine; raises RuntimeError before `connect`."""
        if self._engine is None:
            raise RuntimeError("the database is not connected")
        return self._engine

    @property
    def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        """The asyncpg pool for COPY and column reads; JSON is text both ways. Raises RuntimeError before `connect`."""
        if self._pool is None:
            raise RuntimeError("the database is not connected")
        return self._pool

    async def identity(self) -> str:
        """What tells this database from every other, wherever it is reached and however often restarted."""
        try:
            identity = await self.pool.fetchval(_IDENTITY)
        except asyncpg.InsufficientPrivilegeError:
            identity = await self.pool.fetchval(_MODEST_IDENTITY)
        return str(identity)

    @asynccontextmanager
    async def acquire(
        self, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    ) -> AsyncIterator[Connection]:
        """An asyncpg connection of the pool; raises TimeoutError when none comes free in time."""
        async with self.pool.acquire(timeout=timeout_seconds) as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """A session in a read-only transaction."""
        if self._reader is None:
            raise RuntimeError("the database is not connected")
        async with ReadSession(self._reader, expire_on_commit=False, autoflush=False) as session:
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[WriteSession]:
        """A session that commits at the end of the block, or rolls back when the block raises."""
        async with (
            WriteSession(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    async def _open_pool(self) -> Any:
        return await asyncpg.create_pool(
            self.url,
            min_size=1,
            max_size=self._pool_size,
            max_inactive_connection_lifetime=300.0,
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings=server_settings(
                self._application_name, self._statement_timeout_seconds
            ),
        )
