"""Coinbase: the Exchange feed, the Advanced Trade channels, and the REST market data of both."""

from typing import Any

import msgspec

from domain.messages import Tick
from infra.feeds.venues import wire
from infra.feeds.venues.coinbase import advanced, exchange
from infra.feeds.venues.coinbase.product import Product, product_of

AnyMessage = (
    exchange.Match
    | exchange.LastMatch
    | exchange.Ticker
    | exchange.Snapshot
    | exchange.Update
    | exchange.Subscriptions
    | exchange.Heartbeat
    | exchange.Error
)
AnyChannel = (
    advanced.MarketTrades
    | advanced.TickerChannel
    | advanced.TickerBatch
    | advanced.Level2
    | advanced.CandleChannel
    | advanced.Subscriptions
    | advanced.Heartbeats
)

_message = wire.decoder(AnyMessage)
_channel = wire.decoder(AnyChannel)
_product_book = wire.decoder(advanced.ProductBook)
_price_books = wire.decoder(advanced.PriceBooks)
_price_book = wire.decoder(advanced.PriceBook)
_trades = wire.decoder(advanced.Trades)
_row = wire.decoder(exchange.RestCandle)
_trade = wire.decoder(exchange.RestTrade)

_BY_FIELD: tuple[tuple[str, str, Any], ...] = (
    ("bids", "book", wire.decoder(exchange.RestBook)),
    ("trade_id", "ticker", wire.decoder(exchange.RestTicker)),
    ("last", "stats", wire.decoder(exchange.RestStats)),
)


def normalise(frame: bytes, source: str) -> list[Tick]:
    """The messages of a frame; [] for subscriptions and heartbeats; raises CannotNormalise."""
    text, product = wire.text_of(frame), product_of(source)
    try:  # in one pass what the sockets send
        decode = _channel if frame.startswith(b'{"channel":') else _message
        known = decode(frame)
    except msgspec.ValidationError:
        return _by_shape(frame, text, product)
    found: list[Tick] = known.ticks(text, product)
    return found


def _by_shape(frame: bytes, text: str, product: Product) -> list[Tick]:
    node = wire.shape(frame)
    if isinstance(node, list):
        return _rows(node, text, product)
    if "type" in node or "channel" in node:
        decode = _channel if "channel" in node else _message
        found: list[Tick] = wire.decoded(decode, frame, "message").ticks(text, product)
        return found
    if "trades" in node:
        return advanced.trades(wire.decoded(_trades, frame, "trades").trades, text)
    if "candles" in node:
        return advanced.candles(advanced.candles_in(frame), text, product, product.interval)
    if "pricebook" in node:
        return [wire.decoded(_product_book, frame, "product_book").pricebook.book(text)]
    if "pricebooks" in node:
        return _quotes(wire.decoded(_price_books, frame, "best_bid_ask").pricebooks, text)
    for marker, what, decode in _BY_FIELD:
        if marker in node:
            return [wire.decoded(decode, frame, what).tick(text, product)]
    for words in ("message", "error"):
        if words in node:
            raise wire.unexpected(f"Coinbase answered {wire.shown(wire.anything(node[words]))}")
    raise wire.unexpected(f"no known message has the fields {wire.shown(sorted(node))}")


def _rows(rows: list[msgspec.Raw], text: str, product: Product) -> list[Tick]:
    """Exchange REST: candles are arrays, trades are objects."""
    alone, found = len(rows) == 1, []
    for row in rows:
        decode, what = (_row, "candle") if isinstance(wire.shape(row), list) else (_trade, "trade")
        tick = wire.decoded(decode, row, what).tick(text if alone else wire.text_of(row), product)
        found.append(tick)
    return found


def _quotes(books: list[msgspec.Raw], text: str) -> list[Tick]:
    alone = len(books) == 1
    return [
        wire.decoded(_price_book, one, "pricebook").quote(text if alone else wire.text_of(one))
        for one in books
    ]
