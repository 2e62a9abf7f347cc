"""Which messages and instruments are asked for, and in what order."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from domain.errors import InvalidInput
from domain.messages.ticks import Message, MessageType

FILTER_LIMIT = 100


class MessageOrder(Enum):
    """Order of a page: by the time Penstock received the messages."""

    NEWEST_FIRST = "newest_first"
    OLDEST_FIRST = "oldest_first"


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages: an empty set asks for all; `since` (inclusive) and `until` (exclusive) are receive times."""

    workspace_id: UUID
    connector_ids: frozenset[UUID] = frozenset()
    exchanges: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()
    types: frozenset[MessageType] = frozenset()
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        for name, values in (
            ("connectorIds", self.connector_ids),
            ("exchanges", self.exchanges),
            ("instruments", self.instruments),
            ("types", self.types),
        ):
            if len(values) > FILTER_LIMIT:
                raise InvalidInput(field=f"filter.{name}", reason=f"at most {FILTER_LIMIT} values")
        if self.since and self.until and self.since >= self.until:
            raise InvalidInput(field="filter.until", reason="must be after since")

    def admits(self, message: Message) -> bool:
        """Whether a live message passes."""
        return (
            message.workspace_id == self.workspace_id
            and (not self.instruments or message.instrument in self.instruments)
            and (not self.connector_ids or message.connector_id in self.connector_ids)
            and (not self.types or message.type in self.types)
            and (not self.exchanges or message.exchange in self.exchanges)
            and (self.since is None or message.received_at >= self.since)
            and (self.until is None or message.received_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class InstrumentFilter:
    """Which instruments; an empty set asks for all, `search` is part of a name, any case."""

    workspace_id: UUID
    exchanges: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    search: str | None = None
