"""Coinbase Exchange: the messages of its WebSocket feed and of its REST market data.

Shapes: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels and .../exchange/reference.
A match's side is the maker's, so the aggressor is the other; a ticker's side is the taker's.
"""

from collections.abc import Sequence

from msgspec import Raw

from domain.messages import MessageType, Side, Tick
from infra.feeds.venues import detail, wire
from infra.feeds.venues.coinbase.product import EXCHANGE, Product
from infra.feeds.venues.wire import Id, Number, Wire

_AGGRESSOR = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


class Message(Wire, tag_field="type"):
    """What the feed sends, with its type in `type`."""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """The messages this is; none for what only steers the connection."""
        return []


class Match(Message, tag="match"):
    """A trade."""

    trade_id: Id
    product_id: str
    price: Number
    size: Number
    side: Side
    time: str

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """A TRADE."""
        return [trade(self, self.product_id, text)]


class LastMatch(Match, tag="last_match"):
    """The trade before the subscription: maybe one already seen as a match."""


class RestTrade(Wire):
    """An element of `products/<id>/trades`."""

    trade_id: Id
    price: Number
    size: Number
    side: Side
    time: str

    def tick(self, text: str, product: Product) -> Tick:
        """A TRADE with the key the feed gives it."""
        return trade(self, product.name(), text)


def trade(match: Match | RestTrade, product_id: str, text: str) -> Tick:
    """A TRADE of a match, with the aggressor's side."""
    name, id = wire.named(product_id, "product_id"), match.trade_id
    return Tick(
        EXCHANGE,
        name,
        MessageType.TRADE,
        wire.number(match.price, "price"),
        wire.number(match.size, "size"),
        _AGGRESSOR[match.side],
        str(id),
        wire.iso(match.time, "time"),
        text,
        None,
        f"t:{name}:{id}",
        ("match", id, id),
    )


class Ticker(Message, tag="ticker"):
    """Best bid and ask and 24 hours, after each match or (batched) every 5 s."""

    product_id: str
    price: Number
    sequence: Id
    time: str | None = None
    best_bid: Number = None
    best_ask: Number = None
    open_24h: Number = None
    high_24h: Number = None
    low_24h: Number = None
    volume_24h: Number = None
    last_size: Number = None
    side: Side | None = None

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """A TICKER."""
        name = wire.named(self.product_id, "product_id")
        return [
            Tick(
                EXCHANGE,
                name,
                MessageType.TICKER,
                wire.number(self.price, "price"),
                wire.number_or_none(self.last_size, "last_size"),
                self.side,
                str(self.sequence),
                None if self.time is None else wire.iso(self.time, "time"),
                text,
                detail.facts(
                    bid=wire.digits_or_none(self.best_bid, "best_bid"),
                    ask=wire.digits_or_none(self.best_ask, "best_ask"),
                    open=wire.digits_or_none(self.open_24h, "open_24h"),
                    high=wire.digits_or_none(self.high_24h, "high_24h"),
                    low=wire.digits_or_none(self.low_24h, "low_24h"),
                    volume=wire.digits_or_none(self.volume_24h, "volume_24h"),
                ),
                f"ticker:{name}:{self.sequence}",
            )
        ]


class RestTicker(Wire):
    """`products/<id>/ticker`."""

    price: Number
    bid: Number
    ask: Number
    volume: Number
    time: str
    trade_id: Id
    size: Number = None

    def tick(self, text: str, product: Product) -> Tick:
        """A TICKER."""
        name = product.name()
        facts = detail.facts(
            bid=wire.digits_or_none(self.bid, "bid"),
            ask=wire.digits_or_none(self.ask, "ask"),
            volume=wire.digits(self.volume, "volume"),
        )
        return Tick(
            EXCHANGE,
            name,
            MessageType.TICKER,
            wire.number(self.price, "price"),
            wire.number_or_none(self.size, "size"),
            None,
            None,
            wire.iso(self.time, "time"),
            text,
            facts,
            f"ticker:{name}:{self.time}:{self.trade_id}:{facts}",
        )


