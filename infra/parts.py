"""What every process stands on: its database, its place in the stream, its writer."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from loguru import logger

from domain import connectors
from domain.connectors import ConnectorStatus, Workshop
from domain.identity import Viewer
from domain.ports import Clock
from infra.console import step
from infra.feeds.budget import RateBudget
from infra.feeds.checks import FeedChecks
from infra.feeds.guard import Guard
from infra.feeds.status import StatusBook
from infra.feeds.store import StatusRows
from infra.keyring import vault_of
from infra.postgres.database import Database, connector
from infra.postgres.embedded import EmbeddedPostgres
from infra.postgres.janitor import Janitor
from infra.postgres.message_log import PostgresMessageLog
from infra.postgres.nodes import NodeLease
from infra.postgres.partitions import Housekeeper, Partitions
from infra.postgres.roles import ACCOUNTS, API, INGEST
from infra.postgres.tenancy import Tenancy
from infra.postgres.writer import BatchWriter
from infra.realtime.announcement import Announcement
from infra.realtime.bus import Bus
from infra.realtime.channels import (
    CODECS,
    CONNECTORS,
    MESSAGES,
    STATUSES,
    ConnectorBell,
    StatusTicker,
)
from infra.realtime.hub import Hub
from infra.realtime.statuses import StatusBoard
from infra.realtime.streams import Feed
from infra.security.vault import KeyVault
from infra.settings import NEW_KEY, Settings
from infra.startup import CannotRun, require_database, require_migrations
from infra.system import RandomIds, SystemClock

BACKGROUND_POOL = 4
"""Connections of each kind to each role's database, but the API's, whose number the settings say."""


@dataclass(slots=True)
class Parts:
    """What every process has, running.

    `database` is the login role's, for housekeeping; `stream` the ingest role's, for connectors and the writer. Whoever
    asks over GraphQL goes through `tenancy`. `scope` tells this deployment from others on the same Redis.
    """

    settings: Settings
    database: Database
    stream: Database
    tenancy: Tenancy
    bus: Bus
    hub: Hub
    feed: Feed
    writer: BatchWriter
    book: StatusBook
    guard: Guard
    budget: RateBudget
    vault: KeyVault
    bell: ConnectorBell
    process_id: UUID
    scope: str
    clock: SystemClock
    ids: RandomIds

    @property
    def workshop(self) -> Workshop:
        """What making connectors takes."""
        return Workshop(self.vault, FeedChecks(self.guard), self.clock, self.ids)


async def shared_parts(stack: AsyncExitStack, settings: Settings) -> Parts:
    """Parts of a process that shares its database with others: it migrates nothing and makes no keys."""
    if settings.database_url is not None and not settings.encryption_keys:
        raise CannotRun(
            "PENSTOCK_ENCRYPTION_KEYS is not set: processes that share a database share its keys;"
            f" make one with `{NEW_KEY}`"
        )
    if settings.bus_url.get_secret_value().startswith("memory:"):
        logger.warning(
            "PENSTOCK_BUS_URL is memory://: what other processes store is seen a second late; use redis://"
        )
    url = await database_url(stack, settings)
    await require_migrations(url)
    return await parts_on(stack, settings, url)


async def database_url(stack: AsyncExitStack, settings: Settings) -> str:
    """Where the database is; the embedded server is started, for as long as the stack lasts."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        await require_database(url)
        return url
    server = EmbeddedPostgres(settings.data_dir)
    stack.push_async_callback(server.stop)
    with step("Starting PostgreSQL", "PostgreSQL started"):
        url = await server.start()
    await _background(stack, server.keep_running(), "embedded PostgreSQL")
    return url


async def parts_on(stack: AsyncExitStack, settings: Settings, url: str) -> Parts:
    """The parts, started one after the other on a migrated database, and stopped with the stack."""
    clock, ids, process_id = SystemClock(), RandomIds(), uuid4()
    database = await _connected(stack, url, BACKGROUND_POOL)
    stream = await _connected(stack, url, BACKGROUND_POOL, INGEST)
    accounts = await _connected(stack, url, BACKGROUND_POOL, ACCOUNTS)
    tenancy = Tenancy(await _connected(stack, url, settings.pool_size, API), accounts)

    scope = f"@{await database.identity()}"
    bus = Bus(settings.bus_url.get_secret_value(), CODECS, scope=scope)
    hub = Hub(PostgresMessageLog(stream), clock)
    board = StatusBoard(partial(stored_statuses, tenancy, clock))
    bus.receive(MESSAGES, hub.receive)
    bus.receive(STATUSES, board.receive)
    bell = ConnectorBell(bus)
    bus.receive(CONNECTORS, bell.ring)
    try:
        await bus.start()
    except TimeoutError as error:
        raise CannotRun(f"{error}; start it, or correct PENSTOCK_BUS_URL") from None
    stack.push_async_callback(bus.stop)
    await hub.start()
    stack.push_async_callback(hub.stop)

    vault = vault_of(settings)
    ticker = StatusTicker(bus)
    await _background(stack, ticker.run(), "status ticker")
    book = StatusBook(StatusRows(stream), clock, ticker.publish)
    partitions = Partitions(settings.partition_hours)
    keeper = Housekeeper(
        database,
        clock,
        retention_days=settings.retention_days,
        partition_hours=settings.partition_hours,
    )
    await keeper.sweep()
    await _background(stack, keeper.run(), "housekeeper")
    janitor = Janitor(database, clock, audit_days=settings.audit_days)
    await _background(stack, janitor.run(), "janitor")

    async def announce(announcement: Announcement) -> None:
        await bus.publish(MESSAGES, announcement)

    writer = BatchWriter(
        connector(url, application_name="penstock writer", role=INGEST),
        NodeLease(stream.pool, process_id, settings.lease_seconds),
        partitions,
        announce,
        book,
        clock,
        ids,
        batch_rows=settings.batch_rows,
        batch_age_ms=settings.batch_age_ms,
        buffer_rows=settings.buffer_rows,
        shed_after_seconds=settings.shed_after_seconds,
    )
    await writer.start()
    stack.push_async_callback(writer.close)
    return Parts(
        settings=settings,
        database=database,
        stream=stream,
        tenancy=tenancy,
        bus=bus,
        hub=hub,
        feed=Feed(hub, board, clock, lambda viewer: PostgresMessageLog(tenancy.seen_by(viewer))),
        writer=writer,
        book=book,
        guard=Guard(settings.allow_private_addresses),
        budget=RateBudget(),
        vault=vault,
        bell=bell,
        process_id=process_id,
        scope=scope,
        clock=clock,
        ids=ids,
    )


async def _connected(
    stack: AsyncExitStack, url: str, pool_size: int, role: str | None = None
) -> Database:
    database = Database(url, pool_size=pool_size, role=role)
    await database.connect()
    stack.push_async_callback(database.close)
    return database


async def stored_statuses(
    tenancy: Tenancy, clock: Clock, viewer: Viewer, connector_id: UUID | None
) -> Sequence[ConnectorStatus]:
    """How one connector of the viewer's workspace, or all of them, are doing by now."""
    async with tenancy.seen_by(viewer).read() as session:
        stored = await connectors.statuses(session, viewer.workspace_id, connector_id)
    return [connectors.as_of(status, clock.now()) for status in stored]


async def _background(
    stack: AsyncExitStack, work: Coroutine[object, object, None], name: str
) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=5)

    stack.push_async_callback(end)
