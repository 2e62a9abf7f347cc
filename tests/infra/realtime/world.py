"""A small stream to test against: an archive in memory and the announcements of its commits."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Self
from uuid import UUID

from domain.identity import Viewer
from domain.messages import Message, MessageFilter
from domain.positions import EPOCH_MS, MILLISECOND, Position, node_of
from infra.realtime.announcement import Announcement, Row
from infra.realtime.hub import Hub, message_of

WORKSPACE = UUID(int=1)
CONNECTOR = UUID(int=2)
START = datetime(2026, 1, 1, tzinfo=UTC)
START_ID = (int(START.timestamp() * 1000) - EPOCH_MS) * MILLISECOND


class StillClock:
    def now(self) -> datetime:
        return START


def everything(*instruments: str) -> MessageFilter:
    return MessageFilter(WORKSPACE, instruments=frozenset(instruments))


class World:
    """Commits rows, keeps them like a database would, and gives the announcements of them."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.dropped_position = Position()
        self.last: dict[int, int] = {}
        self.hub = Hub(self, StillClock())

    def commit(self, node: int, *instruments: str) -> Announcement:
        previous = self.last.get(node, 0)
        rows = []
        for instrument in instruments:
            sequence = len(self.rows) + 1
            id = START_ID + sequence * MILLISECOND + (node << 12)
            rows.append(self.row(id, instrument))
            self.rows.append(rows[-1])
            self.last[node] = id
        return Announcement(node, previous, self.last[node], START, rows)

    @staticmethod
    def row(id: int, instrument: str) -> Row:
        received_at = START + timedelta(milliseconds=(id - START_ID) // MILLISECOND)
        return (
            id, WORKSPACE, CONNECTOR, "test", instrument, "trade", Decimal("1.5"), None, "buy",
            None, None, received_at, "{}", None,
        )  # fmt: skip

    async def may_read(self, workspace_id: UUID) -> bool:
        return workspace_id == WORKSPACE

    def seen_by(self, _: Viewer) -> Self:
        return self

    async def position(self) -> Position:
        return Position(self.last)

    async def dropped(self) -> Position:
        return self.dropped_position

    async def rows_between(self, node: int, after: int, upto: int, limit: int) -> list[Row]:
        await asyncio.sleep(0)
        found = [row for row in self.rows if node_of(row[0]) == node and after < row[0] <= upto]
        return sorted(found)[:limit]

    async def replay(
        self, filter: MessageFilter, after: Position, upto: Position
    ) -> AsyncIterator[list[Message]]:
        for row in sorted(self.rows):
            message = message_of(row)
            if not after.has(row[0]) and upto.has(row[0]) and filter.admits(message):
                await asyncio.sleep(0)
                yield [message]


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)
