"""The writer's bounded buffer: arrivals in order, gathered into batches by size and by age."""

import asyncio
from collections import deque
from collections.abc import Iterator

from infra.feeds.arrival import Arrival
from infra.postgres.writer.batch import Batch, Job, Mint

BATCH_BYTES = 8_388_608


class Buffer:
    """Holds at most `rows_limit` rows and `bytes_limit` bytes, the batch being stored included.

    One arrival more may get in, so that one larger than the limits can be stored at all. A frame without
    messages counts as one row.
    """

    def __init__(
        self, *, batch_rows: int, batch_age_ms: float, rows_limit: int, bytes_limit: int
    ) -> None:
        self.rows = 0
        self.size_bytes = 0
        self._batch_rows = batch_rows
        self._batch_age = batch_age_ms / 1000
        self._rows_limit = rows_limit
        self._bytes_limit = bytes_limit
        self._batches: deque[Batch] = deque()
        self._open: Batch | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._loop = asyncio.get_running_loop()

    @property
    def full(self) -> bool:
        """Whether whoever brings more must wait."""
        return (
            self.rows >= self._rows_limit
            or self.size_bytes >= self._bytes_limit
            or bool(self._waiters)
        )

    async def wait_for_room(self, seconds: float) -> bool:
        """Wait in line until there is room; False when there was none in time."""
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled()
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._admit_next()
            raise
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

    def add(self, arrival: Arrival, mint: Mint, milliseconds: int) -> None:
        """Append an arrival, its ids minted now."""
        batch = self._open
        if batch is None:
            batch = self._open = Batch(self._loop.time())
            self._batches.append(batch)
            self._changed.set()
        batch.add(arrival, mint, milliseconds)
        self._weigh(batch, arrival)
        if batch.weight >= self._batch_rows or batch.size_bytes >= BATCH_BYTES:
            self.close_batch()
        if self._waiters:
            self._admit_next()

    def add_job(self, arrivals: list[Arrival], job: Job, mint: Mint, milliseconds: int) -> None:
        """Append a batch of its own, behind all that came before."""
        self.close_batch()
        batch = Batch(self._loop.time(), closed=True, job=job)
        for arrival in arrivals:
            batch.add(arrival, mint, milliseconds)
            self._weigh(batch, arrival)
        self._batches.append(batch)
        self._empty.clear()
        self._changed.set()

    def close_batch(self) -> None:
        """Let nothing more into the batch that is gathering: it may be stored at once."""
        if self._open is not None:
            self._open.closed = True
            self._open = None
            self._changed.set()

    async def next(self) -> Batch:
        """The oldest batch, as soon as it is full or old enough."""
        while True:
            self._changed.clear()
            due = None
            if self._batches:
                head = self._batches[0]
                due = head.opened_at + self._batch_age
                if not head.closed and self._loop.time() >= due:
                    self.close_batch()
                if head.closed:
                    return self._batches.popleft()
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def release(self, batch: Batch) -> None:
        """Give back the room of a batch that is stored or given up."""
        self.rows -= batch.weight
        self.size_bytes -= batch.size_bytes
        if not self.rows:
            self._empty.set()
        self._admit_next()

    def waiting(self) -> Iterator[Batch]:
        """The batches not yet taken, oldest first."""
        return iter(self._batches)

    async def emptied(self) -> None:
        """Wait until everything that was added has been released."""
        await self._empty.wait()

    def _weigh(self, batch: Batch, arrival: Arrival) -> None:
        weight = len(arrival.ticks) or 1
        size_bytes = arrival.frame_bytes
        batch.weight += weight
        batch.size_bytes += size_bytes
        self.rows += weight
        self.size_bytes += size_bytes
        self._empty.clear()

    def _admit_next(self) -> None:
        if self.rows < self._rows_limit and self.size_bytes < self._bytes_limit:
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