class RestStats(Wire):
    """`products/<id>/stats`: 24 hours, without a time."""

    open: Number
    high: Number
    low: Number
    last: Number
    volume: Number

    def tick(self, text: str, product: Product) -> Tick:
        """A TICKER."""
        return Tick(
            EXCHANGE,
            product.name(),
            MessageType.TICKER,
            wire.number(self.last, "last"),
            None,
            None,
            None,
            None,
            text,
            detail.facts(
                open=wire.digits(self.open, "open"),
                high=wire.digits(self.high, "high"),
                low=wire.digits(self.low, "low"),
                volume=wire.digits(self.volume, "volume"),
            ),
        )


class Snapshot(Message, tag="snapshot"):
    """A whole book, once after subscribing to level2."""

    product_id: str
    bids: Raw
    asks: Raw
    time: str | None = None

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """A BOOK."""
        return [book(self.product_id, (self.bids, self.asks), self.time, None, text)]


class RestBook(Wire):
    """`products/<id>/book`."""

    bids: Raw
    asks: Raw
    sequence: Id | None = None
    time: str | None = None

    def tick(self, text: str, product: Product) -> Tick:
        """A BOOK."""
        return book(product.name(), (self.bids, self.asks), self.time, self.sequence, text)


def book(
    product_id: str, sides: tuple[Raw, Raw], time: str | None, sequence: int | None, text: str
) -> Tick:
    """A BOOK of a whole book."""
    name, (bids, asks) = wire.named(product_id, "product_id"), sides
    return Tick(
        EXCHANGE,
        name,
        MessageType.BOOK,
        None,
        None,
        None,
        None if sequence is None else str(sequence),
        None if time is None else wire.iso(time, "time"),
        text,
        detail.book(True, detail.levels(bids, "bids"), detail.levels(asks, "asks")),
        None if sequence is None else f"b:{name}:{sequence}",
    )


class Update(Message, tag="l2update"):
    """Changed levels, not numbered."""

    product_id: str
    changes: list[tuple[Side, Number, Number]]
    time: str

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """A BOOK."""
        return [
            Tick(
                EXCHANGE,
                wire.named(self.product_id, "product_id"),
                MessageType.BOOK,
                None,
                None,
                None,
                None,
                wire.iso(self.time, "time"),
                text,
                detail.book(False, self._side(Side.BUY, "bids"), self._side(Side.SELL, "asks")),
            )
        ]

    def _side(self, side: Side, field: str) -> str:
        return detail.paired([(p, q) for s, p, q in self.changes if s is side], field)


class RestCandle(Wire, array_like=True):
    """A row of `products/<id>/candles`; note the order of its columns."""

    start: int
    low: Number
    high: Number
    open: Number
    close: Number
    volume: Number

    def tick(self, text: str, product: Product) -> Tick:
        """A CANDLE; whether it is closed needs a clock, so it is left open."""
        prices = (self.open, self.high, self.low, self.close)
        return candle(product.name(), (prices, self.volume), self.start, product.interval, text)


def candle(
    product_id: str,
    figures: tuple[Sequence[Number], Number],
    start: str | int,
    interval: str | None,
    text: str,
) -> Tick:
    """A CANDLE of `figures` (open, high, low, close; volume), timed and keyed by its start and state."""
    name, (prices, volume) = wire.named(product_id, "product_id"), figures
    opened = wire.seconds(start, "start")
    facts = detail.candle(prices, volume, opened, interval, None)
    return Tick(
        EXCHANGE,
        name,
        MessageType.CANDLE,
        wire.number(prices[3], "close"),
        wire.number(volume, "volume"),
        None,
        None,
        opened,
        text,
        facts,
        f"c:{name}:{facts}",
    )


class Subscriptions(Message, tag="subscriptions"):
    """The answer to a subscription."""


class Heartbeat(Message, tag="heartbeat"):
    """A sign of life every second."""


class Error(Message, tag="error"):
    """The answer to a request Coinbase refuses."""

    message: str = ""
    reason: str = ""

    def ticks(self, text: str, product: Product) -> list[Tick]:
        """Nothing: raises UNEXPECTED with Coinbase's words."""
        raise wire.unexpected(
            f"Coinbase answered {wire.shown(self.message)} {wire.shown(self.reason)}"
        )
