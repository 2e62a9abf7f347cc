"""OKX market-data REST, answered from recorded answers or, where there is none, from recorded channels."""

import json
from collections.abc import Callable, Mapping, Sequence

from infra.replay.recordings import RecordedAnswer
from infra.replay.rest import Answer, BadLimit, Series, elements, joined, limit_of
from infra.replay.session import compact
from infra.replay.templates import SECOND, Draft, Mark, Role, Rules
from infra.replay.venues.okx import INTERVALS_NS, interval_of

Key = tuple[str, str, str]  # endpoint, instrument, bar (empty but for candles)

_MAIN = Mark(Role.TIME, main=True)
_RULES: Mapping[str, Rules] = {
    "ticker": {("ts",): _MAIN},
    "trades": {("ts",): _MAIN, ("tradeId",): Mark(Role.NUMBER, "trade")},
    "candles": {(0,): Mark(Role.START)},
    "books": {("ts",): _MAIN, ("seqId",): Mark(Role.NUMBER, "sequence")},
}
_CHANNELS = {"tickers": "ticker", "trades": "trades"}
_KINDS = ("SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN")


class _Refused(Exception):
    """A request the venue answers with an error."""

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class OkxDesk:
    """`/api/v5/market/...`."""

    venue = "okx"

    def __init__(
        self, drafts: Sequence[Draft], answers: Sequence[RecordedAnswer], speed: float
    ) -> None:
        rows = {**_from_channels(drafts), **_from_answers(answers)}
        spacing_ns = max(1, int(SECOND / speed))
        self._instruments = {instrument for _, instrument, _ in rows}
        self._series = {key: _series(key, texts, spacing_ns) for key, texts in rows.items()}
        self._handlers: dict[str, Callable[[Mapping[str, str], int], Answer]] = {
            "ticker": self._ticker,
            "tickers": self._tickers,
            "trades": self._trades,
            "candles": self._candles,
            "books": self._books,
        }

    def answer(self, path: str, query: dict[str, str], now_ns: int) -> Answer:
        """The answer to a GET of the venue's own path."""
        if path == "/api/v5/public/time":
            return Answer(_enveloped([compact({"ts": str(now_ns // 1_000_000)})]))
        handler = self._handlers.get(path.removeprefix("/api/v5/market/"))
        if handler is None:
            return Answer(compact({"code": "404", "data": [], "msg": "Not Found"}), 404)
        try:
            return handler(query, now_ns)
        except _Refused as refused:
            error = {"code": refused.code, "data": [], "msg": str(refused)}
            return Answer(compact(error), refused.status)
        except BadLimit as bad:
            return Answer(
                compact({"code": "51000", "data": [], "msg": f"Parameter {bad} error"}), 400
            )

    def _ticker(self, query: Mapping[str, str], now: int) -> Answer:
        return self._rows("ticker", query, now, 1)

    def _tickers(self, query: Mapping[str, str], now: int) -> Answer:
        kind = query.get("instType", "")
        if kind not in _KINDS:
            raise _Refused("51000", "Parameter instType error", 400)
        found = [series for (name, _, _), series in self._series.items() if name == "ticker"]
        rows = [series.latest(now)[0] for series in found]
        changed = max((series.changed_ns(now) for series in found), default=None)
        mine = [row for row in rows if json.loads(row)["instType"] == kind]
        return Answer(_enveloped(mine), modified_ns=changed)

    def _trades(self, query: Mapping[str, str], now: int) -> Answer:
        return self._rows("trades", query, now, limit_of(query, 100, 500))

    def _candles(self, query: Mapping[str, str], now: int) -> Answer:
        bar = query.get("bar", "1m")
        if bar.removesuffix("utc") not in INTERVALS_NS:
            raise _Refused("51000", "Parameter bar error", 400)
        return self._rows("candles", query, now, limit_of(query, 100, 300), bar)

    def _books(self, query: Mapping[str, str], now: int) -> Answer:
        size = limit_of(query, 1, 400, "sz")
        whole = json.loads(self._rows("books", query, now, 1).body)
        for book in whole["data"]:
            book |= {side: book[side][:size] for side in ("asks", "bids")}
        return Answer(compact(whole))

    def _rows(
        self, name: str, query: Mapping[str, str], now: int, count: int, bar: str = ""
    ) -> Answer:
        """The newest rows of the instrument asked for, newest first."""
        instrument = query.get("instId", "")
        if not instrument:
            raise _Refused("50014", "Parameter instId can not be empty", 400)
        if instrument not in self._instruments:
            message = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
            raise _Refused("51001", message)
        series = self._series.get((name, instrument, bar))
        if series is None:
            return Answer(_enveloped([]))
        return Answer(_enveloped(series.latest(now, count)), modified_ns=series.changed_ns(now))


def _enveloped(rows: Sequence[bytes]) -> bytes:
    return b'{"code":"0","msg":"","data":%b}' % joined(rows)


def _series(key: Key, texts: Sequence[bytes], spacing_ns: int) -> Series:
    name, _, bar = key
    interval_ns = interval_of(bar) if name == "candles" else 0
    drafts = [Draft(text=text, rules=_RULES[name], interval_ns=interval_ns) for text in texts]
    return Series(drafts, interval_ns or spacing_ns, candles=bool(interval_ns))


def _from_answers(answers: Sequence[RecordedAnswer]) -> dict[Key, list[bytes]]:
    """Rows of recorded answers, oldest first."""
    rows: dict[Key, list[bytes]] = {}
    for answer in answers:
        name = answer.path.removeprefix("/api/v5/market/")
        name = "ticker" if name == "tickers" else name
        for text in elements(answer.body, ("data",)):
            value = json.loads(text)
            own = value.get("instId") if isinstance(value, dict) else None
            bar = answer.query.get("bar", "1m") if name == "candles" else ""
            rows.setdefault((name, own or answer.query["instId"], bar), []).append(text)
    return {key: sorted(texts, key=_moment) for key, texts in rows.items() if key[0] in _RULES}


def _from_channels(drafts: Sequence[Draft]) -> dict[Key, list[bytes]]:
    rows: dict[Key, list[bytes]] = {}
    for draft in drafts:
        channel, _, instrument = draft.streams[0].partition(":")
        candles = channel.startswith("candle")
        name = "candles" if candles else _CHANNELS.get(channel)
        if name is None:
            continue
        key = (name, instrument, channel.removeprefix("candle") if candles else "")
        rows.setdefault(key, []).extend(elements(draft.text, ("data",)))
    return rows


def _moment(text: bytes) -> int:
    value = json.loads(text)
    return int(value[0] if isinstance(value, list) else value["ts"])
