"""What the live stream needs of the stored one."""

from collections.abc import AsyncIterator
from typing import Protocol
from uuid import UUID

from domain.messages import Message, MessageFilter
from domain.positions import Position
from infra.realtime.announcement import Row


class DroppedMeanwhile(Exception):
    """Retention overtook a replay: messages up to `dropped` went before they could be read."""

    def __init__(self, dropped: Position) -> None:
        super().__init__("retention dropped messages while they were being replayed")
        self.dropped = dropped


class Archive(Protocol):
    """The stored stream."""

    async def position(self) -> Position:
        """The last committed id of every node."""

    async def dropped(self) -> Position:
        """The last id of every node that retention has removed."""

    async def rows_between(self, node: int, after: int, upto: int, limit: int) -> list[Row]:
        """Rows of one node with after < id <= upto, by id, at most `limit`."""


class Reader(Protocol):
    """The stored stream as one viewer may see it."""

    async def may_read(self, workspace_id: UUID) -> bool:
        """Whether the database shows this workspace's stream to the viewer."""

    async def dropped(self) -> Position:
        """The last id of every node that retention has removed."""

    def replay(
        self, filter: MessageFilter, after: Position, upto: Position
    ) -> AsyncIterator[list[Message]]:
        """Messages past `after` up to `upto`, by id, in chunks; raises DroppedMeanwhile."""
