"""Subscriptions as the schema's resolvers get them: a beginning of one's own, then the shared live half."""

from collections.abc import AsyncIterator, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from domain.connectors import ConnectorStatus
from domain.errors import InvalidInput
from domain.identity import Forbidden, Permission, Viewer
from domain.messages import (
    Delivery,
    DeliveryMode,
    Gap,
    GapReason,
    Message,
    MessageBatch,
    MessageEvent,
    MessageFilter,
)
from domain.ports import Clock
from domain.positions import Position
from infra.realtime.archive import DroppedMeanwhile, Reader
from infra.realtime.hub import Hub
from infra.realtime.outbox import Loss
from infra.realtime.sources import EverySource, Live, NewestSource, Source
from infra.realtime.statuses import StatusBoard, StatusSource

REACH_SECONDS = 5.0


class Stream(Protocol):
    """A stream whose live half can be run once for all streams of the same topic."""

    @property
    def topic(self) -> Hashable:
        """Equal exactly when the live events are the same."""

    def source(self) -> Source:
        """A new live half, not yet open."""

    async def ready(self) -> None:
        """Wait until the process can continue where this subscriber left off."""

    def beginning(self, joined: Position) -> AsyncIterator[Any]:
        """This subscriber's events up to the position at which it joins the live half."""

    def between(self, after: Position, upto: Position) -> AsyncIterator[Any]:
        """Events a subscriber lost room for while its beginning was being written."""

    def lost(self, loss: Loss, reason: GapReason) -> Any:
        """The event that tells a subscriber what was left out."""

    def __aiter__(self) -> AsyncIterator[Any]: ...


@dataclass(slots=True)
class MessageStream:
    """`subscription messages`: replay from the database past `after`, then live."""

    hub: Hub
    clock: Clock
    filter: MessageFilter
    delivery: Delivery
    after: Position | None
    reader: Reader

    @property
    def topic(self) -> Hashable:
        """The filter and the delivery; where a subscriber begins is its own affair."""
        return ("messages", self.filter, self.delivery)

    def source(self) -> Source:
        """A new live half."""
        if self.delivery.mode is DeliveryMode.EVERY:
            return EverySource(self.hub, self.filter)
        return NewestSource(self.hub, self.filter, self.delivery, self.clock)

    async def ready(self) -> None:
        """Wait until the hub has seen `after`; a cursor beyond the archive resets the stream.

        Raises Forbidden when the database does not show the workspace: what is live never passes through it.
        """
        await require(self.reader, self.filter.workspace_id)
        if self.after is None or _covers(self.hub.position, self.after):
            return
        if _covers(await self.hub.archive.position(), self.after):
            await self.hub.reached(self.after, REACH_SECONDS)

    async def beginning(self, joined: Position) -> AsyncIterator[MessageEvent]:
        """The replay; without `after`, an empty batch whose cursor says where live begins."""
        after = self.after
        if after is None:
            yield MessageBatch([], joined, self.clock.now())
            return
        if not _covers(joined, after):
            yield Gap(after.encode(), joined.encode(), None, GapReason.RESET)
            return
        async for event in self.between(after, joined):
            yield event

    async def between(self, after: Position, upto: Position) -> AsyncIterator[MessageEvent]:
        """Stored messages past `after` up to `upto`; a Gap in place of what retention has dropped."""
        dropped = await self.reader.dropped()
        while True:
            if not _covers(after, dropped):
                resumed = after.merged(dropped)
                yield Gap(after.encode(), resumed.encode(), None, GapReason.RETENTION)
                after = resumed
            try:
                async for batch in self._stored(after, upto):
                    yield batch
                    after = batch.position
            except DroppedMeanwhile as gone:
                dropped = gone.dropped
            else:
                return

    async def _stored(self, after: Position, upto: Position) -> AsyncIterator[MessageBatch]:
        """With LATEST and SAMPLE the newest message of each instrument, else every one."""
        chunks = self.reader.replay(self.filter, after, upto)
        if self.delivery.mode is DeliveryMode.EVERY:
            position = after
            async for messages in chunks:
                position = position.advanced(message.id for message in messages)
                yield MessageBatch(messages, position, self.clock.now())
            return
        newest: dict[tuple[str, str], Message] = {}
        async for messages in chunks:
            newest |= {(message.exchange, message.instrument): message for message in messages}
        if newest:
            messages = sorted(newest.values(), key=lambda message: message.id)
            yield MessageBatch(messages, upto, self.clock.now())

    def lost(self, loss: Loss, reason: GapReason) -> MessageEvent:
        """A gap in place of what was left out."""
        return Gap(loss.after.encode(), loss.before.encode(), loss.missed, reason)

    def __aiter__(self) -> AsyncIterator[MessageEvent]:
        return alone(self)


