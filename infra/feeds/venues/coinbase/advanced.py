"""Coinbase Advanced Trade: the channels of its WebSocket and its public REST market data.

Shapes: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels and .../rest-api.
`sequence_num` counts the frames of one connection and starts again with the next, so it tells frames apart only
together with the frame's time. A trade's side is taken as it is.
"""

from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Raw

from domain.messages import MessageType, Side, Tick
from infra.feeds.venues import detail, wire
from infra.feeds.venues.coinbase.exchange import candle
from infra.feeds.venues.coinbase.product import EXCHANGE, Product
from infra.feeds.venues.wire import Id, Number, Wire

CANDLE_INTERVAL = "FIVE_MINUTE"  # the only one of the candles channel

TradeId = Annotated[str, msgspec.Meta(max_length=40)] | Id


class TradeSide(Enum):
    """Sides in this API's spelling."""

    BUY = "BUY"
    SELL = "SELL"


class BookSide(Enum):
    """Sides of a level2 update."""

    BID = "bid"
    OFFER = "offer"


class Channel(Wire, tag_field="channel"):
    """A frame of a channel: events, each with elements."""

    timestamp: str
    sequence_num: Id = 0
    events: list[Raw] = []

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """The messages in it; none for what only steers the connection."""
        return []

    def key(self, index: int) -> str:
        """Tells the elements of frames apart."""
        return f"{self.timestamp}:{self.sequence_num}:{index}"


class Trade(Wire):
    """An element of market_trades, and of REST `ticker`."""

    trade_id: TradeId
    product_id: str
    price: Number
    size: Number
    side: TradeSide
    time: str

    def tick(self, text: str) -> Tick:
        """A TRADE."""
        name, id = wire.named(self.product_id, "product_id"), str(self.trade_id)
        count = int(id) if id.isdecimal() and len(id) < 19 else None
        return Tick(
            EXCHANGE,
            name,
            MessageType.TRADE,
            wire.number(self.price, "price"),
            wire.number(self.size, "size"),
            Side.BUY if self.side is TradeSide.BUY else Side.SELL,
            wire.named(id, "trade_id"),
            wire.iso(self.time, "time"),
            text,
            None,
            f"t:{name}:{id}",
            None if count is None else ("match", count, count),
        )


class Trades(Wire):
    """An event of market_trades; REST `ticker` has the same shape."""

    trades: list[Raw]


class MarketTrades(Channel, tag="market_trades"):
    """Trades."""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """TRADEs."""
        return trades([raw for event in self.events for raw in _trades_in(event)], text)


def _trades_in(event: Raw) -> list[Raw]:
    found: list[Raw] = wire.decoded(_trades, event, "market_trades").trades
    return found


def trades(elements: list[Raw], text: str) -> list[Tick]:
    """TRADEs of raw elements in a frame."""
    alone = len(elements) == 1
    return [
        wire.decoded(_trade, one, "trade").tick(text if alone else wire.text_of(one))
        for one in elements
    ]


class Ticker(Wire):
    """An element of ticker and ticker_batch."""

    product_id: str
    price: Number
    volume_24_h: Number = None
    low_24_h: Number = None
    high_24_h: Number = None
    best_bid: Number = None
    best_ask: Number = None


class Tickers(Wire):
    """An event of ticker and ticker_batch."""

    tickers: list[Raw]


class TickerChannel(Channel, tag="ticker"):
    """Best bid and ask and 24 hours."""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """TICKERs."""
        elements = [raw for event in self.events for raw in _tickers_in(event)]
        alone = len(elements) == 1
        return [
            self._tick(
                wire.decoded(_ticker, one, "ticker"), i, text if alone else wire.text_of(one)
            )
            for i, one in enumerate(elements)
        ]

    def _tick(self, ticker: Ticker, index: int, text: str) -> Tick:
        name = wire.named(ticker.product_id, "product_id")
        return Tick(
            EXCHANGE,
            name,
            MessageType.TICKER,
            wire.number(ticker.price, "price"),
            None,
            None,
            None,
            wire.iso(self.timestamp, "timestamp"),
            text,
            detail.facts(
                bid=wire.digits_or_none(ticker.best_bid, "best_bid"),
                ask=wire.digits_or_none(ticker.best_ask, "best_ask"),
                high=wire.digits_or_none(ticker.high_24_h, "high_24_h"),
                low=wire.digits_or_none(ticker.low_24_h, "low_24_h"),
                volume=wire.digits_or_none(ticker.volume_24_h, "volume_24_h"),
            ),
            f"ticker:{name}:{self.key(index)}",
        )


class TickerBatch(TickerChannel, tag="ticker_batch"):
    """Tickers every 5 s."""


def _tickers_in(event: Raw) -> list[Raw]:
    found: list[Raw] = wire.decoded(_tickers, event, "ticker").tickers
    return found


class Level(Wire):
    """A changed level."""

    side: BookSide
    price_level: Number
    new_quantity: Number


