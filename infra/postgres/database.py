"""The database: typed SQLAlchemy sessions for entities, an asyncpg pool for the hot path."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Protocol, Self, TypeAlias, cast

import asyncpg
import stamina
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlmodel.ext.asyncio.session import AsyncSession

from infra.postgres.auditing import AuditedSession
from infra.postgres.roles import API
from infra.postgres.viewing import ViewingConnection

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


class Source(Protocol):
    """Where the hot path's connections come from: a `Database`, or one seen by somebody."""

    def acquire(self) -> AbstractAsyncContextManager[Connection]:
        """A connection to read by."""

    def snapshot(self) -> AbstractAsyncContextManager[Connection]:
        """A connection whose statements all see the same state of the database."""


class ReadSession(AsyncSession):
    """A session whose transaction PostgreSQL refuses writes in."""


class WriteSession(ReadSession):
    """A session that commits when its block ends well, and rolls back otherwise."""

    sync_session_class = AuditedSession


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
    role: str | None = None,
) -> "Callable[[], Awaitable[asyncpg.Connection[asyncpg.Record]]]":
    """A function that opens one connection; TLS and other parameters of the URL apply as asyncpg reads them.

    With a role (of `infra.postgres.roles`) it has that role's rights instead of the URL's user's.
    """
    dsn = plain_url(url)
    settings = server_settings(application_name, statement_timeout_seconds, role)
    kind = _kind(role)

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        return await asyncpg.connect(
            dsn, timeout=CONNECT_TIMEOUT_SECONDS, server_settings=settings, connection_class=kind
        )

    return connect


def server_settings(
    application_name: str, statement_timeout_seconds: float | None, role: str | None = None
) -> dict[str, str]:
    """What every connection asks of the server; no statement timeout, no role when None."""
    settings = {"application_name": application_name, "timezone": "UTC", "jit": "off"}
    if role is not None:
        settings["role"] = role
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = f"{round(statement_timeout_seconds * 1000)}ms"
    return settings


def _kind(role: str | None) -> "type[asyncpg.Connection[asyncpg.Record]]":
    return ViewingConnection if role == API else asyncpg.Connection


class Database:
    """One database and this process's connections to it; make it, `connect`, use it, `close`.

    All its connections have one role's rights: the URL's user's, or those of a role of `infra.postgres.roles`.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
        application_name: str = "penstock",
        role: str | None = None,
    ) -> None:
        self.url = plain_url(url)
        self.role = role
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
                self.url, self._statement_timeout_seconds, self._application_name, self.role
            ),
            pool_size=self._pool_size,
            max_overflow=0,
            pool_timeout=CONNECT_TIMEOUT_SECONDS,
            pool_recycle=1800,
        )
        event.listen(self._engine.sync_engine, "checkout", _refuse_closed)
        if self.role == API:
            event.listen(self._engine.sync_engine, "checkin", _forget_viewer)
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
    def connections(self) -> tuple[int, int]:
        """Connections in use and idle, of both pools."""
        pool, engine = self.pool, cast("QueuePool", self.engine.sync_engine.pool)
        idle, waiting = pool.get_idle_size(), engine.checkedin()
        return pool.get_size() - idle + engine.checkedout(), idle + waiting

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
    async def snapshot(self) -> AsyncIterator[Connection]:
        """An asyncpg connection whose statements all see the same state of the database."""
        async with (
            self.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    @asynccontextmanager
    async def read(self, info: dict[Any, Any] | None = None) -> AsyncIterator[ReadSession]:
        """A session in a read-only transaction; `info` becomes its `info`."""
        if self._reader is None:
            raise RuntimeError("the database is not connected")
        async with ReadSession(
            self._reader, expire_on_commit=False, autoflush=False, info=info
        ) as session:
            yield session

    @asynccontextmanager
    async def write(self, info: dict[Any, Any] | None = None) -> AsyncIterator[WriteSession]:
        """A session that commits at the end of the block, or rolls back when the block raises."""
        async with (
            WriteSession(self.engine, expire_on_commit=False, info=info) as session,
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
            connection_class=_kind(self.role),
            server_settings=server_settings(
                self._application_name, self._statement_timeout_seconds, self.role
            ),
        )


def _refuse_closed(
    connection: DBAPIConnection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Have the pool replace a connection whose server is gone; asking the server would take three round trips."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _forget_viewer(connection: DBAPIConnection | None, _entry: ConnectionPoolEntry) -> None:
    if connection is not None:
        connection.driver_connection.begin_as("")
