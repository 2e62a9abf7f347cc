"""Connector statuses as one process sees them: the newest of each, handed to whoever watches."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from domain.connectors import ConnectorState, ConnectorStatus
from domain.identity import Viewer
from domain.positions import Position
from infra.realtime.sources import Inbox, Live, Mark

Stored = Callable[[Viewer, UUID | None], Awaitable[Sequence[ConnectorStatus]]]

_TIMES = ("since", "last_message_at", "last_error_at", "leased_until")
_IDS = ("connector_id", "workspace_id", "leased_by")


class StatusCodec:
    """Statuses between processes."""

    def encode(self, message: ConnectorStatus) -> bytes:
        """The status's columns."""
        return msgspec.msgpack.encode(message.model_dump(mode="json"))

    def decode(self, payload: bytes) -> ConnectorStatus:
        """What `encode` wrote."""
        columns: dict[str, Any] = msgspec.msgpack.decode(payload)
        for name in _TIMES:
            columns[name] = columns[name] and datetime.fromisoformat(columns[name])
        for name in _IDS:
            columns[name] = columns[name] and UUID(columns[name])
        return ConnectorStatus(**columns | {"state": ConnectorState(columns["state"])})


class StatusBoard:
    """Hands statuses from the bus to the sources that watch them."""

    def __init__(self, stored: Stored) -> None:
        self.stored = stored
        self._sources: set[StatusSource] = set()

    def receive(self, status: ConnectorStatus) -> None:
        """Take a status from the bus."""
        for source in self._sources:
            source.offer(status)

    def attach(self, source: "StatusSource") -> None:
        """Begin to feed a source."""
        self._sources.add(source)

    def detach(self, source: "StatusSource") -> None:
        """Stop feeding a source."""
        self._sources.discard(source)


class StatusSource:
    """The newest status of each connector of a workspace, or of one connector."""

    def __init__(self, board: StatusBoard, workspace_id: UUID, connector_id: UUID | None) -> None:
        self._board = board
        self._workspace_id = workspace_id
        self._connector_id = connector_id
        self._waiting: dict[str, ConnectorStatus] = {}
        self._marks: list[Mark] = []
        self._inbox = Inbox()

    def open(self) -> None:
        """Start collecting."""
        self._board.attach(self)

    def close(self) -> None:
        """Stop collecting."""
        self._board.detach(self)

    def mark(self, who: Any) -> Position:
        """Put a mark; statuses have no position."""
        self._marks.append(Mark(who))
        self._inbox.wake()
        return Position()

    def offer(self, status: ConnectorStatus) -> None:
        """Take a status if it is one of those watched."""
        if status.workspace_id != self._workspace_id:
            return
        if self._connector_id is None or status.connector_id == self._connector_id:
            self._waiting[str(status.connector_id)] = status
            self._inbox.wake()

    async def __aiter__(self) -> AsyncIterator[Live | Mark]:
        while True:
            marks, self._marks = self._marks, []
            for mark in marks:
                yield mark
            waiting, self._waiting = self._waiting, {}
            for key, status in waiting.items():
                yield Live(status, Position(), key, 1)
            if not (self._marks or self._waiting):
                await self._inbox.wait()
