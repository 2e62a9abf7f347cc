"""Ingest processes on a test's database, all in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from domain.connectors import Connector, ConnectorStatus, seal_secrets
from domain.connectors import Secrets as Opened
from infra.feeds.budget import RateBudget
from infra.feeds.guard import Guard
from infra.feeds.named import NamedSecrets
from infra.feeds.plan import RuntimeOptions
from infra.feeds.runtime import Runtime
from infra.feeds.status import StatusBook
from infra.feeds.store import ConnectorStore
from infra.feeds.venues import normalise
from infra.postgres.audit_log import PostgresAuditLog
from infra.postgres.database import Database, connector
from infra.postgres.leases import ConnectorLeases
from infra.postgres.nodes import NodeLease
from infra.postgres.partitions import Partitions
from infra.postgres.tenancy import Tenancy
from infra.postgres.writer import BatchWriter
from infra.realtime.announcement import Announcement
from infra.security.vault import KeyVault
from infra.system import RandomIds, SystemClock
from tests.infra.feeds.factories import FRAME_LIMIT, POLL, QUICK, SOCKET

VAULT = KeyVault([b"k" * 32])
OPTIONS: dict[str, Any] = {
    "lease_seconds": 1.0,
    "look_seconds": 0.1,
    "frame_limit": FRAME_LIMIT,
    "backoff": QUICK,
    "socket": SOCKET,
    "poll": POLL,
    "stop_seconds": 2.0,
}


@dataclass
class Process:
    """One ingest process."""

    runtime: Runtime
    writer: BatchWriter
    book: StatusBook
    published: list[ConnectorStatus] = field(default_factory=list)

    def states(self, of: Connector) -> list[str]:
        told = [status.state.name for status in self.published if status.connector_id == of.id]
        return [state for at, state in enumerate(told) if at == 0 or state != told[at - 1]]

    async def stop(self) -> None:
        await self.runtime.stop(lambda: self.writer.drain(2))

    async def die(self) -> None:
        """End without a word: nothing is stored, told or given back."""
        endings = [
            self.runtime._looker,
            *self.runtime._helpers,
            *(running.task for running in self.runtime._running.values()),
        ]
        tasks = [task for task in endings if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def a_store(database: Database, process_id: UUID | None = None) -> ConnectorStore:
    """A process's store of connectors."""
    clock = SystemClock()
    audit = PostgresAuditLog(Tenancy(database, database), clock)
    named = NamedSecrets(database, VAULT, audit, clock)
    return ConnectorStore(database, VAULT, named, process_id or uuid4())


@asynccontextmanager
async def a_process(database: Database, **changes: Any) -> AsyncIterator[Process]:
    """A started process; stopped at the end if the test has not ended it."""
    process_id, clock, published = uuid4(), SystemClock(), []
    store = a_store(database, process_id)
    book = StatusBook(store, clock, published.append)

    async def announce(announcement: Announcement) -> None:
        pass

    options = OPTIONS | changes
    writer = BatchWriter(
        connector(database.url, application_name="writer"),
        NodeLease(database.pool, process_id, 30.0),
        Partitions(24),
        announce,
        book,
        clock,
        RandomIds(),
    )
    async with writer:
        runtime = Runtime(
            ConnectorLeases(database.pool, process_id, options["lease_seconds"]),
            store,
            writer,
            book,
            Guard(allow_private=True),
            RateBudget(1000),
            normalise,
            clock,
            RandomIds(),
            RuntimeOptions(**options),
        )
        process = Process(runtime, writer, book, published)
        await runtime.start()
        try:
            yield process
        finally:
            await process.stop()


async def save(database: Database, made: Connector, secrets: Opened | None = None) -> Connector:
    """Store a connector and its first status."""
    if secrets is not None:
        made.sealed = seal_secrets(VAULT, made.id, secrets)
    status = ConnectorStatus(
        connector_id=made.id, workspace_id=made.workspace_id, since=made.created_at
    )
    async with database.write() as session:
        session.add(made)
        await session.flush()
        session.add(status)
    return made


async def change(database: Database, made: Connector, **changes: Any) -> None:
    """Change a stored connector's columns."""
    async with database.write() as session:
        stored = await session.get(Connector, made.id)
        assert stored is not None
        for name, value in changes.items():
            setattr(stored, name, value)


async def status(database: Database, of: Connector) -> ConnectorStatus:
    """A connector's stored status."""
    async with database.read() as session:
        stored = await session.get(ConnectorStatus, of.id)
        assert stored is not None
        return stored


async def stored(database: Database, of: Connector) -> list[str]:
    """Sequences of a connector's stored messages, in order of id."""
    rows = await database.pool.fetch(
        "select sequence from messages where connector_id = $1 order by id", of.id
    )
    return [row["sequence"] for row in rows]


async def holder(database: Database, of: Connector) -> UUID | None:
    """The process that has a connector's lease."""
    return (await status(database, of)).leased_by


async def until(condition: Any, seconds: float = 8.0) -> None:
    """Wait until an async condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)
