"""Coinbase's public product endpoints, Exchange (`/products`) and Advanced Trade (`/api/v3/brokerage/market`)."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from infra.replay.recordings import RecordedAnswer
from infra.replay.rest import ROWS_LIMIT, Answer, BadLimit, Series, elements, joined, limit_of
from infra.replay.session import compact
from infra.replay.templates import SECOND, Draft, Mark, Role, Rules, iso_micros

_EXCHANGE = re.compile(r"/products/([^/]+)/(ticker|trades)")
_ADVANCED = re.compile(r"/api/v3/brokerage/market/products/([^/]+)/(ticker|candles)")
_GRANULARITIES = {
    "ONE_MINUTE": 60, "FIVE_MINUTE": 300, "FIFTEEN_MINUTE": 900, "THIRTY_MINUTE": 1800, "ONE_HOUR": 3600,
    "TWO_HOUR": 7200, "FOUR_HOUR": 14_400, "SIX_HOUR": 21_600, "ONE_DAY": 86_400,
}  # fmt: skip

_TRADES: Rules = {("time",): Mark(Role.TIME, main=True), ("trade_id",): Mark(Role.NUMBER, "trade")}
_CANDLES: Rules = {("start",): Mark(Role.START)}
_TICKER = {
    "ask": "best_ask", "bid": "best_bid", "volume": "volume_24h", "trade_id": "trade_id", "price": "price",
    "size": "last_size", "time": "time",
}  # fmt: skip
_MATCH = ("trade_id", "side", "size", "price", "time")
_NOT_FOUND = compact(
    {
        "error": "NOT_FOUND",
        "error_details": "valid product_id is required",
        "message": "valid product_id is required",
    }
)


class CoinbaseDesk:
    """Both families of endpoints; `venue` is the one the desk stands for in logs and faults."""

    def __init__(
        self, venue: str, drafts: Sequence[Draft], answers: Sequence[RecordedAnswer], speed: float
    ) -> None:
        self.venue = venue
        spacing_ns = max(1, int(SECOND / speed))
        self._exchange = {
            key: Series([Draft(text=text, rules=_TRADES) for text in texts], spacing_ns)
            for key, texts in _from_feed(drafts).items()
        }
        self._trades: dict[str, tuple[Series, bytes]] = {}
        self._candles: dict[tuple[str, int], Series] = {}
        for answer in answers:
            self._take(answer, spacing_ns)

    def answer(self, path: str, query: dict[str, str], now_ns: int) -> Answer:
        """The answer to a GET of the venue's own path."""
        try:
            if match := _ADVANCED.fullmatch(path):
                return self._advanced(match.group(1), match.group(2), query, now_ns)
            if match := _EXCHANGE.fullmatch(path):
                return self._product(match.group(1), match.group(2), query, now_ns)
        except BadLimit as bad:
            return _invalid(f"{bad} must be a positive number")
        if path == "/time":
            epoch = now_ns // 1000 / 1_000_000
            return Answer(compact({"iso": iso_micros(now_ns), "epoch": epoch}))
        return Answer(b'{"message":"NotFound"}', 404)

    def _product(self, product: str, name: str, query: Mapping[str, str], now: int) -> Answer:
        series = self._exchange.get((name, product))
        if series is None:
            return Answer(b'{"message":"NotFound"}', 404)
        changed = series.changed_ns(now)
        if name == "ticker":
            return Answer(series.latest(now)[0], modified_ns=changed)
        rows = series.latest(now, limit_of(query, 100, 1000))
        return Answer(joined(rows), modified_ns=changed)

    def _advanced(self, product: str, name: str, query: Mapping[str, str], now: int) -> Answer:
        if name == "candles":
            return self._candle_rows(product, query, now)
        if product not in self._trades:
            return Answer(_NOT_FOUND, 404)
        series, tail = self._trades[product]
        rows = series.latest(now, limit_of(query, 100, 1000))
        body = b'{"trades":%b%b' % (joined(rows), tail)
        return Answer(body, modified_ns=series.changed_ns(now))

    def _candle_rows(self, product: str, query: Mapping[str, str], now: int) -> Answer:
        """Candles, newest first, between `start` and `end` (Unix seconds)."""
        granularity = _GRANULARITIES.get(query.get("granularity", ""))
        if granularity is None:
            return _invalid("granularity must be one of " + ", ".join(_GRANULARITIES))
        if not any(product == known for known, _ in self._candles):
            return Answer(_NOT_FOUND, 404)
        series = self._candles.get((product, granularity))
        if series is None:
            return Answer(b'{"candles":[]}')
        since, until = (
            limit_of(query, 1, 1 << 62, "start"),
            limit_of(query, 1 << 62, 1 << 62, "end"),
        )
        limit = limit_of(query, 350, 350)
        rows = [
            row
            for row in series.latest(now, ROWS_LIMIT)
            if since <= int(json.loads(row)["start"]) <= until
        ]
        return Answer(b'{"candles":%b}' % joined(rows[:limit]), modified_ns=series.changed_ns(now))

    def _take(self, answer: RecordedAnswer, spacing_ns: int) -> None:
        match = _ADVANCED.fullmatch(answer.path)
        if match is None:
            return
        product, name = match.groups()
        kind, rules = ("trades", _TRADES) if name == "ticker" else ("candles", _CANDLES)
        rows = elements(answer.body, (kind,))[::-1]
        if name == "ticker":
            drafts = [Draft(text=row, rules=rules) for row in rows]
            tail = answer.body[answer.body.index(b"]") + 1 :]
            self._trades[product] = (Series(drafts, spacing_ns), tail)
            return
        starts = [int(json.loads(row)["start"]) for row in rows]
        seconds = min((after - before for before, after in pairwise(starts)), default=60)
        drafts = [Draft(text=row, rules=rules, interval_ns=seconds * SECOND) for row in rows]
        self._candles[product, seconds] = Series(drafts, seconds * SECOND, candles=True)


def _invalid(message: str) -> Answer:
    error = {"error": "INVALID_ARGUMENT", "error_details": message, "message": message}
    return Answer(compact(error), 400)


def _from_feed(drafts: Sequence[Draft]) -> dict[tuple[str, str], list[bytes]]:
    """Exchange rows from recorded feed frames."""
    rows: dict[tuple[str, str], list[bytes]] = {}
    for draft in drafts:
        event: dict[str, Any] = json.loads(draft.text)
        kind, product = event.get("type"), event.get("product_id", "")
        if kind == "ticker":
            row = {name: event[field] for name, field in _TICKER.items()}
            rows.setdefault(("ticker", product), []).append(compact(row))
        elif kind in ("match", "last_match"):
            row = {name: event[name] for name in _MATCH}
            rows.setdefault(("trades", product), []).append(compact(row))
    return rows
