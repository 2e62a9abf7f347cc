"""Ingest: frames from a socket to committed rows, published; against asyncpg's COPY of the same rows."""

import asyncio
import time

import uvloop

from domain.positions import SEQUENCE_BITS
from tests.bench.report import Figure, figure
from tests.bench.source import Source, source
from tests.bench.world import World, world

WARM = 400_000  # the flood outruns the database: by then the bounded buffer has been full
FRAMES = 50_000
MEMORY_FRAMES = 1_000_000
COPIED = 50_000
BATCH = 5_000
OTHER_NODE = 1023 << SEQUENCE_BITS
STORED = "select coalesce(sum(message_count), 0)::bigint from message_batches"


def run() -> list[Figure]:
    """One connector, one instrument; the rows are COPYed again in batches of the same size into the same table."""
    return uvloop.run(_run())


async def _run() -> list[Figure]:
    async with source() as exchange, world() as service:
        await service.connect(exchange)
        await _through(service, exchange, WARM)
        before = service.resident_mb()
        rates = [await _through(service, exchange, FRAMES) for _ in range(3)]
        copied = [await _copy(service) for _ in range(3)]
        await _through(service, exchange, MEMORY_FRAMES - 3 * FRAMES)
        after = service.resident_mb()
    rate, floor = sorted(rates)[1], sorted(copied)[1]
    return [
        figure("frames to committed rows", rate, "rows/s"),
        figure(
            "asyncpg COPY of the same rows", floor, "rows/s", rate / floor, reach="at least 0.35"
        ),
        figure("memory once the buffer was full", before, "MB"),
        figure(f"  after {MEMORY_FRAMES:,} frames more", after, "MB", after / before, "flat"),
    ]


async def _through(service: World, exchange: Source, frames: int) -> float:
    """Rows a second from the first frame sent to the last row committed."""
    target = await service.database.fetchval(STORED) + frames
    began = time.perf_counter()
    await exchange.flood(frames)
    async with asyncio.timeout(300):
        while await service.database.fetchval(STORED) < target:
            await asyncio.sleep(0.01)
    return frames / (time.perf_counter() - began)


async def _copy(service: World) -> float:
    """Rows a second of COPY into the same table with its indexes, a transaction a batch, rows prepared."""
    database = service.database
    records = await database.fetch("select * from messages order by id limit $1", COPIED)
    columns = list(records[0].keys())
    rows = [tuple(record) for record in records]
    # The same rows under ids of a node that nobody writes with.
    shifted = [(row[0] | OTHER_NODE, *row[1:]) for row in rows]
    began = time.perf_counter()
    for start in range(0, len(shifted), BATCH):
        async with database.transaction():
            await database.copy_records_to_table(
                "messages", records=shifted[start : start + BATCH], columns=columns
            )
    elapsed = time.perf_counter() - began
    await database.execute(
        "delete from messages where id >> 12 & 1023 = $1", OTHER_NODE >> SEQUENCE_BITS
    )
    await database.execute("vacuum messages")
    return len(shifted) / elapsed
