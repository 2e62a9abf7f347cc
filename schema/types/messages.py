"""Messages as clients see them, stored and live."""

from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import relay
from strawberry.scalars import JSON

from domain import messages
from resolvers import connectors as connector_resolvers
from resolvers import messages as resolvers
from schema.errors import ConnectorNotFound, InvalidInput, mutation
from schema.scalars import Cursor, Long
from schema.types.connectors import Connector
from schema.views import Connection, field, plain, subscription, view

_CONNECTOR_ID = "The connector's id."
_CONNECTOR = "The connector; null when it was deleted."


@view(messages.TickerDetail, "Best bid and ask and the last 24 hours.")
class TickerDetail:
    bid: Decimal | None = plain("The best bid.")
    ask: Decimal | None = plain("The best ask.")
    open: Decimal | None = plain("The price 24 hours ago.")
    high: Decimal | None = plain("The highest price of the last 24 hours.")
    low: Decimal | None = plain("The lowest price of the last 24 hours.")
    volume: Decimal | None = plain("The volume of the last 24 hours, in the base currency.")


@view(messages.QuoteDetail, "Best bid and ask; the message's price is their middle.")
class QuoteDetail:
    bid: Decimal | None = plain("The best bid.")
    bid_quantity: Decimal | None = plain("The quantity at the best bid.")
    ask: Decimal | None = plain("The best ask.")
    ask_quantity: Decimal | None = plain("The quantity at the best ask.")


@view(messages.BookLevel, "A price level of an order book.")
class BookLevel:
    price: Decimal = plain("The price.")
    quantity: Decimal = plain("The quantity at it; 0 takes the level out of the book.")


@view(messages.BookDetail, "An order book, or what changed in it.")
class BookDetail:
    snapshot: bool = plain("Whether this is the whole book; else it is what changed.")
    bids: list[BookLevel] = plain("Levels of the buying side.")
    asks: list[BookLevel] = plain("Levels of the selling side.")


@view(messages.CandleDetail, "Prices and volume of an interval.")
class CandleDetail:
    open: Decimal = plain("The first price.")
    high: Decimal = plain("The highest price.")
    low: Decimal = plain("The lowest price.")
    close: Decimal = plain("The last price.")
    volume: Decimal = plain("The volume, in the base currency.")
    interval: str | None = plain("How long the interval is, as the venue names it.")
    start: datetime | None = plain("When the interval began.")
    closed: bool | None = plain("Whether the interval is over; null when the venue does not say.")


MessageDetail = Annotated[
    TickerDetail | QuoteDetail | BookDetail | CandleDetail,
    strawberry.union(
        "MessageDetail",
        description="What a message says beyond price and quantity, by its type, normalised across venues.",
    ),
]


@view(messages.Message, "What a venue said, in one shape.")
class Message(relay.Node):
    id: relay.NodeID[int]
    connector_id: strawberry.ID = field(connector_resolvers.connector_id_of, _CONNECTOR_ID)
    connector: Connector | None = field(connector_resolvers.connector_of, _CONNECTOR)
    exchange: str = plain("The exchange, such as `binance`.")
    instrument: str = plain("The instrument, as `BASE-QUOTE`.")
    type: messages.MessageType = plain("What it tells.")
    price: Decimal | None = plain("The price, exact.")
    quantity: Decimal | None = plain("The quantity, exact.")
    side: messages.Side | None = plain("Which side took liquidity.")
    sequence: str | None = plain("The venue's own sequence number or trade id.")
    event_time: datetime | None = plain("When it happened, by the venue's clock.")
    received_at: datetime = plain("When Penstock received it.")
    data: JSON = plain("What the venue sent, untouched.")
    detail: MessageDetail | None = field(
        resolvers.detail, "What it says beyond price and quantity; null for types without."
    )


@strawberry.type(description="A page of messages.")
class MessageConnection(Connection[Message]):
    cursor: Cursor = plain(
        "Where the stream stood when this page was read. Give it to `subscription messages(after:)` to get every "
        "later message, and none that this page could have shown."
    )


@view(messages.MessageBatchRecord, "Messages of one connector that were stored together.")
class MessageBatchRecord(relay.Node):
    id: relay.NodeID[int]
    connector_id: strawberry.ID = field(connector_resolvers.connector_id_of, _CONNECTOR_ID)
    connector: Connector | None = field(connector_resolvers.connector_of, _CONNECTOR)
    message_count: int = plain("How many messages.")
    byte_count: Long = plain("How many bytes of venue data.")
    first_received_at: datetime = plain("When the first was received.")
    last_received_at: datetime = plain("When the last was received.")
    span: timedelta = field(resolvers.span, "From the first to the last.")
    duration_ms: float = plain("How long storing took, in milliseconds.")
    idempotency_key: str | None = plain(
        "The key of `saveMessages`; null when a connector wrote it."
    )


@view(messages.QuarantinedFrame, "A frame that could not be understood, kept until it can.")
class QuarantinedFrame(relay.Node):
    id: relay.NodeID[UUID]
    connector_id: strawberry.ID = field(connector_resolvers.connector_id_of, _CONNECTOR_ID)
    connector: Connector | None = field(connector_resolvers.connector_of, _CONNECTOR)
    received_at: datetime = plain("When it was received.")
    reason: messages.QuarantineReason = plain("Why it could not be understood.")
    explanation: str = plain("What exactly was wrong.")
    source: str = plain("The URL it came from.")
    text: str | None = field(resolvers.frame_text, "The frame; null when it is not text.")
    base64: str = field(resolvers.frame_base64, "The frame, byte by byte.")
    frame_bytes: int = plain("How large the frame was.")
    state: messages.QuarantineState = plain("Whether it was understood since.")
    replayed_at: datetime | None = plain("When it was understood.")


