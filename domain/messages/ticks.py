"""What venues say, in one shape: as read from a frame, and as stored."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID


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
