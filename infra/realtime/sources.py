"""The live half of a stream: what one topic's subscribers share, in a bounded inbox."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from domain.messages import (
    Delivery,
    DeliveryMode,
    Gap,
    GapReason,
    Message,
    MessageBatch,
    MessageFilter,
)
from domain.ports import Clock
from domain.positions import Position
from infra.realtime.hub import Hub

MERGE_MESSAGES = 1000
INBOX_MESSAGES = 50_000


@dataclass(slots=True)
class Live:
    """A live event, where the stream stands after it, and the slot in which only the newest counts."""

    event: Any
    position: Position
    key: str | None
    count: int
    newest_id: int = 0


@dataclass(slots=True)
class Mark:
    """A place in the live events that a subscriber asked for: what follows it is news to `who`."""

    who: Any


class Source(Protocol):
    """Live events of one topic, in order, with the marks put between them."""

    def open(self) -> None:
        """Start collecting, from the stream's position at this moment."""

    def close(self) -> None:
        """Stop collecting."""

    def mark(self, who: Any) -> Position:
        """Put a mark behind all that was collected; returns the position there."""

    def __aiter__(self) -> AsyncIterator[Live | Mark]: ...


class Inbox:
    """Wakes the one reader of a source."""

    __slots__ = ("_waiter",)

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Something came."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float | None = None) -> None:
        """Until something comes, or so many seconds passed."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()


class EverySource:
    """Every message of a filter. Batches that wait are merged; past the bound they become a Gap."""

    def __init__(self, hub: Hub, filter: MessageFilter) -> None:
        self.filter = filter
        self._hub = hub
        self._pending: deque[Live | Mark] = deque()
        self._messages = 0
        self._inbox = Inbox()

    def open(self) -> None:
        """Start collecting."""
        self._hub.attach(self)

    def close(self) -> None:
        """Stop collecting."""
        self._hub.detach(self)

    def mark(self, who: Any) -> Position:
        """Put a mark behind all that was collected; returns the position there."""
        self._pending.append(Mark(who))
        self._inbox.wake()
        return self._hub.position

    def offer(
        self, messages: list[Message], before: Position, after: Position, published_at: datetime
    ) -> None:
        """Take messages from the hub."""
        if self._messages + len(messages) > INBOX_MESSAGES:
            self._overflow(before, after, len(messages))
            return
        self._messages += len(messages)
        last = self._pending[-1] if self._pending else None
        if (
            isinstance(last, Live)
            and isinstance(last.event, MessageBatch)
            and last.count + len(messages) <= MERGE_MESSAGES
        ):
            last.event.messages.extend(messages)
            last.event.position = last.position = after
            last.count += len(messages)
            return
        for start in range(0, len(messages), MERGE_MESSAGES):
            part = messages[start : start + MERGE_MESSAGES]
            position = (
                after if start + MERGE_MESSAGES >= len(messages) else before.advanced([part[-1].id])
            )
            self._pending.append(
                Live(MessageBatch(part, position, published_at), position, None, len(part))
            )
        self._inbox.wake()

    def miss(self, before: Position, after: Position) -> None:
        """Messages the archive no longer has."""
        gap = Gap(before.encode(), after.encode(), None, GapReason.RETENTION)
        self._pending.append(Live(gap, after, None, 0))
        self._inbox.wake()

    def _overflow(self, before: Position, after: Position, count: int) -> None:
        last = self._pending[-1] if self._pending else None
        if isinstance(last, Live) and isinstance(last.event, Gap):
            last.event.before = after.encode()
            last.event.missed = (last.event.missed or 0) + count
            last.position = after
            last.count += count
            return
        gap = Gap(before.encode(), after.encode(), count, GapReason.OVERLOAD)
        self._pending.append(Live(gap, after, None, count))
        self._inbox.wake()

    async def __aiter__(self) -> AsyncIterator[Live | Mark]:
        while True:
            while self._pending:
                item = self._pending.popleft()
                if isinstance(item, Live) and isinstance(item.event, MessageBatch):
                    self._messages -= item.count
                yield item
            await self._inbox.wait()


@dataclass(slots=True)
class _Newest:
    message: Message
    floor: Position
    published_at: datetime


class NewestSource:
    """The newest message of each instrument; with an interval, at most one per instrument and interval."""

    def __init__(self, hub: Hub, filter: MessageFilter, delivery: Delivery, clock: Clock) -> None:
        self.filter = filter
        self._hub = hub
        self._clock = clock
        sampled = delivery.mode is DeliveryMode.SAMPLE and delivery.interval_ms is not None
        self._interval = (delivery.interval_ms or 0) / 1000 if sampled else 0.0
        self._waiting: dict[str, _Newest] = {}
        self._sent_at: dict[str, float] = {}
        self._marks: list[Mark] = []
        self._inbox = Inbox()

    def open(self) -> None:
        """Start collecting."""
        self._hub.attach(self)

    def close(self) -> None:
        """Stop collecting."""
        self._hub.detach(self)

    def mark(self, who: Any) -> Position:
        """Put a mark; returns the stream's position."""
        self._marks.append(Mark(who))
        self._inbox.wake()
        return self._hub.position

    def offer(
        self, messages: list[Message], before: Position, after: Position, published_at: datetime
    ) -> None:
        """Take messages from the hub; of each instrument only the newest stays."""
        for message in messages:
            slot = f"{message.exchange}:{message.instrument}"
            self._waiting.pop(slot, None)
            self._waiting[slot] = _Newest(message, before, published_at)
        self._inbox.wake()

    def miss(self, before: Position, after: Position) -> None:
        """Nothing to say: only the newest counts."""

    async def __aiter__(self) -> AsyncIterator[Live | Mark]:
        loop = asyncio.get_running_loop()
        while True:
            marks, self._marks = self._marks, []
            for mark in marks:
                yield mark
            now = loop.time()
            for slot in [slot for slot in self._waiting if self._due(slot) <= now]:
                newest = self._waiting.pop(slot)
                if self._interval:
                    self._sent_at[slot] = now
                position = self._floor()
                event = MessageBatch([newest.message], position, newest.published_at, slot)
                yield Live(event, position, slot, 1, newest.message.id)
            if not self._marks:
                await self._inbox.wait(self._pause(loop.time()))

    def _due(self, slot: str) -> float:
        sent_at = self._sent_at.get(slot)
        return 0.0 if sent_at is None else sent_at + self._interval

    def _floor(self) -> Position:
        """Where a reader may resume without losing what still waits here."""
        oldest = next(iter(self._waiting.values()), None)
        return self._hub.position if oldest is None else oldest.floor

    def _pause(self, now: float) -> float | None:
        if not self._waiting:
            self._sent_at = {s: at for s, at in self._sent_at.items() if at + self._interval > now}
            return None
        return max(min(self._due(slot) for slot in self._waiting) - now, 0.0)
