"""Which instrument a Binance symbol is.

Binance joins base and quote (`BNBBTC`). A symbol is split at the longest quote asset of `QUOTES` that ends it; one
that ends in none stays as it is. Futures keep a distinct name: `BTCUSDT_240628` as it is, the perpetual `BTCUSDT`
of a futures host as `BTC-USDT-PERP`.
"""

from dataclasses import dataclass
from functools import lru_cache

from infra.feeds.venues import wire

# fmt: off
QUOTES = (
    "USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD1", "USDP", "PAX", "DAI", "UST", "VAI", "AEUR", "EURI", "USDS",
    "USD", "EUR", "GBP", "AUD", "TRY", "BRL", "RUB", "UAH", "NGN", "ZAR", "IDRT", "BIDR", "BKRW", "BVND", "PLN",
    "RON", "ARS", "CZK", "MXN", "COP", "JPY", "IDR", "BTC", "ETH", "BNB", "XRP", "TRX", "DOGE", "DOT", "SOL",
)
# fmt: on
NOT_AT_BINANCE_US = ("TUSD", "UST", "PAX", "DAI")  # its BATUSD is BAT-USD
BASES_ENDING_IN_B = ("BNB", "SHIB", "ARB", "TRB", "CRB", "LAB")  # BNBUSD is no BN-BUSD


@dataclass(frozen=True, slots=True)
class Market:
    """What a connector's URL says about the frames that come from it."""

    us: bool
    futures: bool
    symbol: str | None
    stream: str | None
    interval: str | None


@lru_cache(maxsize=4096)
def market_of(url: str) -> Market:
    """The market behind a URL: `?symbol=BNBBTC&interval=1m`, `/ws/bnbbtc@depth5`."""
    source = wire.source_of(url)
    streams = source.path[1:] if source.path[:1] == ("ws",) else ()
    stream = streams[0] if len(streams) == 1 else None
    return Market(
        us=source.host.endswith("binance.us"),
        futures=source.host.split(".")[0] in ("fapi", "dapi", "fstream", "dstream")
        or "binancefuture" in source.host,
        symbol=source.query.get("symbol") or symbol_in(stream),
        stream=stream,
        interval=source.query.get("interval"),
    )


def symbol_in(stream: str | None) -> str | None:
    """The symbol a stream's name begins with (`bnbbtc@depth5`); None for those of all symbols."""
    if stream is None or "@" not in stream or stream.startswith("!"):
        return None
    return stream.split("@")[0].upper()


@lru_cache(maxsize=16_384)
def _instrument(symbol: str, us: bool, futures: bool) -> str:
    wire.named(symbol, "symbol")
    if "_" in symbol:
        return symbol
    for length in (5, 4, 3):
        quote, base = symbol[-length:], symbol[:-length]
        if quote not in QUOTES or not base or (us and quote in NOT_AT_BINANCE_US):
            continue
        if us and quote == "BUSD" and f"{base}B" in BASES_ENDING_IN_B:
            continue
        return f"{base}-{quote}-PERP" if futures else f"{base}-{quote}"
    return f"{symbol}-PERP" if futures else symbol


def instrument(symbol: str | None, market: Market) -> str:
    """A symbol as BASE-QUOTE; UNEXPECTED when neither frame nor URL names one."""
    if symbol is None:
        raise wire.unexpected("the frame names no symbol, and neither does the connector's URL")
    return _instrument(symbol, market.us, market.futures)
