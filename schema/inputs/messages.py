"""What clients send about messages."""

from datetime import datetime
from decimal import Decimal

import strawberry
from strawberry.scalars import JSON

from domain.messages import DeliveryMode, MessageType, Side


@strawberry.input(
    description="Which messages; all conditions must hold, an empty list asks for all, a list holds at most 100."
)
class MessageFilter:
    """Conditions on messages."""

    connector_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description="From any of these connectors."
    )
    exchanges: list[str] | None = strawberry.field(
        default=None, description="From any of these exchanges, such as `binance`."
    )
    instruments: list[str] | None = strawberry.field(
        default=None, description="Of any of these instruments, as `BASE-QUOTE`."
    )
    types: list[MessageType] | None = strawberry.field(
        default=None, description="Of any of these types."
    )
    since: datetime | None = strawberry.field(
        default=None, description="Received at or after this time."
    )
    until: datetime | None = strawberry.field(
        default=None, description="Received before this time."
    )


@strawberry.input(description="How a subscription delivers.")
class Delivery:
    """A mode and its interval."""

    mode: DeliveryMode = strawberry.field(
        default=DeliveryMode.EVERY, description="What to leave out when messages come fast."
    )
    interval_ms: int | None = strawberry.field(
        default=None, description="Milliseconds between samples: 10 to 3,600,000. SAMPLE only."
    )


@strawberry.input(
    description="Which instruments; all conditions must hold, an empty list asks for all."
)
class InstrumentFilter:
    """Conditions on instruments."""

    search: str | None = strawberry.field(
        default=None, description="Part of the name, in any case."
    )
    exchanges: list[str] | None = strawberry.field(
        default=None, description="At any of these exchanges."
    )
    names: list[str] | None = strawberry.field(
        default=None, description="Any of these instruments, as `BASE-QUOTE`."
    )


@strawberry.input(description="A message to save.")
class MessageInput:
    """A message from the client itself."""

    instrument: str = strawberry.field(description="The instrument, as `BASE-QUOTE`.")
    exchange: str | None = strawberry.field(
        default=None, description="The exchange; null: the connector's venue."
    )
    type: MessageType = strawberry.field(
        default=MessageType.OTHER, description="What the message tells."
    )
    price: Decimal | None = strawberry.field(default=None, description="The price, exact.")
    quantity: Decimal | None = strawberry.field(default=None, description="The quantity, exact.")
    side: Side | None = strawberry.field(default=None, description="Which side took liquidity.")
    sequence: str | None = strawberry.field(
        default=None, description="The source's own sequence number or trade id."
    )
    event_time: datetime | None = strawberry.field(
        default=None, description="When it happened at the source."
    )
    data: JSON | None = strawberry.field(default=None, description="Anything else, as JSON.")


@strawberry.input(description="Messages to save: all of them or none.")
class SaveMessagesInput:
    """A batch from a client."""

    connector_id: strawberry.ID = strawberry.field(
        description="The connector that the messages count as coming from."
    )
    idempotency_key: str = strawberry.field(
        description="Any text of 1 to 200 characters. The same key twice stores once, so a call may be repeated "
        "when its answer was lost."
    )
    messages: list[MessageInput] = strawberry.field(description="1 to 10,000 messages.")


@strawberry.input(description="Which quarantined frames to read again, after a fix.")
class ReplayQuarantineInput:
    """Frames of one connector."""

    connector_id: strawberry.ID = strawberry.field(description="The connector they came from.")
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description="These frames, at most 1000; null: all still held, the oldest first, until 1000 were understood.",
    )
