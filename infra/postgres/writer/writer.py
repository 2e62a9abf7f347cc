"""The batch writer: one task that stores what arrived, in order, and announces it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Self

import asyncpg
import stamina
from loguru import logger

from domain.messages import QuarantinedFrame, QuarantineReason
from domain.ports import Clock, Ids
from domain.positions import Minter, milliseconds_of
from infra.feeds.arrival import Arrival, WriteObserver
from infra.postgres.nodes import NodeLease
from infra.postgres.partitions import Partitions
from infra.postgres.writer import statements
from infra.postgres.writer.batch import MESSAGE_FIELDS, Batch, Job, JobResult, Row, Share
from infra.postgres.writer.buffer import Buffer
from infra.postgres.writer.faults import (
    Fenced,
    LeasesMoved,
    WriterClosed,
    is_passing,
    is_refused,
    lacks_partition,
)
from infra.postgres.writer.stats import WriterStats
from infra.postgres.writer.transaction import Stored, refused_rows, store
from infra.realtime.announcement import Announcement

ATTEMPT_SECONDS = 60.0
ANNOUNCE_SECONDS = 2.0
IMPATIENT_ANNOUNCE_SECONDS = 0.1
CLOSE_SECONDS = 2.0
RETRY_FIRST_SECONDS = 0.05
RETRY_MOST_SECONDS = 1.0
DELAY_SAMPLE = 100

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]
Announce = Callable[[Announcement], Awaitable[None]]


class BatchWriter:
    """Takes arrivals into a bounded buffer and stores them by COPY, one transaction a batch, in order of id.

    While the database is away it holds what it has and tries again; `put` then waits for room, and gives an
    arrival up, through the observer, only after `shed_after_seconds`. `start` before the first `put`.
    """

    def __init__(
        self,
        connect: Connect,
        lease: NodeLease,
        partitions: Partitions,
        announce: Announce,
        observer: WriteObserver,
        clock: Clock,
        ids: Ids,
        *,
        batch_rows: int = 5000,
        batch_age_ms: float = 20,
        buffer_rows: int = 200_000,
        buffer_bytes: int = 134_217_728,
        shed_after_seconds: float = 10.0,
    ) -> None:
        self.lease = lease
        self._connect = connect
        self._partitions = partitions
        self._announce = announce
        self._observer = observer
        self._clock = clock
        self._ids = ids
        self._shed_after_seconds = shed_after_seconds
        self._buffer = Buffer(
            batch_rows=batch_rows,
            batch_age_ms=batch_age_ms,
            rows_limit=buffer_rows,
            bytes_limit=buffer_bytes,
        )
        self._stats = WriterStats()
        self._mint = Minter(0).mint
        self._last_id = 0
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._announcing: asyncio.Task[None] | None = None
        self._storing: Batch | None = None
        self._heard = True
        self._closed = False

    async def start(self) -> None:
        """Lease a node and begin to store; raises NoNodeFree, or what the database says."""
        await self._lease_node()
        self._flusher = asyncio.create_task(self._run(), name="batch writer")

    async def put(self, arrival: Arrival) -> None:
        """Take an arrival; waits while the buffer is full, and sheds it when that lasts too long."""
        buffer = self._buffer
        if (
            buffer.full and not await buffer.wait_for_room(self._shed_after_seconds)
        ) or self._closed:
            self._shed(arrival)
            return
        buffer.add(arrival, self._mint, milliseconds_of(arrival.received_at))

    async def submit(self, arrivals: list[Arrival], job: Job) -> JobResult:
        """Store arrivals as a transaction of their own, after all that was put before; waits until it is committed.

        Raises TimeoutError when there was no room in time, KeyUsed, LeasesMoved for a connector that is gone,
        WriterClosed, or what the database refused the data with.
        """
        if self._buffer.full and not await self._buffer.wait_for_room(self._shed_after_seconds):
            raise TimeoutError("the writer's buffer is full")
        if self._closed:
            raise WriterClosed
        milliseconds = milliseconds_of(self._clock.now())
        self._buffer.add_job(arrivals, job, self._mint, milliseconds)
        return await job.done

    async def drain(self, deadline_seconds: float) -> bool:
        """Store what is there now; False when that took longer than allowed."""
        self._buffer.close_batch()
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._buffer.emptied()
                if self._announcing is not None:
                    await asyncio.shield(self._announcing)
        except TimeoutError:
            return False
        return True

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Take no more, store what is there within the deadline, shed the rest, and give the node back."""
        if self._closed:
            return
        self._closed = True
        if self._flusher is not None:
            await self.drain(deadline_seconds)
            self._flusher.cancel()
            await asyncio.wait({self._flusher}, timeout=CLOSE_SECONDS)
        self._give_up_rest()
        if self._announcing is not None:
            self._announcing.cancel()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._connection is not None:
                    await self._connection.close()
                await self.lease.release()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            logger.warning("Left without giving node {} back: {!r}", self.lease.node, error)
            self._hang_up()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def stats(self) -> WriterStats:
        """The figures as of now."""
        self._stats.queued_rows = self._buffer.rows
        self._stats.queued_bytes = self._buffer.size_bytes
        return self._stats

    async def _run(self) -> None:
        while True:
            batch = self._storing = await self._buffer.next()
            started_at = time.perf_counter()
            stored = await self._store(batch)
            if stored is not None:
                self._stats.flush_seconds += time.perf_counter() - started_at
                await self._committed(batch, stored)
            self._storing = None
            self._buffer.release(batch)

    async def _store(self, batch: Batch) -> Stored | None:
        """Store a batch, however long it takes; None for a job that cannot be stored."""
        async for attempt in stamina.retry_context(
            on=Exception,
            attempts=None,
            timeout=None,
            wait_initial=RETRY_FIRST_SECONDS,
            wait_max=RETRY_MOST_SECONDS,
            wait_jitter=RETRY_FIRST_SECONDS,
        ):
            with attempt:
                if attempt.num > 1:
                    self._stats.retries += 1
                if _is_void(batch):
                    return None
                try:
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        return await self._attempt(batch)
                except Exception as error:
                    if batch.job is None or is_passing(error):
                        self._note(error)
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        await self._mend(batch, error)
                    if not _is_void(batch):
                        raise
        return None

    async def _attempt(self, batch: Batch) -> Stored:
        connection = self._connection
        if connection is None or connection.is_closed():
            connection = self._connection = await self._connect()
            await connection.execute(statements.SESSION)
        rows = batch.rows
        if rows:
            await self._partitions.ensure_for(connection, rows[0][0], rows[-1][0])
        return await store(connection, batch, self.lease, self._last_id)

    async def _mend(self, batch: Batch, error: Exception) -> None:
        """Do what the error asks for, so that the next attempt can go further."""
        if isinstance(error, Fenced):
            await self._lease_node(batch)
        elif lacks_partition(error):
            self._partitions.forget()
        elif is_passing(error):
            self._hang_up()
        elif batch.job is not None:
            if not _is_key_race(error):
                _fail(batch.job, error)
        elif isinstance(error, LeasesMoved):
            moved = error.moved
            self._stats.fenced_messages += batch.keep(
                lambda _, arrival: (arrival.connector_id, arrival.epoch) not in moved
            )
        elif not is_refused(error) or not await self._quarantine_refused(batch):
            logger.error("A batch could not be stored and is held: {!r}", error)
            self._hang_up()

    async def _quarantine_refused(self, batch: Batch) -> bool:
        """Move the messages that the database refuses to quarantine; False when it is none of them."""
        if self._connection is None or self._connection.is_closed():
            return False
        refused = await refused_rows(self._connection, batch.rows)
        batch.refused += [self._quarantined(row, error) for row, error in refused]
        batch.remove({row[0] for row, _ in refused})
        self._stats.refused_messages += len(refused)
        return bool(refused)

    def _quarantined(self, row: Row, error: Exception) -> QuarantinedFrame:
        frame = row[12].encode(errors="surrogatepass")
        return QuarantinedFrame(
            id=self._ids.new(),
            workspace_id=row[1],
            connector_id=row[2],
            received_at=row[11],
            reason=QuarantineReason.INVALID_VALUE,
            explanation=f"The database does not take this {row[5]} of {row[4]}: {error}"[:2000],
            source="",
            frame=frame,
            frame_bytes=len(frame),
        )

    async def _lease_node(self, storing: Batch | None = None) -> None:
        """Become another node, and give all that is not stored ids of it."""
        await self.lease.acquire()
        self._mint = Minter(self.lease.node, self.lease.last_id).mint
        self._last_id = self.lease.last_id
        if storing is not None:
            storing.mint_again(self._mint)
        for batch in self._buffer.waiting():
            batch.mint_again(self._mint)

    async def _committed(self, batch: Batch, stored: Stored) -> None:
        now = self._clock.now()
        stats = self._stats
        stats.failing_since = stats.last_error = None
        stats.flushes += 1
        if any(share.messages for share in stored.shares):
            rows = batch.rows
            stats.rows += len(rows)
            stats.bytes += sum(share.size_bytes for share in stored.shares)
            announcement = Announcement(
                node=self.lease.node,
                previous_id=self._last_id,
                last_id=rows[-1][0],
                published_at=now,
                rows=[row[:MESSAGE_FIELDS] for row in rows],
            )
            self._last_id = announcement.last_id
            if self._announcing is not None:
                await self._announcing
            self._announcing = asyncio.create_task(self._tell(announcement), name="announce")
        if batch.job is not None:
            if stored.result is not None and not batch.job.done.done():
                batch.job.done.set_result(stored.result)
            return
        for share in stored.shares:
            if share.messages:
                self._report(share, now)

    def _report(self, share: Share, now: datetime) -> None:
        sample = share.told[:: len(share.told) // DELAY_SAMPLE + 1]
        try:
            self._observer.committed(
                share.connector_id,
                share.messages,
                max(share.received),
                [(now - moment).total_seconds() * 1000 for moment in sample],
            )
        except Exception:  # noqa: BLE001 - whoever listens must not stop the writing
            logger.exception("Nobody heard that messages of {} are stored", share.connector_id)

    async def _tell(self, announcement: Announcement) -> None:
        # A bus that did not answer is not waited for again until it does: the next batch is waiting for this.
        heard, self._heard = self._heard, False
        seconds = ANNOUNCE_SECONDS if heard else IMPATIENT_ANNOUNCE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                await self._announce(announcement)
            self._heard = True
        except Exception as error:  # noqa: BLE001 - stored is stored; readers heal from the database
            self._stats.unannounced += 1
            level = "WARNING" if heard else "DEBUG"  # once an outage, not once a commit
            logger.log(
                level, "Commit up to {} was not announced: {!r}", announcement.last_id, error
            )

    def _note(self, error: Exception) -> None:
        self._stats.last_error = repr(error)
        if self._stats.failing_since is None:
            self._stats.failing_since = time.monotonic()
            logger.warning("Storing a batch failed, trying again: {!r}", error)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _shed(self, arrival: Arrival) -> None:
        frames = 0 if arrival.quarantined is None else 1
        self._stats.shed_messages += len(arrival.ticks)
        self._stats.shed_frames += frames
        self._observer.shed(arrival.connector_id, arrival.ticks, frames)

    def _give_up_rest(self) -> None:
        rest: Sequence[Batch] = [*self._buffer.waiting()]
        if self._storing is not None:
            rest = [self._storing, *rest]
        for batch in rest:
            if batch.job is not None:
                _fail(batch.job, WriterClosed())
                continue
            for arrival in batch.arrivals:
                self._shed(arrival)
        if rest:
            logger.error("Stopped with {} batches not stored", len(rest))


def _is_void(batch: Batch) -> bool:
    """Whether nobody waits for a job any more, so that it need not be stored; unless it may be stored already."""
    return batch.job is not None and batch.job.done.done() and not batch.uncertain


def _is_key_race(error: Exception) -> bool:
    """Whether another process used the job's key since the job looked: it will find it when it looks again."""
    return (
        isinstance(error, asyncpg.UniqueViolationError)
        and error.constraint_name == "message_batches_idempotency_key"
    )


def _fail(job: Job, error: Exception) -> None:
    if not job.done.done():
        job.done.set_exception(error)