class Levels(Wire):
    """An event of level2: the whole book, then changes."""

    type: str
    product_id: str
    updates: list[Level]


class Level2(Channel, tag="l2_data"):
    """Books."""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """BOOKs, one an event."""
        alone = len(self.events) == 1
        return [
            self._tick(
                wire.decoded(_levels, one, "l2_data"), i, text if alone else wire.text_of(one)
            )
            for i, one in enumerate(self.events)
        ]

    def _tick(self, event: Levels, index: int, text: str) -> Tick:
        if event.type not in ("snapshot", "update"):
            raise wire.unexpected(f"l2_data: unknown event {wire.shown(event.type)}")
        name, sides = wire.named(event.product_id, "product_id"), []
        for side, field in ((BookSide.BID, "bids"), (BookSide.OFFER, "asks")):
            pairs = [(u.price_level, u.new_quantity) for u in event.updates if u.side is side]
            sides.append(detail.paired(pairs, field))
        return Tick(
            EXCHANGE,
            name,
            MessageType.BOOK,
            None,
            None,
            None,
            None,
            wire.iso(self.timestamp, "timestamp"),
            text,
            detail.book(event.type == "snapshot", *sides),
            f"l2:{name}:{self.key(index)}",
        )


class Candle(Wire):
    """An element of candles; over REST it names no product."""

    start: str | int
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    product_id: str | None = None

    def tick(self, text: str, product: Product, interval: str | None) -> Tick:
        """A CANDLE."""
        prices = (self.open, self.high, self.low, self.close)
        name = product.name() if self.product_id is None else self.product_id
        return candle(name, (prices, self.volume), self.start, interval, text)


class Candles(Wire):
    """An event of candles; REST `candles` has the same shape."""

    candles: list[Raw]


class CandleChannel(Channel, tag="candles"):
    """Candles of five minutes, every second."""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """CANDLEs, timed by the frame."""
        elements = [raw for event in self.events for raw in candles_in(event)]
        found = candles(elements, text, product, CANDLE_INTERVAL)
        time = wire.iso(self.timestamp, "timestamp")
        for index, tick in enumerate(found):
            tick.event_time, tick.key = time, f"c:{tick.instrument}:{self.key(index)}"
        return found


def candles_in(event: Raw | bytes) -> list[Raw]:
    """The raw candles in an event or a REST answer."""
    found: list[Raw] = wire.decoded(_candles, event, "candles").candles
    return found


def candles(elements: list[Raw], text: str, product: Product, interval: str | None) -> list[Tick]:
    """CANDLEs of raw elements in a frame."""
    alone = len(elements) == 1
    return [
        wire.decoded(_candle, one, "candle").tick(
            text if alone else wire.text_of(one), product, interval
        )
        for one in elements
    ]


class RestLevel(Wire):
    """A level of a pricebook."""

    price: Number
    size: Number


class PriceBook(Wire):
    """The book in `product_book`, or one of `best_bid_ask`."""

    product_id: str
    bids: list[RestLevel]
    asks: list[RestLevel]
    time: str | None = None

    def book(self, text: str) -> Tick:
        """A BOOK."""
        bids, asks = (
            detail.paired([(level.price, level.size) for level in side], field)
            for side, field in ((self.bids, "bids"), (self.asks, "asks"))
        )
        return self._tick(MessageType.BOOK, None, detail.book(True, bids, asks), text)

    def quote(self, text: str) -> Tick:
        """A QUOTE of the best levels."""
        bid, bid_size = _best(self.bids, "bid")
        ask, ask_size = _best(self.asks, "ask")
        told = detail.quote(bid, bid_size, ask, ask_size)
        return self._tick(MessageType.QUOTE, detail.middle(bid, ask), told, text)

    def _tick(self, type: MessageType, price: Any, told: str, text: str) -> Tick:
        name, time = wire.named(self.product_id, "product_id"), None
        if self.time is not None:
            time = wire.iso(self.time, "time")
        return Tick(EXCHANGE, name, type, price, None, None, None, time, text, told)


def _best(side: list[RestLevel], field: str) -> tuple[str | None, str | None]:
    if not side:
        return None, None
    return wire.digits(side[0].price, field), wire.digits(side[0].size, f"{field} size")


class ProductBook(Wire):
    """REST `product_book`."""

    pricebook: PriceBook


class PriceBooks(Wire):
    """REST `best_bid_ask`."""

    pricebooks: list[Raw]


class Subscriptions(Channel, tag="subscriptions"):
    """The answer to a subscription."""


class Heartbeats(Channel, tag="heartbeats"):
    """Signs of life every second."""


_trades = wire.decoder(Trades)
_trade = wire.decoder(Trade)
_tickers = wire.decoder(Tickers)
_ticker = wire.decoder(Ticker)
_levels = wire.decoder(Levels)
_candles = wire.decoder(Candles)
_candle = wire.decoder(Candle)
