"""Binance's streams: one class an event type, each able to become a message.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams
"""

from abc import abstractmethod
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Raw, field

from domain.messages import MessageType, Side, Tick
from infra.feeds.venues import detail, wire
from infra.feeds.venues.binance.market import Market, instrument
from infra.feeds.venues.wire import Id, Number, Wire

EXCHANGE = "binance"


class Event(Wire, tag_field="e"):
    """What a stream sends with its type in `e`."""

    symbol: str = field(name="s")

    @abstractmethod
    def tick(self, text: str, market: Market) -> Tick:
        """The message this event is."""


class TradeFacts(Protocol):
    """What every kind of trade says."""

    price: Number
    quantity: Number
    time: int
    buyer_is_maker: bool


class Trade(Event, tag="trade"):
    """One trade."""

    id: Id = field(name="t")
    price: Number = field(name="p")
    quantity: Number = field(name="q")
    time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")

    def tick(self, text: str, market: Market) -> Tick:
        """A TRADE."""
        name, id = instrument(self.symbol, market), self.id
        return trade(self, name, id, f"t:{name}:{id}", ("trade", id, id), text)


class AggTrade(Event, tag="aggTrade"):
    """Trades of one taker order at one price."""

    id: Id = field(name="a")
    price: Number = field(name="p")
    quantity: Number = field(name="q")
    time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")

    def tick(self, text: str, market: Market) -> Tick:
        """A TRADE, numbered apart from single trades."""
        name, id = instrument(self.symbol, market), self.id
        return trade(self, name, id, f"a:{name}:{id}", ("aggTrade", id, id), text)


class BlockTrade(Trade, tag="blockTrade"):
    """A trade agreed off the book."""

    def tick(self, text: str, market: Market) -> Tick:
        """A TRADE, numbered apart from those of the book."""
        name, id = instrument(self.symbol, market), self.id
        return trade(self, name, id, f"x:{name}:{id}", None, text)


class MiniTicker(Event, tag="24hrMiniTicker"):
    """The last 24 hours, without best bid and ask."""

    time: int = field(name="E")
    last: Number = field(name="c")
    open: Number = field(name="o")
    high: Number = field(name="h")
    low: Number = field(name="l")
    volume: Number = field(name="v")

    def tick(self, text: str, market: Market) -> Tick:
        """A TICKER."""
        return _ticker(
            self, None, None, None, f"{self.__struct_config__.tag}:{self.time}", text, market
        )


class HourTicker(MiniTicker, tag="1hTicker"):
    """A rolling window of one hour."""


class FourHourTicker(MiniTicker, tag="4hTicker"):
    """A rolling window of four hours."""


class RollingDayTicker(MiniTicker, tag="1dTicker"):
    """A rolling window of one day."""


class DayTicker(MiniTicker, tag="24hrTicker"):
    """The last 24 hours; futures leave out best bid and ask."""

    last_id: int | None = field(name="L", default=None)
    last_quantity: Number = field(name="Q", default=None)
    bid: Number = field(name="b", default=None)
    ask: Number = field(name="a", default=None)

    def tick(self, text: str, market: Market) -> Tick:
        """A TICKER."""
        key = f"24hrTicker:{self.time}:{self.last_id}"
        return _ticker(self, self.last_quantity, self.bid, self.ask, key, text, market)


def _ticker(
    ticker: MiniTicker,
    quantity: Number,
    bid: Number,
    ask: Number,
    key: str,
    text: str,
    market: Market,
) -> Tick:
    name = instrument(ticker.symbol, market)
    return Tick(
        EXCHANGE,
        name,
        MessageType.TICKER,
        wire.number(ticker.last, "last"),
        wire.number_or_none(quantity, "last quantity"),
        None,
        None,
        wire.milliseconds(ticker.time, "time"),
        text,
        detail.facts(
            bid=wire.digits_or_none(bid, "bid"),
            ask=wire.digits_or_none(ask, "ask"),
            open=wire.digits(ticker.open, "open"),
            high=wire.digits(ticker.high, "high"),
            low=wire.digits(ticker.low, "low"),
            volume=wire.digits(ticker.volume, "volume"),
        ),
        f"{key}:{name}",
    )


