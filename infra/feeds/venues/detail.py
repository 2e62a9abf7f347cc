"""The detail of a message: the JSON that `domain.messages.detail_of` reads, written from checked digits."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal

import msgspec

from infra.feeds.venues.wire import (
    DIGITS_LIMIT,
    Number,
    Wire,
    decoded,
    decoder,
    digits,
    labelled,
    text_of,
)

_ZERO = Decimal(0)
_TWO = Decimal(2)
_WIDE = Context(prec=4 * DIGITS_LIMIT)

_DECIMAL = r'"\d{1,30}(?:\.\d{1,30})?"'
_pairs = re.compile(rf"\[(?:\[{_DECIMAL},{_DECIMAL}\](?:,(?=\[)|(?=\])))*+\]", re.ASCII).fullmatch


class Level(Wire, array_like=True):
    """A price level; venues add columns of their own."""

    price: Number
    quantity: Number


_levels = decoder(list[Level])


def middle(bid: str | None, ask: str | None) -> Decimal | None:
    """The exact middle of two prices in plain digits; None when a side is missing or zero."""
    if bid is None or ask is None:
        return None
    low, high = Decimal(bid), Decimal(ask)
    if low == _ZERO or high == _ZERO:
        return None
    return _WIDE.divide(_WIDE.add(low, high), _TWO)


def facts(**values: str | None) -> str:
    """The detail JSON of decimals in plain digits; those missing are left out."""
    return "{" + ",".join(f'"{name}":"{v}"' for name, v in values.items() if v is not None) + "}"


def quote(
    bid: str | None, bid_quantity: str | None, ask: str | None, ask_quantity: str | None
) -> str:
    """The detail of a QUOTE."""
    if bid is None or ask is None or bid_quantity is None or ask_quantity is None:
        return facts(bid=bid, bid_quantity=bid_quantity, ask=ask, ask_quantity=ask_quantity)
    return (
        f'{{"bid":"{bid}","bid_quantity":"{bid_quantity}",'
        f'"ask":"{ask}","ask_quantity":"{ask_quantity}"}}'
    )


def book(snapshot: bool, bids: str, asks: str) -> str:
    """The detail of a BOOK, from the JSON of its levels."""
    return f'{{"snapshot":{"true" if snapshot else "false"},"bids":{bids},"asks":{asks}}}'


def candle(
    prices: Sequence[Number],
    volume: Number,
    start: datetime,
    interval: str | None,
    closed: bool | None,
) -> str:
    """The detail of a CANDLE: `prices` are open, high, low and close."""
    open_, high, low, close = map(digits, prices, ("open", "high", "low", "close"))
    text = (
        f'{{"open":"{open_}","high":"{high}","low":"{low}","close":"{close}",'
        f'"volume":"{digits(volume, "volume")}","start":"{start.isoformat()}"'
    )
    if interval is not None:
        text += f',"interval":"{labelled(interval, "interval")}"'
    if closed is not None:
        text += ',"closed":true' if closed else ',"closed":false'
    return text + "}"


def levels(raw: msgspec.Raw, field: str) -> str:
    """The JSON `[[price, quantity], ...]` of price levels, whatever a venue adds to each."""
    text = text_of(raw)
    if _pairs(text):
        return text
    rows: list[Level] = decoded(_levels, raw, field)
    text = "[" + ",".join([f'["{row.price}","{row.quantity}"]' for row in rows]) + "]"
    if _pairs(text) and text.count("[") == len(rows) + 1:
        return text
    return paired([(row.price, row.quantity) for row in rows], field)


def paired(pairs: Sequence[tuple[Number, Number]], field: str) -> str:
    """The JSON `[[price, quantity], ...]` of pairs."""
    price, quantity = f"{field}.price", f"{field}.quantity"
    return (
        "[" + ",".join([f'["{digits(p, price)}","{digits(q, quantity)}"]' for p, q in pairs]) + "]"
    )
