"""Binance spot market-data REST, answered from recorded answers or, where there is none, from recorded events."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from infra.replay.recordings import RecordedAnswer
from infra.replay.rest import ROWS_LIMIT, Answer, BadLimit, Series, elements, joined, limit_of
from infra.replay.session import compact
from infra.replay.templates import SECOND, Draft, Mark, Role, Rules
from infra.replay.venues.binance import INTERVALS_NS

Key = tuple[str, str, str]  # endpoint, symbol, interval (empty but for klines)

_ID = Mark(Role.NUMBER, "trade")
_MAIN = Mark(Role.TIME, main=True)
_EDGE = Mark(Role.START)
_RULES: Mapping[str, Rules] = {
    "trades": {("id",): _ID, ("time",): _MAIN},
    "aggTrades": {("a",): Mark(Role.NUMBER, "aggregate"), ("f",): _ID, ("l",): _ID, ("T",): _MAIN},
    "klines": {(0,): _EDGE, (6,): _EDGE},
    "depth": {("lastUpdateId",): Mark(Role.NUMBER, "update")},
    "ticker/24hr": {
        ("closeTime",): _MAIN, ("openTime",): Mark(Role.TIME), ("firstId",): _ID, ("lastId",): _ID,
    },
}  # fmt: skip
_DAY = {
    "symbol": "s", "priceChange": "p", "priceChangePercent": "P", "weightedAvgPrice": "w", "prevClosePrice": "x",
    "lastPrice": "c", "lastQty": "Q", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A",
    "openPrice": "o", "highPrice": "h", "lowPrice": "l", "volume": "v", "quoteVolume": "q",
    "firstId": "F", "lastId": "L", "count": "n",
}  # fmt: skip
_BEST = {"symbol": "s", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A"}
_CANDLE = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q")
_DAY_MS = 86_400_000


class _Refused(Exception):
    """A request the venue answers with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


_INVALID_SYMBOL = (-1121, "Invalid symbol.")


