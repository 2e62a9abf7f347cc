"""A writer on a test's database, and what it told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from domain.connectors import ConnectorStatus
from domain.messages import Tick
from infra.feeds.arrival import Arrival
from infra.postgres.database import Database, connector
from infra.postgres.nodes import NodeLease
from infra.postgres.partitions import Partitions
from infra.postgres.roles import INGEST
from infra.postgres.writer import BatchWriter
from infra.realtime.announcement import Announcement
from infra.system import RandomIds, SystemClock
from tests import factories
from tests.factories import HOME_WORKSPACE_ID

LEASE_SECONDS = 30.0


@dataclass
class Observer:
    """Remembers what became of arrivals."""

    stored: list[tuple[UUID, int]] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    lost: list[Tick] = field(default_factory=list)
    lost_frames: int = 0

    def committed(
        self,
        connector_id: UUID,
        messages: int,
        last_received_at: datetime,
        delays_ms: Sequence[float],
    ) -> None:
        self.stored.append((connector_id, messages))
        self.delays_ms += delays_ms

    def shed(self, connector_id: UUID, ticks: Sequence[Tick], frames: int) -> None:
        self.lost += ticks
        self.lost_frames += frames


@dataclass
class Announcements:
    """Remembers what was announced; `answer` runs at every announcement."""

    heard: list[Announcement] = field(default_factory=list)
    answer: Callable[[], Any] | None = None

    async def __call__(self, announcement: Announcement) -> None:
        if self.answer is not None:
            await self.answer()
        self.heard.append(announcement)

    @property
    def ids(self) -> list[int]:
        return [row[0] for announcement in self.heard for row in announcement.rows]


@dataclass
class Writing:
    writer: BatchWriter
    observer: Observer
    announced: Announcements
    lease: NodeLease

    async def put(self, connector_id: UUID, *ticks: Tick, **values: Any) -> None:
        await self.writer.put(arrival(connector_id, *ticks, **values))

    async def drained(self) -> None:
        assert await self.writer.drain(20)


@asynccontextmanager
async def writing(
    database: Database,
    *,
    connect: Any = None,
    lease_seconds: float = LEASE_SECONDS,
    process_id: UUID | None = None,
    **options: Any,
) -> AsyncIterator[Writing]:
    """A started writer, closed at the end."""
    observer, announced = Observer(), Announcements()
    lease = NodeLease(database.pool, process_id or factories.new_id(), lease_seconds)
    writer = BatchWriter(
        connect or connector(database.url, application_name="writer", role=INGEST),
        lease,
        Partitions(24),
        announced,
        observer,
        SystemClock(),
        RandomIds(),
        **options,
    )
    async with writer:
        yield Writing(writer, observer, announced, lease)


async def a_connector(database: Database, **values: Any) -> UUID:
    """A saved, enabled connector with its status; returns its id."""
    made = factories.connector(enabled=True, **values)
    id = made.id
    await factories.save(database, made)
    await factories.save(
        database,
        ConnectorStatus(connector_id=id, workspace_id=HOME_WORKSPACE_ID, since=factories.NOW),
    )
    return id


def arrival(connector_id: UUID, *ticks: Tick, **values: Any) -> Arrival:
    """An arrival of now, of epoch 0."""
    return Arrival(
        **{
            "workspace_id": HOME_WORKSPACE_ID,
            "connector_id": connector_id,
            "epoch": 0,
            "received_at": datetime.now(UTC),
            "ticks": list(ticks),
            "frame_bytes": sum(len(tick.data) for tick in ticks),
            **values,
        }
    )


def numbered(*numbers: int, **values: Any) -> list[Tick]:
    """Ticks told apart by their sequence."""
    return [factories.tick(sequence=str(number), **values) for number in numbers]


async def rows(database: Database, table: str = "messages") -> list[asyncpg.Record]:
    """All rows, by id."""
    async with database.acquire() as connection:
        return await connection.fetch(f"select * from {table} order by id")


async def sequences(database: Database, connector_id: UUID | None = None) -> list[int]:
    """The stored sequences, by message id."""
    return [
        int(row["sequence"])
        for row in await rows(database)
        if connector_id in (None, row["connector_id"])
    ]


async def execute(database: Database, statement: str, *arguments: Any) -> None:
    async with database.acquire() as connection:
        await connection.execute(statement, *arguments)


async def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
