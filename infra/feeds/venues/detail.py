"""The detail of a message: the JSON that `domain.messages.detail_of` reads, written from checked digits."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

import msgspec

from infra.feeds.venues.wire import (
    DIGITS_LIMIT,
    Number,
    decoded,
    decoder,
    digits,
    labelled,
    shown,
    unexpected,
)

_ZERO = Decimal(0)
_TWO = Decimal(2)
_WIDE = Context(prec=4 * DIGITS_LIMIT)

_DECIMAL = rb'"\d{1,30}(?:\.\d{1,30})?"'
_pairs = re.compile(rb"\[(?:\[%b,%b\](?:,(?=\[)|(?=\])))*+\]" % (_DECIMAL, _DECIMAL)).fullmatch
_WIDER = rb'\[(%b),(%b),"[\d.]{1,40}"(?:,"[\d.]{1,40}")*+\]' % (_DECIMAL, _DECIMAL)
_wider = re.compile(rb"\[(?:%b(?:,(?=\[)|(?=\])))*+\]" % _WIDER).fullmatch
_each_wider = re.compile(_WIDER).findall

_rows = decoder(list[list[Any]])


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
    text = bytes(raw)
    if _pairs(text):
        return text.decode()
    if _wider(text):
        return "[" + ",".join([f"[{p.decode()},{q.decode()}]" for p, q in _each_wider(text)]) + "]"
    pairs = []
    for row in decoded(_rows, raw, field):
        if len(row) < 2:
            raise unexpected(f"{field}: a level needs a price and a quantity, not {shown(row)}")
        pairs.append((row[0], row[1]))
    return paired(pairs, field)


def paired(pairs: Sequence[tuple[Number, Number]], field: str) -> str:
    """The JSON `[[price, quantity], ...]` of pairs."""
    price, quantity = f"{field}.price", f"{field}.quantity"
    return (
        "[" + ",".join([f'["{digits(p, price)}","{digits(q, quantity)}"]' for p, q in pairs]) + "]"
    )
