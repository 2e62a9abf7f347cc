"""Binance's REST market data, each element able to become a message.

Shapes: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints
"""

from msgspec import Raw, field

from domain.messages import MessageType, Tick
from infra.feeds.venues import detail, wire
from infra.feeds.venues.binance.market import Market, instrument
from infra.feeds.venues.binance.streams import EXCHANGE, candle, quote, trade
from infra.feeds.venues.wire import Id, Number, Wire


class RestTrade(Wire, rename="camel"):
    """An element of `trades` and `historicalTrades`."""

    id: Id
    price: Number
    quantity: Number = field(name="qty")
    time: int
    buyer_is_maker: bool = field(name="isBuyerMaker")

    def tick(self, text: str, market: Market) -> Tick:
        """A TRADE with the key the stream gives it."""
        name, id = instrument(market.symbol, market), self.id
        return trade(self, name, id, f"t:{name}:{id}", ("trade", id, id), text)


class RestAggTrade(Wire):
    """An element of `aggTrades`."""

    id: Id = field(name="a")
    price: Number = field(name="p")
    quantity: Number = field(name="q")
    time: int = field(name="T")
    buyer_is_maker: bool = field(name="m")

    def tick(self, text: str, market: Market) -> Tick:
        """A TRADE with the key the stream gives it."""
        name, id = instrument(market.symbol, market), self.id
        return trade(self, name, id, f"a:{name}:{id}", ("aggTrade", id, id), text)


class RestTicker(Wire, rename="camel"):
    """`ticker/24hr`, `ticker/tradingDay` and `ticker`, full or mini."""

    symbol: str
    last_price: Number
    open_price: Number
    high_price: Number
    low_price: Number
    volume: Number
    close_time: int
    last_id: int
    count: int
    last_qty: Number = None
    bid_price: Number = None
    ask_price: Number = None

    def tick(self, text: str, market: Market) -> Tick:
        """A TICKER."""
        name = instrument(self.symbol, market)
        return Tick(
            EXCHANGE,
            name,
            MessageType.TICKER,
            wire.number(self.last_price, "lastPrice"),
            wire.number_or_none(self.last_qty, "lastQty"),
            None,
            None,
            wire.milliseconds(self.close_time, "closeTime"),
            text,
            detail.facts(
                bid=wire.digits_or_none(self.bid_price, "bidPrice"),
                ask=wire.digits_or_none(self.ask_price, "askPrice"),
                open=wire.digits(self.open_price, "openPrice"),
                high=wire.digits(self.high_price, "highPrice"),
                low=wire.digits(self.low_price, "lowPrice"),
                volume=wire.digits(self.volume, "volume"),
            ),
            f"ticker:{name}:{self.close_time}:{self.last_id}:{self.count}",
        )


class RestPrice(Wire):
    """`ticker/price`; futures add a time."""

    symbol: str
    price: Number
    time: int | None = None

    def tick(self, text: str, market: Market) -> Tick:
        """A TICKER of the price alone."""
        return Tick(
            EXCHANGE,
            instrument(self.symbol, market),
            MessageType.TICKER,
            wire.number(self.price, "price"),
            None,
            None,
            None,
            None if self.time is None else wire.milliseconds(self.time, "time"),
            text,
        )


class RestBookTicker(Wire, rename="camel"):
    """`ticker/bookTicker`."""

    symbol: str
    bid_price: Number
    bid_qty: Number
    ask_price: Number
    ask_qty: Number
    time: int | None = None

    def tick(self, text: str, market: Market) -> Tick:
        """A QUOTE."""
        price, detail = quote(self.bid_price, self.bid_qty, self.ask_price, self.ask_qty)
        return Tick(
            EXCHANGE,
            instrument(self.symbol, market),
            MessageType.QUOTE,
            price,
            None,
            None,
            None,
            None if self.time is None else wire.milliseconds(self.time, "time"),
            text,
            detail,
        )


class RestKline(Wire, array_like=True):
    """A row of `klines` and `uiKlines`."""

    start: int
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    end: int
    quote_volume: Number
    trades: int

    def tick(self, text: str, market: Market) -> Tick:
        """A CANDLE; whether it is closed needs a clock, so it is left open."""
        name = instrument(market.symbol, market)
        start = wire.milliseconds(self.start, "start")
        return candle(
            name,
            (self.open, self.high, self.low, self.close, self.volume),
            (start, market.interval, None),
            start,
            f"k:{name}:{market.interval}:{self.start}:{self.trades}:{self.volume}:{self.close}",
            text,
        )


class Depth(Wire, rename="camel"):
    """The top of a book: a partial depth stream, or REST `depth` (futures add the time)."""

    last_update_id: Id
    bids: Raw
    asks: Raw
    time: int | None = field(name="T", default=None)

    def tick(self, text: str, market: Market) -> Tick:
        """A BOOK."""
        name = instrument(market.symbol, market)
        return Tick(
            EXCHANGE,
            name,
            MessageType.BOOK,
            None,
            None,
            None,
            str(self.last_update_id),
            None if self.time is None else wire.milliseconds(self.time, "time"),
            text,
            detail.book(True, detail.levels(self.bids, "bids"), detail.levels(self.asks, "asks")),
            f"b:{name}:{market.stream}:{self.last_update_id}",
        )