class BookTicker(Wire):
    """Best bid and ask of one symbol; spot sends no `e`, futures do."""

    update_id: Id = field(name="u")
    symbol: str = field(name="s")
    bid: Number = field(name="b")
    bid_quantity: Number = field(name="B")
    ask: Number = field(name="a")
    ask_quantity: Number = field(name="A")
    time: int | None = field(name="T", default=None)

    def tick(self, text: str, market: Market) -> Tick:
        """A QUOTE."""
        name = instrument(self.symbol, market)
        price, detail = quote(self.bid, self.bid_quantity, self.ask, self.ask_quantity)
        return Tick(
            EXCHANGE,
            name,
            MessageType.QUOTE,
            price,
            None,
            None,
            str(self.update_id),
            None if self.time is None else wire.milliseconds(self.time, "time"),
            text,
            detail,
            f"q:{name}:{self.update_id}",
        )


class TaggedBookTicker(BookTicker, tag_field="e", tag="bookTicker"):
    """Best bid and ask as futures send them."""


class Bar(Wire):
    """The candle inside a kline event."""

    start: int = field(name="t")
    interval: str = field(name="i")
    open: Number = field(name="o")
    high: Number = field(name="h")
    low: Number = field(name="l")
    close: Number = field(name="c")
    volume: Number = field(name="v")
    closed: bool = field(name="x")


class Kline(Event, tag="kline"):
    """One state of a candle."""

    time: int = field(name="E")
    bar: Bar = field(name="k")

    def tick(self, text: str, market: Market) -> Tick:
        """A CANDLE."""
        bar, name = self.bar, instrument(self.symbol, market)
        return candle(
            name,
            (bar.open, bar.high, bar.low, bar.close, bar.volume),
            (wire.milliseconds(bar.start, "start"), bar.interval, bar.closed),
            wire.milliseconds(self.time, "time"),
            f"k:{name}:{bar.interval}:{bar.start}:{self.time}",
            text,
        )


class DepthUpdate(Event, tag="depthUpdate"):
    """Changes of a book; futures name the update before in `pu`, for their numbers have holes."""

    time: int = field(name="E")
    first: Id = field(name="U")
    last: Id = field(name="u")
    bids: Raw = field(name="b")
    asks: Raw = field(name="a")
    before: Id | None = field(name="pu", default=None)

    def tick(self, text: str, market: Market) -> Tick:
        """A BOOK."""
        name, first, last = instrument(self.symbol, market), self.first, self.last
        if self.before is not None:
            first = self.before + 1
        return Tick(
            EXCHANGE,
            name,
            MessageType.BOOK,
            None,
            None,
            None,
            str(last),
            wire.milliseconds(self.time, "time"),
            text,
            detail.book(False, detail.levels(self.bids, "bids"), detail.levels(self.asks, "asks")),
            f"d:{name}:{self.first}:{last}",
            ("depth", first, last) if first <= last else None,
        )


def trade(
    seen: TradeFacts,
    name: str,
    id: int,
    key: str,
    run: tuple[str, int, int] | None,
    text: str,
) -> Tick:
    """A TRADE, with the aggressor's side."""
    return Tick(
        EXCHANGE,
        name,
        MessageType.TRADE,
        wire.number(seen.price, "price"),
        wire.number(seen.quantity, "quantity"),
        Side.SELL if seen.buyer_is_maker else Side.BUY,
        str(id),
        wire.milliseconds(seen.time, "time"),
        text,
        None,
        key,
        run,
    )


def quote(
    bid: Number, bid_quantity: Number, ask: Number, ask_quantity: Number
) -> tuple[Decimal | None, str]:
    """The price and the detail of a QUOTE."""
    low, high = wire.digits(bid, "bid"), wire.digits(ask, "ask")
    told = detail.quote(
        low,
        wire.digits(bid_quantity, "bid quantity"),
        high,
        wire.digits(ask_quantity, "ask quantity"),
    )
    return detail.middle(low, high), told


def candle(
    name: str,
    figures: tuple[Number, Number, Number, Number, Number],
    span: tuple[datetime, str | None, bool | None],
    time: datetime,
    key: str,
    text: str,
) -> Tick:
    """A CANDLE of `figures` (open, high, low, close, volume) and `span` (start, interval, closed)."""
    *prices, volume = figures
    return Tick(
        EXCHANGE,
        name,
        MessageType.CANDLE,
        wire.number(prices[3], "close"),
        wire.number(volume, "volume"),
        None,
        None,
        time,
        text,
        detail.candle(prices, volume, *span),
        key,
    )
