"""OKX: trades, tickers, books, best bid and offer and candles, over WebSocket and REST (v5).

Shapes: https://www.okx.com/docs-v5/en/. Instruments keep OKX's own name, which for spot is BASE-QUOTE and for
derivatives is distinct (`BTC-USDT-SWAP`, `BTC-USD-220527`): a future's price is not the spot's.
"""

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from domain.messages import MessageType, Side, Tick
from infra.feeds.venues import detail, wire
from infra.feeds.venues.wire import Number, Wire

EXCHANGE = "okx"
PUSH = b'{"arg":{"channel":"'
CONTROL = frozenset({"subscribe", "unsubscribe", "login", "channel-conn-count", "notice"})

E = TypeVar("E")
SequenceId = Annotated[int, msgspec.Meta(ge=-1, le=(1 << 63) - 1)]


class Topic(Wire, rename="camel"):
    """What a push or an answer is about; REST answers get one from their URL."""

    channel: str
    inst_id: str | None = None

    def instrument(self, own: str | None) -> str:
        """The instrument an element names, else the topic's."""
        name = own or self.inst_id
        if name is None:
            raise wire.unexpected("neither the frame nor the connector's URL names an instId")
        return wire.named(name, "instId")


class Trade(Wire, rename="camel"):
    """An element of `trades` and `trades-all`."""

    trade_id: str
    px: Number
    sz: Number
    side: Side
    ts: str | int
    inst_id: str | None = None

    def tick(self, text: str, topic: Topic, action: str | None) -> Tick:
        """A TRADE; `side` is the taker's."""
        name, id = topic.instrument(self.inst_id), wire.named(self.trade_id, "tradeId")
        return Tick(
            EXCHANGE,
            name,
            MessageType.TRADE,
            wire.number(self.px, "px"),
            wire.number(self.sz, "sz"),
            self.side,
            id,
            wire.milliseconds_text(self.ts, "ts"),
            text,
            None,
            f"{topic.channel}:{name}:{id}",
        )


class Ticker(Wire, rename="camel"):
    """An element of `tickers`; OKX writes "" where it has no value."""

    inst_id: str
    last: Number
    ask_px: Number
    bid_px: Number
    ts: str | int
    last_sz: Number = None
    open: Number = msgspec.field(name="open24h", default=None)
    high: Number = msgspec.field(name="high24h", default=None)
    low: Number = msgspec.field(name="low24h", default=None)
    volume: Number = msgspec.field(name="vol24h", default=None)

    def tick(self, text: str, topic: Topic, action: str | None) -> Tick:
        """A TICKER."""
        name = topic.instrument(self.inst_id)
        return Tick(
            EXCHANGE,
            name,
            MessageType.TICKER,
            wire.number_or_none(self.last, "last"),
            wire.number_or_none(self.last_sz, "lastSz"),
            None,
            None,
            wire.milliseconds_text(self.ts, "ts"),
            text,
            detail.facts(
                bid=wire.digits_or_none(self.bid_px, "bidPx"),
                ask=wire.digits_or_none(self.ask_px, "askPx"),
                open=wire.digits_or_none(self.open, "open24h"),
                high=wire.digits_or_none(self.high, "high24h"),
                low=wire.digits_or_none(self.low, "low24h"),
                volume=wire.digits_or_none(self.volume, "vol24h"),
            ),
            f"tickers:{name}:{self.ts}:{self.last}:{self.bid_px}:{self.ask_px}:{self.volume}",
        )


