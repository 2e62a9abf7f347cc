"""Partitions of `messages` by id, which is by time: made ahead and on demand, dropped past retention.

There is no default partition: one would have to be scanned whenever a neighbour is attached. A writer asks
`ensure_for` before it writes ids it has not written near before, so a jump of the clock costs one partition.
"""

import asyncio
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from loguru import logger

from domain.ids import uuid7
from domain.ports import Clock
from domain.positions import (
    MAX_ID,
    MILLISECOND,
    NODES,
    SEQUENCE_BITS,
    first_id_at,
    time_of,
)
from infra.postgres.database import Connection, Database
from infra.postgres.tables import PARTITION_PREFIX

PARTITIONS_AHEAD = 2
HOUSEKEEPING_SECONDS = 60.0
_CREATE_LOCK = 0x70617274  # "part": who makes partitions
_KEEPER_LOCK = 0x6B656570  # "keep": who keeps house
_CELLS_AT_ONCE = 31
_DROP_TRIES = 10
_DELETE_CHUNK = 10_000
_DELETE_CHUNKS = 100
_HOUR_IDS = 3_600_000 * MILLISECOND

_BOUNDS = """
    select child.relname as name, pg_get_expr(child.relpartbound, child.oid) as bounds
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = 'messages'::regclass
"""
_BOUND = re.compile(r"FROM \((?:'(-?\d+)'|MINVALUE)\) TO \((?:'(\d+)'|MAXVALUE)\)")
_LAST_IDS = """
    select node,
           case when last_id < $2 then last_id
                else (select id from {partition} where (id >> {bits}) & {mask} = node
                      order by id desc limit 1)
           end as last_id
    from nodes where last_id >= $1
"""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition: the ids from `first_id` up to but not including `end_id`."""

    first_id: int
    end_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one round of housekeeping did."""

    created: tuple[str, ...]
    dropped: tuple[str, ...]
    deleted: int


async def partitions_of(connection: Connection) -> list[Partition]:
    """Every partition there is, oldest first."""
    found = []
    for name, bounds in await connection.fetch(_BOUNDS):
        match = _BOUND.search(bounds)
        if match is None:
            raise ValueError(f"partition {name} has bounds of another kind: {bounds}")
        first, end = match.groups()
        found.append(
            Partition(
                0 if first is None else int(first), MAX_ID + 1 if end is None else int(end), name
            )
        )
    return sorted(found)


class Partitions:
    """Makes partitions, and remembers which ids are known to have one."""

    def __init__(self, hours: int) -> None:
        if hours < 1:
            raise ValueError("a partition spans at least an hour")
        self._width = hours * _HOUR_IDS
        self._known: tuple[tuple[int, int], ...] = ()

    async def ensure_for(
        self, source: "Connection | asyncpg.Pool[asyncpg.Record]", first_id: int, last_id: int
    ) -> tuple[str, ...]:
        """Make what partitions the ids from `first_id` to `last_id` lack; returns their names. Free when known."""
        if self._covers(first_id, last_id):
            return ()
        if isinstance(source, asyncpg.Pool):
            async with source.acquire(timeout=10) as connection:
                return await self._create_missing(connection, first_id, last_id)
        return await self._create_missing(source, first_id, last_id)

    def forget(self) -> None:
        """Look again next time: after a write found no partition, because retention dropped it."""
        self._known = ()

    def _covers(self, first_id: int, last_id: int) -> bool:
        return any(first <= first_id and last_id < end for first, end in self._known)

    async def _create_missing(
        self, connection: Connection, first_id: int, last_id: int
    ) -> tuple[str, ...]:
        async with connection.transaction():
            await connection.execute("select pg_advisory_xact_lock($1)", _CREATE_LOCK)
            existing = await partitions_of(connection)
            missing = list(self._missing(existing, first_id, last_id))
            for partition in missing:
                await _create(connection, partition)
        # Inside an outer transaction that is rolled back this would remember too much: `forget` mends it.
        self._known = tuple(_joined(sorted([*existing, *missing])))
        return tuple(partition.name for partition in missing)

    def _missing(
        self, existing: list[Partition], first_id: int, last_id: int
    ) -> Iterator[Partition]:
        """The holes among `existing` within the grid cells of the range, cut at the grid."""
        start = first_id - first_id % self._width
        end = min(last_id - last_id % self._width + self._width, MAX_ID + 1)
        for hole_start, hole_end in _holes(existing, start, end):
            at = hole_start
            for _ in range(_CELLS_AT_ONCE):
                if at >= hole_end:
                    break
                cell_end = min(at - at % self._width + self._width, hole_end)
                yield _named(at, cell_end)
                at = cell_end
            # A jump over years gets one wide partition for the years nobody wrote in.
            last_cell = hole_end - 1 - (hole_end - 1) % self._width
            if at < last_cell:
                yield _named(at, last_cell)
                at = last_cell
            if at < hole_end:
                yield _named(at, hole_end)


