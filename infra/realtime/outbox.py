"""What waits to be written to one subscriber: bounded, and honest about what it had to leave out."""

import asyncio
from dataclasses import dataclass

from domain.positions import Position


@dataclass(slots=True)
class Loss:
    """Messages a full outbox left out: those after `after`, up to `before`."""

    after: Position
    before: Position
    missed: int


@dataclass(slots=True)
class Sendable:
    """One encoded event. With a `key`, a newer one of the same key takes its place."""

    payload: bytes
    position: Position
    key: str | None
    count: int
    newest_id: int = 0


class Outbox:
    """Encoded events for one subscriber, at most `events` of them and `size` bytes."""

    __slots__ = (
        "_bytes", "_events", "_failure", "_keyed", "_last", "_loss", "_queue", "_size", "_waiter",
        "joined",
    )  # fmt: skip

    def __init__(self, events: int, size: int) -> None:
        self._events = events
        self._size = size
        self._bytes = 0
        self._queue: list[bytes] = []
        self._keyed: dict[str, bytes] = {}
        self._loss: Loss | None = None
        self._last = Position()
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self.joined = Position()

    def open(self, joined: Position) -> None:
        """Begin anew at a position, with nothing waiting and nothing lost."""
        self.joined = self._last = joined
        self._queue.clear()
        self._keyed.clear()
        self._bytes = 0
        self._loss = None

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return len(self._queue) + len(self._keyed)

    @property
    def lossy(self) -> bool:
        """Whether something had to be left out since the last `take`."""
        return self._loss is not None

    def offer(self, event: Sendable) -> None:
        """Queue an event, or count it as lost; never waits."""
        payload = event.payload
        if event.key is not None:
            if self.joined.has(event.newest_id):
                return
            self._bytes += len(payload) - len(self._keyed.pop(event.key, b""))
            self._keyed[event.key] = payload
        elif self._loss is not None:
            self._loss.before = event.position
            self._loss.missed += event.count
        elif len(self._queue) >= self._events or (self._queue and self._bytes >= self._size):
            self._loss = Loss(self._last, event.position, event.count)
        else:
            self._queue.append(payload)
            self._bytes += len(payload)
            self._last = event.position
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        """Let the next `take` raise."""
        self._failure = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> tuple[list[bytes], Loss | None]:
        """All that waits, and what was lost after it; waits for something to come."""
        while not (self._queue or self._keyed or self._loss or self._failure):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._failure is not None:
            raise self._failure
        taken = [*self._queue, *self._keyed.values()]
        loss, self._loss = self._loss, None
        self._queue.clear()
        self._keyed.clear()
        self._bytes = 0
        return taken, loss