class Book(Wire, rename="camel"):
    """An element of `books*`: a snapshot unless the action says update."""

    asks: Raw
    bids: Raw
    ts: str | int
    seq_id: SequenceId | None = None
    prev_seq_id: SequenceId | None = None
    checksum: int | None = None
    inst_id: str | None = None

    def tick(self, text: str, topic: Topic, action: str | None) -> Tick:
        """A BOOK. OKX numbers have holes, but each update names the one before it."""
        if action not in (None, "snapshot", "update"):
            raise wire.unexpected(f"books: unknown action {wire.shown(action)}")
        name, sequence, key = topic.instrument(self.inst_id), self.seq_id, None
        if sequence is not None or self.checksum is not None:
            key = f"{topic.channel}:{name}:{action}:{sequence}:{self.ts}:{self.checksum}"
        return Tick(
            EXCHANGE,
            name,
            MessageType.BOOK,
            None,
            None,
            None,
            None if sequence is None else str(sequence),
            wire.milliseconds_text(self.ts, "ts"),
            text,
            detail.book(
                action != "update",
                detail.levels(self.bids, "bids"),
                detail.levels(self.asks, "asks"),
            ),
            key,
            self._run(topic.channel, action),
        )

    def _run(self, channel: str, action: str | None) -> tuple[str, int, int] | None:
        last, before = self.seq_id, self.prev_seq_id
        if last is None or before is None or last == before or action is None:
            return None  # no numbers, nothing changed, or a channel that sends whole books
        if action == "snapshot" or before > last:  # where OKX (re)starts its numbers
            return channel, last, last
        return channel, before + 1, last


class BestOffer(Wire, rename="camel"):
    """An element of `bbo-tbt`: a book of one level, or none, a side."""

    asks: list[list[Number]]
    bids: list[list[Number]]
    ts: str | int
    seq_id: SequenceId | None = None

    def tick(self, text: str, topic: Topic, action: str | None) -> Tick:
        """A QUOTE."""
        name = topic.instrument(None)
        bid, bid_quantity = _best(self.bids, "bids")
        ask, ask_quantity = _best(self.asks, "asks")
        sequence = None if self.seq_id is None else str(self.seq_id)
        return Tick(
            EXCHANGE,
            name,
            MessageType.QUOTE,
            detail.middle(bid, ask),
            None,
            None,
            sequence,
            wire.milliseconds_text(self.ts, "ts"),
            text,
            detail.quote(bid, bid_quantity, ask, ask_quantity),
            None if sequence is None else f"bbo:{name}:{sequence}:{self.ts}",
        )


def _best(side: list[list[Number]], field: str) -> tuple[str | None, str | None]:
    if not side:
        return None, None
    if len(side[0]) < 2:
        raise wire.unexpected(f"{field}: a level needs a price and a quantity")
    return wire.digits(side[0][0], f"{field}.price"), wire.digits(side[0][1], f"{field}.quantity")


class Candle(Wire, array_like=True):
    """A row of `candle*`; the last three columns came in 2022, older recordings have fewer."""

    start: str
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    volume_currency: Number = None
    volume_quote: Number = None
    confirm: str | None = None

    def tick(self, text: str, topic: Topic, action: str | None) -> Tick:
        """A CANDLE; OKX says when a state was so only by the candle's start."""
        name, start = topic.instrument(None), wire.milliseconds_text(self.start, "ts")
        prices = (self.open, self.high, self.low, self.close)
        state = f"{self.high}:{self.low}:{self.close}:{self.volume}:{self.confirm}"
        return Tick(
            EXCHANGE,
            name,
            MessageType.CANDLE,
            wire.number(self.close, "close"),
            wire.number(self.volume, "volume"),
            None,
            None,
            start,
            text,
            detail.candle(
                prices, self.volume, start, topic.channel.removeprefix("candle"), self._closed()
            ),
            f"{topic.channel}:{name}:{self.start}:{state}",
        )

    def _closed(self) -> bool | None:
        if self.confirm is None:
            return None
        if self.confirm not in ("0", "1"):
            raise wire.invalid("confirm", self.confirm, "is neither 0 nor 1")
        return self.confirm == "1"


class Push(Wire, Generic[E]):
    """What OKX pushes to a subscriber."""

    arg: Topic
    data: list[E]
    action: str | None = None


class Answer(Wire):
    """What REST answers; `code` is "0" when all is well."""

    code: str
    data: list[Raw]
    msg: str = ""


