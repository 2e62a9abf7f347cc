"""Binance spot: market streams and market-data REST, as its public documentation describes them."""

import json
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

from infra.replay.recordings import RecordedFrame
from infra.replay.session import SUBSCRIPTION_LIMIT, Session, compact
from infra.replay.spans import parse
from infra.replay.tape import Piece
from infra.replay.templates import Draft, Mark, Role, Rules

MINUTE = 60_000_000_000
INTERVALS_NS: Mapping[str, int] = {
    "1s": MINUTE // 60, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
    "30m": 30 * MINUTE, "1h": 60 * MINUTE, "2h": 120 * MINUTE, "4h": 240 * MINUTE, "6h": 360 * MINUTE,
    "8h": 480 * MINUTE, "12h": 720 * MINUTE, "1d": 1440 * MINUTE, "3d": 4320 * MINUTE,
    "1w": 10_080 * MINUTE, "1M": 0,
}  # fmt: skip

_MAIN = Mark(Role.TIME, main=True)
_TIME = Mark(Role.TIME)
_EDGE = Mark(Role.START)
_TRADE = Mark(Role.NUMBER, "trade")
_UPDATE = Mark(Role.NUMBER, "update")

RULES: Mapping[str, Rules] = {
    "aggTrade": {("E",): _MAIN, ("T",): _TIME, ("a",): Mark(Role.NUMBER, "aggregate"), ("f",): _TRADE, ("l",): _TRADE},
    "trade": {("E",): _MAIN, ("T",): _TIME, ("t",): _TRADE},
    "blockTrade": {("E",): _MAIN, ("T",): _TIME, ("t",): _TRADE},
    "kline": {
        ("E",): _MAIN, ("k", "t"): _EDGE, ("k", "T"): _EDGE, ("k", "f"): _TRADE, ("k", "L"): _TRADE,
    },
    "24hrMiniTicker": {("E",): _MAIN},
    "24hrTicker": {("E",): _MAIN, ("O",): _TIME, ("C",): _TIME, ("F",): _TRADE, ("L",): _TRADE},
    "depthUpdate": {("E",): _MAIN, ("U",): _UPDATE, ("u",): _UPDATE},
    "bookTicker": {("u",): _UPDATE},
    "partialDepth": {("lastUpdateId",): _UPDATE},
}  # fmt: skip
_OTHER: Rules = {("E",): _MAIN}

_NAMES = {"24hrTicker": "ticker", "24hrMiniTicker": "miniTicker", "depthUpdate": "depth"}
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


def draft(frame: RecordedFrame) -> Draft | None:
    """A recorded frame of a raw or combined stream, unwrapped; None for acknowledgements and errors."""
    value, spans = parse(frame.text)
    if not isinstance(value, dict):
        return None
    text, stream = frame.text, None
    if "stream" in value and "data" in value:
        span = next(span for span in spans if span.path == ("data",))
        text, stream, value = frame.text[span.start : span.end], value["stream"], value["data"]
    kind = _kind(value)
    if kind is None or (stream is None and "s" not in value):
        return None
    name = stream or f"{value['s'].lower()}@{_stream_type(kind, value)}"
    interval = INTERVALS_NS.get(value["k"]["i"], 0) if kind == "kline" else 0
    return Draft(
        text=text,
        rules=RULES.get(kind, _OTHER),
        streams=(name,),
        scope=name,
        interval_ns=interval,
        recorded_ns=frame.recorded_ns,
    )


def _kind(payload: Any) -> str | None:
    if not isinstance(payload, dict):
        return None
    if "e" in payload:
        return str(payload["e"])
    if "lastUpdateId" in payload:
        return "partialDepth"
    return "bookTicker" if {"u", "b", "a"} <= payload.keys() else None


def _stream_type(kind: str, payload: dict[str, Any]) -> str:
    if kind == "kline":
        return f"kline_{payload['k']['i']}"
    return _NAMES.get(kind, kind)


class _Refused(Exception):
    """A request the venue answers with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BinanceSession(Session):
    """`/ws`, `/ws/<stream>[/<stream>]` and `/stream?streams=`, with live subscriptions."""

    venue: ClassVar[str] = "binance"

    async def opened(self) -> None:
        """Subscribe what the URL names."""
        path = self.request.path.removeprefix("/binance")
        self._combined = path.startswith("/stream")
        named = self.request.query.get("streams", "") if self._combined else path[len("/ws") :]
        self.subscribe([name for name in named.split("/") if name][:SUBSCRIPTION_LIMIT])

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Pings every 20 s; a minute without pong ends the connection."""
        return [self.ping()]

    def render(self, piece: Piece, turn: int, due_ns: int) -> bytes:
        """The raw event, or wrapped with its stream's name."""
        event = piece.template.render(turn, due_ns)
        if not self._combined:
            return event
        return b'{"stream":"%b","data":%b}' % (piece.streams[0].encode(), event)

    async def heard(self, text: str) -> None:
        """Answer one request."""
        try:
            request = json.loads(text)
        except ValueError:
            self._error(3, "Invalid JSON: expected value at line 1 column 1")
            return
        try:
            id = _checked_id(request)
            result = self._carry_out(request.get("method"), request.get("params", []))
        except _Refused as refused:
            self._error(refused.code, refused.message)
            return
        self.reply({"result": result, "id": id})
        if request["method"] == "SUBSCRIBE":
            self.subscribe(request.get("params", []))

    def _carry_out(self, method: Any, params: Any) -> Any:
        if method not in _METHODS:
            known = ", ".join(f"`{name}`" for name in _METHODS)
            raise _Refused(
                2, f"Invalid request: unknown variant `{method}`, expected one of {known}"
            )
        if method == "LIST_SUBSCRIPTIONS":
            return list(self.subscribed)
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            raise _Refused(2, "Invalid request: params must be a list of stream names")
        if method == "UNSUBSCRIBE":
            self.unsubscribe(params)
        elif len(self.subscribed.keys() | params) > SUBSCRIPTION_LIMIT:
            raise _Refused(2, "Invalid request: too many parameters")
        return None

    def _property(self, method: str, params: Any) -> bool | None:
        if not isinstance(params, list) or not params or not isinstance(params[0], str):
            raise _Refused(2, "Invalid request: property name must be a string")
        if params[0] != "combined":
            raise _Refused(0, "Unknown property")
        if method == "GET_PROPERTY":
            return self._combined
        if len(params) != 2 or not isinstance(params[1], bool):
            raise _Refused(1, "Invalid value type: expected Boolean")
        self._combined = params[1]
        return None

    def _error(self, code: int, message: str) -> None:
        self.reply(compact({"error": {"code": code, "msg": message}}))


def _checked_id(request: Any) -> int | str | None:
    if not isinstance(request, dict) or "method" not in request:
        raise _Refused(2, "Invalid request: missing field `method` at line 1 column 1")
    id = request.get("id")
    whole = isinstance(id, int) and not isinstance(id, bool)
    if id is None or whole or (isinstance(id, str) and len(id) <= 36):
        return id
    raise _Refused(2, "Invalid request: request ID must be an unsigned integer")