def _holes(existing: list[Partition], start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    for partition in existing:
        if partition.first_id >= end:
            break
        if partition.first_id > at:
            yield at, partition.first_id
        at = max(at, partition.end_id)
    if at < end:
        yield at, end


def _joined(partitions: list[Partition]) -> Iterator[tuple[int, int]]:
    start = end = None
    for partition in partitions:
        if end != partition.first_id:
            if start is not None and end is not None:
                yield start, end
            start = partition.first_id
        end = partition.end_id
    if start is not None and end is not None:
        yield start, end


def _named(first_id: int, end_id: int) -> Partition:
    return Partition(first_id, end_id, f"{PARTITION_PREFIX}{time_of(first_id):%Y%m%d%H}")


async def _create(connection: Connection, partition: Partition) -> None:
    # Made alone and attached, because PARTITION OF would lock out everybody who reads `messages`.
    end = str(partition.end_id) if partition.end_id <= MAX_ID else "MAXVALUE"
    await connection.execute(
        f"""
        create table {partition.name} (like messages including all);
        alter table messages attach partition {partition.name}
            for values from ({partition.first_id}) to ({end});
        """
    )


class Housekeeper:
    """Makes partitions ahead and lets go what is past retention; of all processes one does it at a time."""

    def __init__(
        self, database: Database, clock: Clock, *, retention_days: float, partition_hours: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = timedelta(days=retention_days)
        self._partitions = Partitions(partition_hours)
        self._ahead = timedelta(hours=partition_hours * PARTITIONS_AHEAD)

    async def run(self, interval_seconds: float = HOUSEKEEPING_SECONDS) -> None:
        """Sweep now and every interval until cancelled; a failed sweep is logged and tried again."""
        while True:
            try:
                await self.sweep()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("Housekeeping failed, trying again later: {!r}", error)
            await asyncio.sleep(interval_seconds * random.uniform(0.9, 1.1))  # noqa: S311

    async def sweep(self) -> Sweep | None:
        """One round; None when another process is at it."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", _KEEPER_LOCK):
                return None
            # The pool's reset gives the lock back with the connection.
            return await self._sweep(connection)

    async def _sweep(self, connection: Connection) -> Sweep:
        now = self._clock.now()
        self._partitions.forget()
        created = await self._partitions.ensure_for(
            connection, first_id_at(now), first_id_at(now + self._ahead)
        )
        oldest = now - self._retention
        dropped = []
        for partition in await partitions_of(connection):
            if partition.end_id <= first_id_at(oldest):
                await _drop(connection, partition)
                logger.info("Dropped partition {}, past retention", partition.name)
                dropped.append(partition.name)
        deleted = 0
        oldest_key = uuid7(oldest, bytes(10))
        # Batches stay as long as their messages: replays find their way by them.
        oldest_id = min(first_id_at(oldest), (await partitions_of(connection))[0].first_id)
        for table, floor in (
            ("message_batches", oldest_id),
            ("quarantined_frames", oldest_key),
            ("sequence_gaps", oldest_key),
        ):
            deleted += await _delete_below(connection, table, floor)
        return Sweep(created, tuple(dropped), deleted)


async def _drop(connection: Connection, partition: Partition) -> None:
    """Drop a partition and note the last id of every node in it, in one transaction; tries a few times for the lock."""
    for attempt in range(1, _DROP_TRIES + 1):
        try:
            async with connection.transaction():
                await connection.execute(
                    "set local lock_timeout = '300ms'; set local statement_timeout = '10min'"
                )
                await _drop_now(connection, partition)
            return
        except asyncpg.LockNotAvailableError:
            if attempt == _DROP_TRIES:
                raise
            await asyncio.sleep(random.uniform(0.1, 1.0))  # noqa: S311


async def _drop_now(connection: Connection, partition: Partition) -> None:
    last_ids = await connection.fetch(
        _LAST_IDS.format(partition=partition.name, bits=SEQUENCE_BITS, mask=NODES - 1),
        partition.first_id,
        partition.end_id,
    )
    # Before `nodes`: a writer locks the tables in this order, and the other one would deadlock with it.
    await connection.execute("lock table messages in access exclusive mode")
    await connection.executemany(
        "update nodes set dropped_id = $2 where node = $1 and dropped_id < $2",
        [(node, last_id) for node, last_id in last_ids if last_id is not None],
    )
    await connection.execute(f"drop table {partition.name}")


async def _delete_below(connection: Connection, table: str, floor: object) -> int:
    total = 0
    for _ in range(_DELETE_CHUNKS):
        status = await connection.execute(
            f"delete from {table} where id in"  # noqa: S608
            f" (select id from {table} where id < $1 order by id limit {_DELETE_CHUNK})",
            floor,
        )
        deleted = int(status.split()[1])
        total += deleted
        if deleted < _DELETE_CHUNK:
            break
    return total
