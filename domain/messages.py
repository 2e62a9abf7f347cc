"""Messages: what venues said, in one shape; the events everything else in Penstock stands on."""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary
from sqlmodel import Field, SQLModel

from domain.columns import text_enum
from domain.connectors import Connector, Secrets
from domain.errors import DomainError, InvalidInput
from domain.identity import Viewer
from domain.live import LiveStream
from domain.paging import Edge, Page, PageInfo, Window
from domain.positions import Position

FILTER_LIMIT = 100
SAVE_LIMIT = 10_000
NAME_LIMIT = 200
DIGIT_LIMIT = 100
DATA_LIMIT_BYTES = 65_536
SAMPLE_INTERVAL_MS = (10, 3_600_000)


class MessageType(Enum):
    """What a message tells."""

    TRADE = "trade"
    TICKER = "ticker"
    QUOTE = "quote"
    BOOK = "book"
    CANDLE = "candle"
    OTHER = "other"


class Side(Enum):
    """Which side took liquidity: the aggressor's."""

    BUY = "buy"
    SELL = "sell"


class MessageOrder(Enum):
    """Order of a page: by the time Penstock received the messages."""

    NEWEST_FIRST = "newest_first"
    OLDEST_FIRST = "oldest_first"


@dataclass(slots=True)
class Tick:
    """One message as a normaliser reads it from a frame, before Penstock gives it an id.

    `data` is the JSON text of the venue untouched: the frame when it carries one message, else the element of the
    frame that holds this one. `detail` is the JSON that `detail_of` reads. `key` is equal for two ticks of
    one connector exactly when the venue sent the same thing twice (None: cannot be told). `run` is
    `(stream, first, last)`: the closed range of venue sequence numbers this tick covers within the numbering
    that the venue keeps for one instrument under that stream's name without holes (None elsewhere). A frame
    may list its ticks newest first; a run that starts at or below the last one seen is a repetition or, with a
    key not seen before, a venue that began to count anew.
    """

    exchange: str
    instrument: str
    type: MessageType
    price: Decimal | None
    quantity: Decimal | None
    side: Side | None
    sequence: str | None
    event_time: datetime | None
    data: str
    detail: str | None = None
    key: str | None = None
    run: tuple[str, int, int] | None = None


@dataclass(slots=True)
class Message:
    """A stored message. Not an SQLModel entity: thousands are read a second, and none is ever changed."""

    id: int
    workspace_id: UUID
    connector_id: UUID
    exchange: str
    instrument: str
    type: MessageType
    price: Decimal | None
    quantity: Decimal | None
    side: Side | None
    sequence: str | None
    event_time: datetime | None
    received_at: datetime
    data: str
    detail: str | None


@dataclass(frozen=True, slots=True)
class TickerDetail:
    """Best bid and ask and the last 24 hours."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    volume: Decimal | None = None


@dataclass(frozen=True, slots=True)
class QuoteDetail:
    """Best bid and ask; the message's price is their middle."""

    bid: Decimal | None = None
    bid_quantity: Decimal | None = None
    ask: Decimal | None = None
    ask_quantity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class BookLevel:
    """A price level; quantity 0 takes the level out of the book."""

    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class BookDetail:
    """An order book (`snapshot`) or what changed in it."""

    snapshot: bool
    bids: list[BookLevel]
    asks: list[BookLevel]