@dataclass(slots=True)
class StatusStream:
    """`subscription connectorStatus`: what is known now, then every change."""

    board: StatusBoard
    viewer: Viewer
    connector_id: UUID | None
    reader: Reader

    @property
    def topic(self) -> Hashable:
        """The workspace and, where asked, the one connector."""
        return ("status", self.viewer.workspace_id, self.connector_id)

    def source(self) -> Source:
        """A new live half."""
        return StatusSource(self.board, self.viewer.workspace_id, self.connector_id)

    async def ready(self) -> None:
        """At once: a status needs no history. Raises Forbidden when the database does not show the workspace."""
        await require(self.reader, self.viewer.workspace_id)

    async def beginning(self, joined: Position) -> AsyncIterator[ConnectorStatus]:
        """The stored status of every connector asked for."""
        for status in await self.board.stored(self.viewer, self.connector_id):
            yield status

    async def between(self, after: Position, upto: Position) -> AsyncIterator[ConnectorStatus]:
        """As in the beginning: only the newest counts."""
        async for status in self.beginning(upto):
            yield status

    def lost(self, loss: Loss, reason: GapReason) -> ConnectorStatus:
        """Never asked: statuses replace one another."""
        raise AssertionError("a status is replaced, never lost")

    def __aiter__(self) -> AsyncIterator[ConnectorStatus]:
        return alone(self)


class Feed:
    """The live streams of this process (`domain.messages.Feed`, `domain.connectors.StatusFeed`)."""

    def __init__(
        self, hub: Hub, board: StatusBoard, clock: Clock, reader: Callable[[Viewer], Reader]
    ) -> None:
        self._hub = hub
        self._reader = reader
        self._board = board
        self._clock = clock

    def messages(
        self, viewer: Viewer, filter: MessageFilter, after: str | None, delivery: Delivery
    ) -> MessageStream:
        """Messages from `after` on, or from now on; raises InvalidInput for a cursor that is none."""
        position = None
        if after is not None:
            try:
                position = Position.decode(after)
            except ValueError as error:
                raise InvalidInput(
                    field="after",
                    reason="not a stream cursor; take one from MessageBatch.cursor, Gap.before or"
                    " MessageConnection.cursor",
                ) from error
        reader = self._reader(viewer)
        return MessageStream(self._hub, self._clock, filter, delivery, position, reader)

    def statuses(self, viewer: Viewer, connector_id: UUID | None) -> StatusStream:
        """Status changes of one connector, or of all in the viewer's workspace."""
        return StatusStream(self._board, viewer, connector_id, self._reader(viewer))


async def alone(stream: Stream) -> AsyncIterator[Any]:
    """A stream for one subscriber, with a live half of its own."""
    await stream.ready()
    source = stream.source()
    source.open()
    try:
        joined = source.mark(None)
        async for event in stream.beginning(joined):
            yield event
        async for item in source:
            if isinstance(item, Live):
                yield item.event
    finally:
        source.close()


async def require(reader: Reader, workspace_id: UUID) -> None:
    """Pass when the database shows the workspace's stream to the reader; raises Forbidden."""
    if not await reader.may_read(workspace_id):
        raise Forbidden(needed=Permission.READ_DATA.value)


def _covers(position: Position, other: Position) -> bool:
    return all(position.of(node) >= id for node, id in other.last.items())
