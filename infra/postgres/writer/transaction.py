"""One batch, one transaction: messages by COPY, and with them all that must be true together."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from domain.positions import Position
from infra.postgres.database import Connection
from infra.postgres.nodes import NodeLease
from infra.postgres.writer import statements
from infra.postgres.writer.batch import Batch, Job, JobResult, Row, Share
from infra.postgres.writer.faults import Fenced, KeyUsed, LeasesMoved, isolate

ROWS_AT_ONCE = 256


@dataclass(slots=True)
class Stored:
    """What a transaction stored; `result` for jobs. A job that found its key used stored no shares."""

    shares: list[Share]
    result: JobResult | None = None


async def store(connection: Connection, batch: Batch, lease: NodeLease, last_id: int) -> Stored:
    """Store a batch in one transaction; `last_id` is the node's so far.

    Raises Fenced or LeasesMoved with nothing stored, KeyUsed for a job, else what asyncpg raises. After an
    attempt whose COMMIT was not answered it first looks whether that one was stored.
    """
    asked_at = time.monotonic()
    transaction = connection.transaction()
    await transaction.start()
    try:
        stored = await _fill(connection, batch, lease, last_id)
    except BaseException:
        if not connection.is_closed():
            await transaction.rollback()
        raise
    batch.uncertain = True
    await transaction.commit()
    batch.uncertain = False
    lease.extended(asked_at)
    return stored


async def refused_rows(connection: Connection, rows: list[Row]) -> list[tuple[Row, Exception]]:
    """The rows that the database does not take, each with its reason; stores nothing."""

    async def accept(some: Sequence[Row]) -> None:
        async with connection.transaction():
            await _copy(connection, some)

    transaction = connection.transaction()
    await transaction.start()
    try:
        return await isolate(rows, accept)
    finally:
        if not connection.is_closed():
            await transaction.rollback()


async def _fill(connection: Connection, batch: Batch, lease: NodeLease, last_id: int) -> Stored:
    started_at = time.perf_counter()
    if batch.uncertain:
        if await _is_stored(connection, batch, lease.node):
            return Stored(batch.shares(), await _result(connection, batch))
        batch.uncertain = False
    job = batch.job
    if job is not None:
        found = await _prepare(connection, batch, job)
        if found is not None:
            return found
    rows = batch.rows
    if rows:
        await _copy(connection, rows)
        last_id = rows[-1][0]
    shares = batch.shares()
    duration_ms = (time.perf_counter() - started_at) * 1000
    booked = await connection.fetchrow(
        statements.BOOK,
        last_id,
        lease.node,
        lease.process_id,
        lease.lease_seconds,
        *statements.book_parameters(shares, batch.newest(), duration_ms, job),
    )
    assert booked is not None  # noqa: S101 - the statement is one row by its form
    if not booked["held"]:
        raise Fenced(f"node {lease.node}")
    if booked["moved_ids"]:
        raise LeasesMoved(set(zip(booked["moved_ids"], booked["moved_epochs"], strict=True)))
    await _insert_rest(connection, batch)
    return Stored(shares, await _result(connection, batch))


async def _copy(connection: Connection, rows: Sequence[Row]) -> None:
    await connection.copy_records_to_table(
        "messages", records=_paced(rows), columns=statements.COLUMNS
    )


async def _paced(rows: Sequence[Row]) -> AsyncIterator[Row]:
    """The rows, letting others have the loop now and then: asyncpg encodes without a pause."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        for row in rows[start : start + ROWS_AT_ONCE]:
            yield row
        await asyncio.sleep(0)


async def _insert_rest(connection: Connection, batch: Batch) -> None:
    """Frames for quarantine and gaps: rare, so each is a statement only when there are some."""
    frames, gaps, job = batch.frames(), batch.gaps(), batch.job
    if frames:
        await connection.executemany(
            statements.INSERT_FRAMES, [statements.frame_parameters(frame) for frame in frames]
        )
    if gaps:
        await connection.executemany(
            statements.INSERT_GAPS, [statements.gap_parameters(gap) for gap in gaps]
        )
    if job is not None and job.frame_ids:
        await connection.execute(statements.MARK_REPLAYED, job.frame_ids)


async def _prepare(connection: Connection, batch: Batch, job: Job) -> Stored | None:
    """Leave out frames that were replayed since; what an earlier job with the same key stored, if there was one."""
    if job.frame_ids:
        wanted = job.frame_ids
        rows = await connection.fetch(statements.LOCK_HELD_FRAMES, wanted)
        held = {row["id"] for row in rows}
        batch.keep(lambda index, _: wanted[index] in held)
        job.frame_ids = [id for id in wanted if id in held]
    if job.idempotency_key is None:
        return None
    found = await connection.fetchrow(
        statements.FIND_SAVED, batch.arrivals[0].connector_id, job.idempotency_key
    )
    if found is None:
        return None
    if found["digest"] != job.digest:
        raise KeyUsed
    position = await _position(connection)
    return Stored([], JobResult(found["id"], found["message_count"], 0, True, position))


async def _is_stored(connection: Connection, batch: Batch, node: int) -> bool:
    """Whether an earlier attempt was committed; waits for its transaction to end, should it still be open."""
    await connection.execute(statements.LOCK_NODE, node)
    ids = [share.first_id for share in batch.shares() if share.messages]
    return bool(await connection.fetchval(statements.IS_STORED, ids))


async def _result(connection: Connection, batch: Batch) -> JobResult | None:
    job = batch.job
    if job is None:
        return None
    first_id = batch.rows[0][0] if batch.rows else 0
    position = await _position(connection)
    return JobResult(first_id, len(batch.rows), len(job.frame_ids), False, position)


async def _position(connection: Connection) -> Position:
    rows = await connection.fetch(statements.POSITION)
    return Position({row["node"]: row["last_id"] for row in rows})
