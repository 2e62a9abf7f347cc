"""The stream as one process sees it: announcements in, each listener's share of them out.

Whatever the bus loses is noticed, since every announcement names the id before it, and is read again
from PostgreSQL before the stream goes on.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from loguru import logger

from domain.messages import Message, MessageFilter, MessageType, Side
from domain.ports import Clock
from domain.positions import Position
from infra.realtime.announcement import Announcement, Row
from infra.realtime.archive import Archive

INBOX = 1000
RECONCILE_SECONDS = 1.0
HEAL_ROWS = 5000
RETRY_SECONDS = 0.5

_TYPES = {type.value: type for type in MessageType}
_SIDES: dict[str | None, Side | None] = {None: None} | {side.value: side for side in Side}


class Listener(Protocol):
    """One live source: takes what passes its filter, at once and without waiting."""

    filter: MessageFilter

    def offer(
        self, messages: list[Message], before: Position, after: Position, published_at: datetime
    ) -> None:
        """Messages that moved the stream from `before` to `after`."""

    def miss(self, before: Position, after: Position) -> None:
        """Messages between the two positions are gone from the archive."""


def message_of(row: Row) -> Message:
    """The domain's message of a database row."""
    id, workspace_id, connector_id, exchange, instrument, type, price, quantity, side, *rest = row
    return Message(
        id, workspace_id, connector_id, exchange, instrument, _TYPES[type], price, quantity,
        _SIDES[side], *rest,
    )  # fmt: skip


class Hub:
    """Keeps the process's position in the stream and feeds its listeners, in order per node."""

    def __init__(self, archive: Archive, clock: Clock) -> None:
        self.archive = archive
        self.position = Position()
        self.healed_rows = 0
        self._clock = clock
        self._inbox: asyncio.Queue[Announcement] = asyncio.Queue(INBOX)
        self._by_instrument: dict[str, set[Listener]] = {}
        self._unbound: set[Listener] = set()
        self._moved = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take the archive's position and begin; the bus must already deliver to `receive`."""
        self.position = await self.archive.position()
        self._tasks = [
            asyncio.create_task(self._run(), name="hub"),
            asyncio.create_task(self._reconcile(), name="hub-reconcile"),
        ]

    async def stop(self) -> None:
        """Stop feeding."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def receive(self, announcement: Announcement) -> None:
        """Take an announcement from the bus; one too many is left to healing."""
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(announcement)

    def attach(self, listener: Listener) -> None:
        """Feed `listener` from `position` on."""
        for listeners in self._listeners_of(listener.filter):
            listeners.add(listener)

    def detach(self, listener: Listener) -> None:
        """Feed `listener` no more."""
        for listeners in self._listeners_of(listener.filter):
            listeners.discard(listener)
        for instrument in listener.filter.instruments:
            if not self._by_instrument.get(instrument):
                self._by_instrument.pop(instrument, None)

    async def reached(self, position: Position, seconds: float) -> None:
        """Wait until the process has seen everything up to `position`; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while any(self.position.of(node) < id for node, id in position.last.items()):
                self._moved.clear()
                await self._moved.wait()

    def _listeners_of(self, filter: MessageFilter) -> Iterable[set[Listener]]:
        if not filter.instruments:
            return (self._unbound,)
        return [self._by_instrument.setdefault(name, set()) for name in filter.instruments]

    async def _run(self) -> None:
        while True:
            announcement = await self._inbox.get()
            while True:
                try:
                    await self._apply(announcement)
                    break
                except Exception:  # noqa: BLE001 - the database is away; the stream waits for it
                    logger.opt(exception=True).warning("Healing the stream failed; trying again")
                    await asyncio.sleep(RETRY_SECONDS)

    async def _apply(self, announcement: Announcement) -> None:
        node = announcement.node
        if announcement.previous_id > self.position.of(node):
            await self._heal(node, announcement.previous_id)
        seen = self.position.of(node)
        if announcement.last_id <= seen:
            return
        rows = announcement.rows
        if announcement.previous_id < seen:
            rows = [row for row in rows if row[0] > seen]
        self._dispatch(rows, node, announcement.last_id, announcement.published_at)

    async def _heal(self, node: int, upto: int) -> None:
        logger.info("Reading missed messages of node {} from the database", node)
        dropped = (await self.archive.dropped()).of(node)
        if self.position.of(node) < min(dropped, upto):
            self._skip(node, min(dropped, upto))
        while self.position.of(node) < upto:
            rows = await self.archive.rows_between(node, self.position.of(node), upto, HEAL_ROWS)
            last = rows[-1][0] if len(rows) == HEAL_ROWS else upto
            self.healed_rows += len(rows)
            self._dispatch(rows, node, last, self._clock.now())
            await asyncio.sleep(0)

    async def _reconcile(self) -> None:
        """Find what was committed but never announced: its process died in between."""
        behind: dict[int, int] = {}
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            try:
                stored = await self.archive.position()
            except Exception as error:  # noqa: BLE001 - looked at again in a second
                logger.debug("The stream's position could not be read: {}", error)
                continue
            for node, id in behind.items():
                if self.position.of(node) < id:
                    self.receive(Announcement(node, id, id, self._clock.now(), []))
            behind = {n: id for n, id in stored.last.items() if self.position.of(n) < id}

    def _skip(self, node: int, upto: int) -> None:
        before, self.position = self.position, self.position.advanced([upto])
        self._moved.set()
        for listener in {
            *self._unbound,
            *(one for all in self._by_instrument.values() for one in all),
        }:
            listener.miss(before, self.position)

    def _dispatch(self, rows: list[Row], node: int, last_id: int, published_at: datetime) -> None:
        before = self.position
        after = self.position = before.advanced([last_id])
        self._moved.set()
        if not (self._unbound or self._by_instrument):
            return
        matched: dict[Listener, list[Message]] = {}
        for row in rows:
            bound = self._by_instrument.get(row[4])
            if not (bound or self._unbound):
                continue
            message = message_of(row)
            for listener in (*(bound or ()), *self._unbound):
                if listener.filter.admits(message):
                    matched.setdefault(listener, []).append(message)
        for listener, messages in matched.items():
            try:
                listener.offer(messages, before, after, published_at)
            except Exception:  # noqa: BLE001 - one listener's trouble is not the others'
                logger.exception("A listener could not take messages")
                listener.miss(before, after)
