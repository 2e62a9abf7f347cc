"""What a message tells beyond price and quantity, by its type."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from domain.messages.ticks import Message, MessageType


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