@dataclass(frozen=True, slots=True)
class CandleDetail:
    """Open, high, low, close and volume over `interval` (the venue's own name for it)."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    interval: str | None = None
    start: datetime | None = None
    closed: bool | None = None


MessageDetail = TickerDetail | QuoteDetail | BookDetail | CandleDetail


def detail_of(message: Message) -> MessageDetail | None:
    """The normalised facts beyond price and quantity, read from the stored JSON; None for types without."""
    return read_detail(message.type, message.detail)


def read_detail(type: MessageType, detail: str | None) -> MessageDetail | None:
    """The facts in the JSON of a message's or a tick's `detail`."""
    if detail is None:
        return None
    facts: dict[str, Any] = json.loads(detail)
    match type:
        case MessageType.TICKER:
            return TickerDetail(**_decimals(facts))
        case MessageType.QUOTE:
            return QuoteDetail(**_decimals(facts))
        case MessageType.BOOK:
            return BookDetail(
                snapshot=facts["snapshot"], bids=_levels(facts["bids"]), asks=_levels(facts["asks"])
            )
        case MessageType.CANDLE:
            start = facts.pop("start", None)
            named = {name: facts.pop(name, None) for name in ("interval", "closed")}
            return CandleDetail(
                **_decimals(facts),
                **named,
                start=None if start is None else datetime.fromisoformat(start),
            )
    return None


def _decimals(facts: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: None if text is None else Decimal(text) for name, text in facts.items()}


def _levels(levels: Sequence[tuple[str, str]]) -> list[BookLevel]:
    return [BookLevel(Decimal(price), Decimal(quantity)) for price, quantity in levels]


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


class DeliveryMode(Enum):
    """What a subscriber gets when messages come faster than it wants or can read."""

    EVERY = "every"
    LATEST = "latest"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How to deliver; `interval_ms` belongs to SAMPLE alone."""

    mode: DeliveryMode = DeliveryMode.EVERY
    interval_ms: int | None = None

    def __post_init__(self) -> None:
        low, high = SAMPLE_INTERVAL_MS
        if self.mode is DeliveryMode.SAMPLE:
            if self.interval_ms is None or not low <= self.interval_ms <= high:
                raise InvalidInput(
                    field="delivery.intervalMs", reason=f"SAMPLE needs one from {low} to {high}"
                )
        elif self.interval_ms is not None:
            raise InvalidInput(field="delivery.intervalMs", reason="belongs to SAMPLE alone")


class GapReason(Enum):
    """Why messages between two cursors were not sent."""

    SLOW_CONSUMER = "slow_consumer"
    RETENTION = "retention"
    RESET = "reset"
    OVERLOAD = "overload"


@dataclass(slots=True)
class MessageBatch:
    """Messages announced together; `cursor` is where a reader stands after them."""

    messages: list[Message]
    position: Position
    published_at: datetime
    key: str | None = None  # newest-wins slot of LATEST and SAMPLE: the instrument; None for EVERY

    @property
    def cursor(self) -> str:
        """The position as clients carry it."""
        return self.position.encode()


@dataclass(slots=True)
class Gap:
    """Messages the subscriber did not get: those after `after`, up to `before`."""

    after: str | None
    before: str
    missed: int | None
    reason: GapReason


MessageEvent = MessageBatch | Gap


class Feed(Protocol):
    """The live stream, as subscriptions read it."""

    def messages(
        self, filter: MessageFilter, after: str | None, delivery: Delivery
    ) -> LiveStream[MessageEvent]:
        """Messages from `after` on, or from now on; raises InvalidInput for a cursor that is none."""


class MessageBatchRecord(SQLModel, table=True):
    """One committed COPY, as far as one connector had a part in it; `id` is its first message's."""

    __tablename__ = "message_batches"

    id: int = Field(primary_key=True, sa_type=BigInteger)
    workspace_id: UUID = Field(foreign_key="workspaces.id")
    connector_id: UUID
    last_id: int = Field(sa_type=BigInteger)
    message_count: int
    byte_count: int = Field(sa_type=BigInteger)
    first_received_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_received_at: datetime = Field(sa_type=DateTime(timezone=True))
    duration_ms: float
    idempotency_key: str | None = Field(default=None, max_length=200)
    digest: bytes | None = Field(default=None, sa_type=LargeBinary)  # SHA-256 of what the key saved


class QuarantineReason(Enum):
    """Why a frame could not become messages."""

    MALFORMED = "malformed"
    UNEXPECTED = "unexpected"
    INVALID_VALUE = "invalid_value"
    TOO_LARGE = "too_large"


class QuarantineState(Enum):
    """Whether a quarantined frame was understood since."""

    HELD = "held"
    REPLAYED = "replayed"


class QuarantinedFrame(SQLModel, table=True):
    """A frame that could not be understood, kept whole (up to the size limit) until it can."""

    __tablename__ = "quarantined_frames"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id")
    connector_id: UUID
    received_at: datetime = Field(sa_type=DateTime(timezone=True))
    reason: QuarantineReason = Field(sa_type=text_enum(QuarantineReason))
    explanation: str
    source: str
    frame: bytes = Field(sa_type=LargeBinary)
    frame_bytes: int
    state: QuarantineState = Field(default=QuarantineState.HELD, sa_type=text_enum(QuarantineState))
    replayed_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


class SequenceGap(SQLModel, table=True):
    """Venue sequence numbers that never arrived: those after `after_sequence`, before `before_sequence`."""

    __tablename__ = "sequence_gaps"

    id: UUID = Field(primary_key=True)
    workspace_id: UUID = Field(foreign_key="workspaces.id")
    connector_id: UUID
    instrument: str
    type: MessageType = Field(sa_type=text_enum(MessageType))
    after_sequence: int = Field(sa_type=BigInteger)
    before_sequence: int = Field(sa_type=BigInteger)
    missed: int = Field(sa_type=BigInteger)
    noticed_at: datetime = Field(sa_type=DateTime(timezone=True))


