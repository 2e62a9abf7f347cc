"""The stored stream: the port it is read and written through, and its pages."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.identity import Act, Viewer
from domain.messages.filters import InstrumentFilter, MessageFilter, MessageOrder
from domain.messages.saving import NewMessage, SavedMessages
from domain.messages.ticks import Message
from domain.paging import Edge, Page, PageInfo, Window
from domain.positions import Position


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument with its newest priced message."""

    exchange: str
    name: str
    last_price: Decimal | None
    last_time: datetime
    last_message_id: int


@dataclass(frozen=True, slots=True)
class MessagePage:
    """A page and the stream position of the snapshot it was read from."""

    page: Page[Message]
    position: Position = field(default_factory=Position)

    @property
    def edges(self) -> list[Edge[Message]]:
        """The page's messages, each with the cursor that leads past it."""
        return self.page.edges

    @property
    def page_info(self) -> PageInfo:
        """What lies around the page."""
        return self.page.page_info

    @property
    def count(self) -> Callable[[], Awaitable[int]]:
        """Counts all messages that the filter admits."""
        return self.page.count

    @property
    def cursor(self) -> str:
        """The position as clients carry it."""
        return self.position.encode()


class MessageLog(Protocol):
    """The stored stream, read and written by columns."""

    async def page(
        self,
        filter: MessageFilter,
        order: MessageOrder,
        window: Window,
        columns: frozenset[str] | None = None,
    ) -> Page[Message]:
        """A page by id; raises InvalidInput for a cursor that is none.

        `columns` names the fields of Message that will be read (None: all of them); the others may be None.
        """

    async def snapshot(
        self,
        filter: MessageFilter,
        order: MessageOrder,
        window: Window,
        columns: frozenset[str] | None = None,
    ) -> MessagePage:
        """A page as `page` gives it, and the position of the very snapshot it was read from."""

    async def instruments(self, filter: InstrumentFilter, window: Window) -> Page[Instrument]:
        """A page by exchange, then name; raises InvalidInput for a cursor that is none."""

    async def position(self) -> Position:
        """The last committed id of every node, now."""

    async def by_ids(self, viewer: Viewer, ids: Sequence[int]) -> dict[int, Message]:
        """The viewer's messages with these ids."""

    async def save(
        self,
        viewer: Viewer,
        connector_id: UUID,
        exchange: str,
        messages: Sequence[NewMessage],
        idempotency_key: str,
    ) -> SavedMessages:
        """Store all or nothing and announce; the same key twice stores once."""


class Logs(Protocol):
    """The stored stream as each caller may see it."""

    def of(self, act: Act) -> MessageLog:
        """As the caller's viewer: what is not theirs is not there. Raises Unauthenticated."""
