"""Binance: spot and futures streams (raw, combined, arrays) and the market data of the REST API."""

from dataclasses import replace
from typing import Any, Generic, TypeVar

import msgspec

from domain.messages import Tick
from infra.feeds.venues import wire
from infra.feeds.venues.binance import rest, streams
from infra.feeds.venues.binance.market import Market, market_of, symbol_in

E = TypeVar("E")

AnyEvent = (
    streams.Trade
    | streams.AggTrade
    | streams.BlockTrade
    | streams.MiniTicker
    | streams.HourTicker
    | streams.FourHourTicker
    | streams.RollingDayTicker
    | streams.DayTicker
    | streams.TaggedBookTicker
    | streams.Kline
    | streams.DepthUpdate
)


class Combined(msgspec.Struct, Generic[E], gc=False):
    """What `/stream` wraps around every event."""

    stream: str
    data: E


_event = wire.decoder(AnyEvent)
_quote = wire.decoder(streams.BookTicker)
_combined_event = wire.decoder(Combined[AnyEvent])
_combined_quote = wire.decoder(Combined[streams.BookTicker])
_name = wire.decoder(str)

_BY_FIELD: tuple[tuple[str, str, Any], ...] = (
    ("e", "event", _event),
    ("u", "bookTicker", _quote),
    ("f", "aggTrade", wire.decoder(rest.RestAggTrade)),
    ("lastUpdateId", "depth", wire.decoder(rest.Depth)),
    ("lastPrice", "ticker", wire.decoder(rest.RestTicker)),
    ("bidPrice", "bookTicker", wire.decoder(rest.RestBookTicker)),
    ("isBuyerMaker", "trade", wire.decoder(rest.RestTrade)),
    ("symbol", "ticker/price", wire.decoder(rest.RestPrice)),
)
_kline = wire.decoder(rest.RestKline)


def normalise(frame: bytes, source: str) -> list[Tick]:
    """The messages of a frame; [] for the answer to a subscription; raises CannotNormalise."""
    text, market = wire.text_of(frame), market_of(source)
    tagged = b'"e":"' in frame
    event: Any
    try:  # in one pass what streams send most
        if frame.startswith(b'{"stream":'):
            event = (_combined_event if tagged else _combined_quote)(frame).data
        else:
            event = (_event if tagged else _quote)(frame)
    except msgspec.ValidationError:
        return _by_shape(frame, text, market)
    return [event.tick(text, market)]


def _by_shape(frame: bytes, text: str, market: Market) -> list[Tick]:
    raw: bytes | msgspec.Raw = frame
    node = wire.shape(raw)
    if isinstance(node, dict) and "stream" in node and "data" in node:
        stream = wire.decoded(_name, node["stream"], "stream")
        market = replace(market, stream=stream, symbol=symbol_in(stream) or market.symbol)
        raw = node["data"]
        node = wire.shape(raw)
    if isinstance(node, dict):
        return [] if _answers(node) else [_read(raw, node, market).tick(text, market)]
    if len(node) == 1:
        return [_read(node[0], wire.shape(node[0]), market).tick(text, market)]
    return [_read(one, wire.shape(one), market).tick(wire.text_of(one), market) for one in node]


def _read(raw: bytes | msgspec.Raw, node: dict[str, Any] | list[Any], market: Market) -> Any:
    if isinstance(node, list):
        return wire.decoded(_kline, raw, "kline")
    for marker, what, decode in _BY_FIELD:
        if marker in node:
            return wire.decoded(decode, raw, what)
    raise wire.unexpected(f"no known message has the fields {wire.shown(sorted(node))}")


def _answers(node: dict[str, msgspec.Raw]) -> bool:
    """Whether this is an answer to a request; UNEXPECTED with Binance's words when it is an error."""
    if "error" in node:
        raise wire.unexpected(f"Binance answered {wire.shown(wire.anything(node['error']))}")
    if "code" in node and "msg" in node:
        code, words = wire.anything(node["code"]), wire.anything(node["msg"])
        raise wire.unexpected(f"Binance answered {wire.shown(code)}: {wire.shown(words)}")
    return node.keys() == {"result", "id"}
