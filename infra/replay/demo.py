"""The sources of the demo workspace: connectors that read a replayer's bundled frames."""

import json
from dataclasses import dataclass, field

from domain.connectors import ConnectorProtocol, Venue


@dataclass(frozen=True, slots=True)
class DemoSource:
    """A connector to create; `replayed` and `path` are what `Replayer.url` takes."""

    name: str
    venue: Venue
    protocol: ConnectorProtocol
    replayed: str
    path: str
    subscribe_frames: list[str] = field(default_factory=list)
    polling_interval_ms: int | None = None


_BINANCE_STREAMS = (
    "omgbusd@aggTrade", "omgbusd@bookTicker", "omgbusd@kline_1m", "omgbusd@depth@100ms",
    "nknusdt@aggTrade", "nknusdt@bookTicker", "nknusdt@kline_1m", "nknusdt@depth@100ms",
    "lrcbtc@aggTrade", "lrcbtc@bookTicker", "lrcbtc@kline_1m", "lrcbtc@depth@100ms",
    "compusdt@bookTicker", "compusdt@depth@100ms", "zrxusdt@bookTicker", "bnbbtc@trade",
    "bnbbtc@ticker", "bnbbtc@miniTicker",
)  # fmt: skip
_OKX_INSTRUMENTS = ("BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527")
_COINBASE_PRODUCTS = ("SKL-USD", "SKL-GBP", "BAND-GBP", "BAND-BTC", "YFI-BTC", "NMR-EUR", "CRV-EUR")


def demo_sources() -> list[DemoSource]:
    """A WebSocket source of every venue and two that are polled."""
    return [
        DemoSource(
            name="Binance streams",
            venue=Venue.BINANCE,
            protocol=ConnectorProtocol.WEBSOCKET,
            replayed="binance",
            path="/stream",
            subscribe_frames=[
                json.dumps({"method": "SUBSCRIBE", "params": list(_BINANCE_STREAMS), "id": 1})
            ],
        ),
        DemoSource(
            name="OKX public channels",
            venue=Venue.OKX,
            protocol=ConnectorProtocol.WEBSOCKET,
            replayed="okx",
            path="/ws/v5/public",
            subscribe_frames=[json.dumps({"op": "subscribe", "args": _okx_channels()})],
        ),
        DemoSource(
            name="Coinbase Exchange",
            venue=Venue.COINBASE,
            protocol=ConnectorProtocol.WEBSOCKET,
            replayed="coinbase",
            path="",
            subscribe_frames=[
                json.dumps(
                    {
                        "type": "subscribe",
                        "product_ids": list(_COINBASE_PRODUCTS),
                        "channels": ["matches", "ticker"],
                    }
                )
            ],
        ),
        DemoSource(
            name="Coinbase Advanced Trade",
            venue=Venue.COINBASE,
            protocol=ConnectorProtocol.WEBSOCKET,
            replayed="coinbase-advanced",
            path="",
            subscribe_frames=[
                json.dumps({"type": "subscribe", "product_ids": ["BTC-USD"], "channel": channel})
                for channel in ("market_trades", "ticker", "candles", "level2")
            ],
        ),
        DemoSource(
            name="Binance trades, polled",
            venue=Venue.BINANCE,
            protocol=ConnectorProtocol.REST,
            replayed="binance",
            path="/api/v3/trades?symbol=BNBBTC&limit=20",
            polling_interval_ms=2000,
        ),
        DemoSource(
            name="Coinbase Advanced Trade, polled",
            venue=Venue.COINBASE,
            protocol=ConnectorProtocol.REST,
            replayed="coinbase-advanced",
            path="/api/v3/brokerage/market/products/BTC-USD/ticker?limit=20",
            polling_interval_ms=2000,
        ),
    ]


def _okx_channels() -> list[dict[str, str]]:
    return [
        {"channel": channel, "instId": instrument}
        for channel in ("trades", "tickers", "books")
        for instrument in _OKX_INSTRUMENTS
    ]