class CannotNormalise(DomainError):
    """A frame that a normaliser does not understand: it goes to quarantine, whole."""

    def __init__(self, reason: QuarantineReason, explanation: str) -> None:
        super().__init__(explanation)
        self.reason = reason
        self.explanation = explanation


@dataclass(frozen=True, slots=True)
class Instrument:
    """An instrument with its newest priced message."""

    exchange: str
    name: str
    last_price: Decimal | None
    last_time: datetime
    last_message_id: int


@dataclass(frozen=True, slots=True)
class InstrumentFilter:
    """Which instruments; an empty set asks for all, `search` is part of a name, any case."""

    workspace_id: UUID
    exchanges: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    search: str | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that did not come from a running connector; `data` and `detail` are JSON text."""

    instrument: str
    type: MessageType = MessageType.OTHER
    exchange: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    side: Side | None = None
    sequence: str | None = None
    event_time: datetime | None = None
    data: str = "null"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class SavedMessages:
    """What `save` stored; `repeated` when the same key had stored it before."""

    connector_id: UUID
    batch_id: int
    saved_count: int
    repeated: bool
    cursor: str


def check_new_messages(messages: Sequence[NewMessage]) -> None:
    """Raise InvalidInput, naming the field, unless all of `messages` can be stored as they are."""
    if not 0 < len(messages) <= SAVE_LIMIT:
        raise InvalidInput(field="messages", reason=f"must be from 1 to {SAVE_LIMIT}")
    for index, message in enumerate(messages):
        fault = _fault_of(message)
        if fault is not None:
            name, reason = fault
            raise InvalidInput(field=f"messages[{index}].{name}", reason=reason)


def _fault_of(message: NewMessage) -> tuple[str, str] | None:
    if not message.instrument.strip():
        return "instrument", "must not be empty"
    for name in ("instrument", "exchange", "sequence"):
        text = getattr(message, name)
        if text is not None and _size_of(text) > NAME_LIMIT:
            return name, f"must be at most {NAME_LIMIT} bytes of valid Unicode without NUL"
    for name in ("price", "quantity"):
        number = getattr(message, name)
        if number is not None and not _in_range(number):
            return (
                name,
                f"must be finite, with at most {DIGIT_LIMIT} digits on each side of the point",
            )
    if message.event_time is not None and message.event_time.tzinfo is None:
        return "eventTime", "must have a time zone"
    for name in ("data", "detail"):
        text = getattr(message, name)
        if text is not None and not _is_json(text):
            return name, f"must be JSON of at most {DATA_LIMIT_BYTES} bytes"
    return None


def _is_json(text: str) -> bool:
    if _size_of(text) > DATA_LIMIT_BYTES:
        return False
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _size_of(text: str) -> int:
    """Bytes of UTF-8; beyond every limit when the database cannot store the text."""
    try:
        return len(text.encode()) if "\0" not in text else sys.maxsize
    except UnicodeEncodeError:
        return sys.maxsize


def _in_range(number: Decimal) -> bool:
    if not number.is_finite():
        return False
    digits, exponent = number.as_tuple()[1:]
    return -int(exponent) <= DIGIT_LIMIT and len(digits) + int(exponent) <= DIGIT_LIMIT


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class ReplayedQuarantine:
    """What a replay of quarantined frames did: frames understood, messages stored, frames still held."""

    replayed_count: int
    message_count: int
    still_held_count: int


class QuarantineReplay(Protocol):
    """Reads quarantined frames again, after a fix."""

    async def replay(
        self, viewer: Viewer, connector_id: UUID, ids: Sequence[UUID] | None = None
    ) -> ReplayedQuarantine:
        """Normalise held frames of a connector (`ids`, or oldest first at most 1,000) and store what they say.

        Raises NotFound for a connector the viewer may not see; frames that are not held any more are passed over.
        """


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


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a test of a connector saw, nothing of it stored."""

    ok: bool
    duration_ms: float
    frame: bytes | None = None
    ticks: tuple[Tick, ...] = ()
    error: str | None = None


class Prober(Protocol):
    """Tries a connector for a few seconds without storing anything."""

    async def probe(self, connector: Connector, secrets: Secrets) -> ProbeResult:
        """Fetch once, or listen for up to 10 s for the first message."""