class Event(Wire):
    """What OKX answers to a request on a socket."""

    event: str
    code: str | None = None
    msg: str | None = None


_CHANNELS: dict[str, Any] = {
    "trades": Trade,
    "trades-all": Trade,
    "tickers": Ticker,
    "books": Book,
    "books5": Book,
    "books-l2-tbt": Book,
    "books50-l2-tbt": Book,
    "bbo-tbt": BestOffer,
}
_ELEMENT = {kind: wire.decoder(kind) for kind in (Trade, Ticker, Book, BestOffer, Candle)}
_AT_ONCE = {
    name.encode(): wire.decoder(Push[kind])  # type: ignore[valid-type]
    for name, kind in _CHANNELS.items()
}
_push = wire.decoder(Push[Raw])
_answer = wire.decoder(Answer)
_event = wire.decoder(Event)


def normalise(frame: bytes, source: str) -> list[Tick]:
    """The messages of a frame; [] for `pong` and answers to requests; raises CannotNormalise."""
    if frame == b"pong":
        return []
    text = wire.text_of(frame)
    if frame.startswith(PUSH):
        decode = _AT_ONCE.get(frame[len(PUSH) : frame.find(b'"', len(PUSH))])
        if decode is not None:
            try:  # in one pass what OKX sends most: one element
                push = decode(frame)
            except msgspec.ValidationError:
                return _by_shape(frame, text, source)
            if len(push.data) == 1:
                return [push.data[0].tick(text, push.arg, push.action)]
    return _by_shape(frame, text, source)


def _by_shape(frame: bytes, text: str, source: str) -> list[Tick]:
    node = wire.shape(frame)
    if isinstance(node, list):
        raise wire.unexpected("OKX sends objects, this is an array")
    if "event" in node:
        return _answered(wire.decoded(_event, frame, "event"))
    if "arg" in node:
        push = wire.decoded(_push, frame, "push")
        return _ticks(push.data, _kind(push.arg.channel), push.arg, push.action, text)
    if "code" not in node:
        raise wire.unexpected(f"no known message has the fields {wire.shown(sorted(node))}")
    answer = wire.decoded(_answer, frame, "answer")
    if answer.code != "0":
        raise wire.unexpected(f"OKX answered {wire.shown(answer.code)}: {wire.shown(answer.msg)}")
    if not answer.data:
        return []
    return _ticks(answer.data, *_rest_kind(answer.data[0], source), None, text)


def _answered(event: Event) -> list[Tick]:
    if event.event in CONTROL and event.code in (None, "0", "64008"):
        return []
    raise wire.unexpected(
        f"OKX sent {wire.shown(event.event)}: {wire.shown(event.code)} {wire.shown(event.msg)}"
    )


def _kind(channel: str) -> Any:
    kind = _CHANNELS.get(channel)
    if kind is None and channel.startswith("candle"):
        return Candle
    if kind is None:
        raise wire.unexpected(f"unknown channel {wire.shown(channel)}")
    return kind


def _rest_kind(first: Raw, source: str) -> tuple[Any, Topic]:
    query = wire.source_of(source).query
    node, instrument = wire.shape(first), query.get("instId")
    if isinstance(node, list):
        return Candle, Topic(f"candle{query.get('bar', '1m')}", instrument)
    for marker, kind, channel in (
        ("tradeId", Trade, "trades"),
        ("last", Ticker, "tickers"),
        ("asks", Book, "books"),
    ):
        if marker in node:
            return kind, Topic(channel, instrument)
    raise wire.unexpected(f"no known message has the fields {wire.shown(sorted(node))}")


def _ticks(
    elements: list[Raw], kind: Any, topic: Topic, action: str | None, text: str
) -> list[Tick]:
    decode, alone = _ELEMENT[kind], len(elements) == 1
    return [
        wire.decoded(decode, one, topic.channel).tick(
            text if alone else wire.text_of(one), topic, action
        )
        for one in elements
    ]