@view(messages.SequenceGap, "Sequence numbers of a venue that never arrived.")
class SequenceGap(relay.Node):
    id: relay.NodeID[UUID]
    connector_id: strawberry.ID = field(connector_resolvers.connector_id_of, _CONNECTOR_ID)
    connector: Connector | None = field(connector_resolvers.connector_of, _CONNECTOR)
    instrument: str = plain("The instrument, as `BASE-QUOTE`.")
    type: messages.MessageType = plain("The type of the messages that are missing.")
    after_sequence: Long = plain("The last number before the gap.")
    before_sequence: Long = plain("The first number after it.")
    missed: Long = plain("How many are missing.")
    noticed_at: datetime = plain("When the gap was noticed.")


@view(messages.Instrument, "An instrument at an exchange, with its newest priced message.")
class Instrument:
    exchange: str = plain("The exchange.")
    name: str = plain("The instrument, as `BASE-QUOTE`.")
    last_price: Decimal | None = plain("The last price, exact.")
    last_time: datetime = plain("When that price was received.")
    last_message: Message | None = field(
        resolvers.last_message, "The message it came with; null when retention removed it."
    )


@view(messages.ProbedMessage, "A message as a test saw it, not stored.")
class ProbedMessage:
    exchange: str = plain("The exchange.")
    instrument: str = plain("The instrument, as `BASE-QUOTE`.")
    type: messages.MessageType = plain("What it tells.")
    price: Decimal | None = plain("The price, exact.")
    quantity: Decimal | None = plain("The quantity, exact.")
    side: messages.Side | None = plain("Which side took liquidity.")
    sequence: str | None = plain("The venue's own sequence number or trade id.")
    event_time: datetime | None = plain("When it happened, by the venue's clock.")
    data: JSON = plain("What the venue sent.")
    detail: MessageDetail | None = plain("What it says beyond price and quantity.")


@view(messages.SavedMessages, "What `saveMessages` stored.")
class SavedMessages:
    connector_id: strawberry.ID = field(connector_resolvers.connector_id_of, _CONNECTOR_ID)
    connector: Connector | None = field(connector_resolvers.connector_of, _CONNECTOR)
    saved_count: int = plain("How many messages are stored under this key.")
    repeated: bool = plain("Whether an earlier call with this key had stored them.")
    batch_id: strawberry.ID = field(resolvers.batch_id, "The id of their `MessageBatchRecord`.")
    cursor: Cursor = plain("Where the stream stands after them.")


@view(messages.ReplayedQuarantine, "What reading quarantined frames again achieved.")
class ReplayedQuarantine:
    replayed_count: int = plain("Frames understood now.")
    message_count: int = plain("Messages stored from them.")
    still_held_count: int = plain("Frames still not understood.")


@view(
    messages.MessageBatch,
    "Messages announced together. The first batch of a subscription that begins now is empty: its `cursor` marks "
    "where live begins, so that a client which subscribes first and queries then misses nothing.",
)
class MessageBatch:
    messages: list[Message] = plain("The messages, in order within each connector.")
    cursor: Cursor = plain(
        "Where the subscriber stands after them; for `after`, to go on from here."
    )
    published_at: datetime = plain("When they were announced.")


@view(messages.Gap, "Messages this subscriber did not get.")
class Gap:
    after: Cursor | None = plain("The last place before them; null when it is not known.")
    before: Cursor = plain("Where the subscriber stands now, after them.")
    missed: int | None = plain("How many they are; null when it is not known.")
    reason: messages.GapReason = plain("Why they were not sent.")


MessageEvent = Annotated[
    MessageBatch | Gap,
    strawberry.union("MessageEvent", description="What happens on the message stream."),
]
SaveMessagesResult = Annotated[
    SavedMessages | InvalidInput | ConnectorNotFound,
    strawberry.union("SaveMessagesResult", description="What was stored, or why nothing was."),
]
ReplayQuarantineResult = Annotated[
    ReplayedQuarantine | InvalidInput | ConnectorNotFound,
    strawberry.union(
        "ReplayQuarantineResult", description="What was understood, or why nothing was read."
    ),
]


@strawberry.type
class MessageQuery:
    messages: MessageConnection = field(resolvers.page, "Stored messages.")
    message_batches: Connection[MessageBatchRecord] = field(
        resolvers.batches, "Stored batches, newest first."
    )
    quarantine: Connection[QuarantinedFrame] = field(
        resolvers.quarantine, "Frames that could not be understood, newest first."
    )
    sequence_gaps: Connection[SequenceGap] = field(
        resolvers.sequence_gaps, "Holes in venues' sequence numbers, newest first."
    )
    instruments: Connection[Instrument] = field(
        resolvers.instruments, "Instruments with their last price, by exchange and name."
    )


@strawberry.type
class MessageMutation:
    save_messages: SaveMessagesResult = mutation(
        resolvers.save, "Store and announce messages of your own: all of them or none."
    )
    replay_quarantine: ReplayQuarantineResult = mutation(
        resolvers.replay, "Read quarantined frames again, after a fix, and store what they say."
    )


@strawberry.type
class MessageSubscription:
    messages: AsyncGenerator[MessageEvent, None] = subscription(
        resolvers.events,
        "Messages as they are stored, or from `after` on and then live: each once, in order per connector, "
        "with a `Gap` in place of any that could not be sent.",
    )