class BinanceDesk:
    """`/api/v3/...` of the public market data."""

    venue = "binance"

    def __init__(
        self, drafts: Sequence[Draft], answers: Sequence[RecordedAnswer], speed: float
    ) -> None:
        rows = {**_from_events(drafts), **_from_answers(answers)}
        self._symbols = {symbol for _, symbol, _ in rows}
        self._series = {
            key: _series(key, texts, max(1, int(SECOND / speed))) for key, texts in rows.items()
        }
        self._handlers: dict[str, Callable[[Mapping[str, str], int], Answer]] = {
            "trades": lambda query, now: self._trades("trades", query, now),
            "aggTrades": lambda query, now: self._trades("aggTrades", query, now),
            "klines": self._klines,
            "depth": self._depth,
        }
        for name in ("ticker/price", "ticker/bookTicker", "ticker/24hr"):
            self._handlers[name] = lambda query, now, name=name: self._tickers(name, query, now)  # type: ignore[misc]

    def answer(self, path: str, query: dict[str, str], now_ns: int) -> Answer:
        """The answer to a GET of the venue's own path."""
        name = path.removeprefix("/api/v3/")
        if name == "ping":
            return Answer(b"{}")
        if name == "time":
            return Answer(compact({"serverTime": now_ns // 1_000_000}))
        if name not in self._handlers:
            return Answer(b"", 404)
        try:
            return self._handlers[name](query, now_ns)
        except _Refused as refused:
            return Answer(compact({"code": refused.code, "msg": str(refused)}), 400)
        except BadLimit as bad:
            legal = "legal range is '^[0-9]{1,20}$'."
            message = f"Illegal characters found in parameter '{bad}'; {legal}"
            return Answer(compact({"code": -1100, "msg": message}), 400)

    def _tickers(self, name: str, query: Mapping[str, str], now: int) -> Answer:
        """One symbol's object, or a list for `symbols` and for all."""
        if "symbol" in query:
            series = self._series.get((name, self._symbol(query), ""))
            if series is None:
                raise _Refused(*_INVALID_SYMBOL)
            return Answer(series.latest(now)[0], modified_ns=series.changed_ns(now))
        wanted = self._listed(query["symbols"]) if "symbols" in query else None
        found = [
            series
            for (endpoint, symbol, _), series in self._series.items()
            if endpoint == name and (wanted is None or symbol in wanted)
        ]
        if wanted is not None and len(found) < len(wanted):
            raise _Refused(*_INVALID_SYMBOL)
        rows = [series.latest(now)[0] for series in found]
        changed = max((series.changed_ns(now) for series in found), default=None)
        return Answer(joined(rows), modified_ns=changed)

    def _trades(self, name: str, query: Mapping[str, str], now: int) -> Answer:
        """Trades, oldest first; `fromId` of aggTrades reaches back a thousand."""
        symbol, limit = self._symbol(query), limit_of(query, 500, 1000)
        series = self._series.get((name, symbol, ""))
        if series is None:
            return Answer(b"[]")
        if name == "aggTrades" and "fromId" in query:
            first = limit_of(query, 1, 1 << 62, "fromId")
            rows = series.latest(now, ROWS_LIMIT)[::-1]
            return Answer(joined([row for row in rows if json.loads(row)["a"] >= first][:limit]))
        return Answer(joined(series.latest(now, limit)[::-1]), modified_ns=series.changed_ns(now))

    def _klines(self, query: Mapping[str, str], now: int) -> Answer:
        """Candles, oldest first, between `startTime` and `endTime`; none of an interval that was not recorded."""
        symbol, limit = self._symbol(query), limit_of(query, 500, 1000)
        interval = self._required(query, "interval")
        if interval not in INTERVALS_NS:
            raise _Refused(-1120, "Invalid interval.")
        series = self._series.get(("klines", symbol, interval))
        if series is None:
            return Answer(b"[]")
        since = limit_of(query, 1, 1 << 62, "startTime")
        until = limit_of(query, 1 << 62, 1 << 62, "endTime")
        timed = "startTime" in query or "endTime" in query
        rows = series.latest(now, ROWS_LIMIT if timed else limit)[::-1]
        if timed:
            rows = [row for row in rows if since <= json.loads(row)[0] <= until]
            rows = rows[:limit] if "startTime" in query else rows[-limit:]
        return Answer(joined(rows), modified_ns=series.changed_ns(now))

    def _depth(self, query: Mapping[str, str], now: int) -> Answer:
        """The order book, `limit` levels a side."""
        symbol, limit = self._symbol(query), limit_of(query, 100, 5000)
        series = self._series.get(("depth", symbol, ""))
        if series is None:
            raise _Refused(*_INVALID_SYMBOL)
        book = json.loads(series.latest(now)[0])
        cut = {side: book[side][:limit] for side in ("bids", "asks")}
        return Answer(compact({**book, **cut}), modified_ns=series.changed_ns(now))

    def _symbol(self, query: Mapping[str, str]) -> str:
        symbol = self._required(query, "symbol")
        if not re.fullmatch(r"[A-Z0-9._-]{1,20}", symbol):
            legal = "legal range is '^[A-Z0-9-_.]{1,20}$'."
            raise _Refused(-1100, f"Illegal characters found in parameter 'symbol'; {legal}")
        if symbol not in self._symbols:
            raise _Refused(*_INVALID_SYMBOL)
        return symbol

    def _required(self, query: Mapping[str, str], name: str) -> str:
        if not query.get(name):
            message = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise _Refused(-1102, message)
        return query[name]

    def _listed(self, text: str) -> set[str]:
        try:
            return set(json.loads(text))
        except (ValueError, TypeError):
            legal = (
                'legal range is \'^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$\'.'
            )
            message = f"Illegal characters found in parameter 'symbols'; {legal}"
            raise _Refused(-1100, message) from None


def _series(key: Key, texts: Sequence[bytes], spacing_ns: int) -> Series:
    endpoint, _, interval = key
    candles = endpoint == "klines"
    interval_ns = INTERVALS_NS.get(interval, 0) if candles else 0
    rules = _RULES.get(endpoint, {})
    drafts = [Draft(text=text, rules=rules, interval_ns=interval_ns) for text in texts]
    return Series(drafts, interval_ns or spacing_ns, candles=bool(interval_ns))


def _from_answers(answers: Sequence[RecordedAnswer]) -> dict[Key, list[bytes]]:
    rows: dict[Key, list[bytes]] = {}
    for answer in answers:
        name = answer.path.removeprefix("/api/v3/")
        listed = answer.body.lstrip().startswith(b"[")
        for text in elements(answer.body) if listed else [answer.body]:
            value = json.loads(text)
            own = value.get("symbol") if isinstance(value, dict) else None
            key = (name, own or answer.query["symbol"], answer.query.get("interval", ""))
            rows.setdefault(key, []).append(text)
    return rows


def _from_events(drafts: Sequence[Draft]) -> dict[Key, list[bytes]]:
    rows: dict[Key, list[bytes]] = {}

    def put(name: str, event: dict[str, Any], row: Any, interval: str = "") -> None:
        rows.setdefault((name, event["s"], interval), []).append(compact(row))

    for draft in drafts:
        event = json.loads(draft.text)
        kind = event.get("e") or ("bookTicker" if "B" in event else None)
        if kind in ("trade", "aggTrade"):
            put("ticker/price", event, {"symbol": event["s"], "price": event["p"]})
        match kind:
            case "trade":
                put("trades", event, _trade(event))
            case "aggTrade":
                put("aggTrades", event, {name: event[name] for name in "apqflTmM"})
            case "bookTicker":
                put(
                    "ticker/bookTicker",
                    event,
                    {name: event[short] for name, short in _BEST.items()},
                )
            case "24hrTicker":
                put("ticker/24hr", event, _day(event))
                put("ticker/price", event, {"symbol": event["s"], "price": event["c"]})
            case "kline":
                candle = event["k"]
                row = [*(candle[name] for name in _CANDLE), "0"]
                put("klines", event, row, candle["i"])
    return rows


def _trade(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": event["t"],
        "price": event["p"],
        "qty": event["q"],
        "quoteQty": format(Decimal(event["p"]) * Decimal(event["q"]), "f"),
        "time": event["T"],
        "isBuyerMaker": event["m"],
        "isBestMatch": event["M"],
    }


def _day(event: dict[str, Any]) -> dict[str, Any]:
    """A day's ticker; its day ends with the event, as the venue's rolling window does."""
    facts = {name: event[short] for name, short in _DAY.items()}
    return {**facts, "openTime": event["E"] - _DAY_MS, "closeTime": event["E"]}
