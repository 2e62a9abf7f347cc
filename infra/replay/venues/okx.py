"""OKX: public and business WebSocket channels and market-data REST, as its public documentation describes them."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar
from zlib import crc32

from infra.replay.recordings import RecordedFrame
from infra.replay.session import SUBSCRIPTION_LIMIT, Session
from infra.replay.spans import parse
from infra.replay.templates import SECOND, Draft, Mark, Role, Rules

MINUTE = 60 * SECOND
INTERVALS_NS: Mapping[str, int] = {
    "1s": SECOND, "1m": MINUTE, "3m": 3 * MINUTE, "5m": 5 * MINUTE, "15m": 15 * MINUTE,
    "30m": 30 * MINUTE, "1H": 60 * MINUTE, "2H": 120 * MINUTE, "4H": 240 * MINUTE, "6H": 360 * MINUTE,
    "12H": 720 * MINUTE, "1D": 1440 * MINUTE, "2D": 2880 * MINUTE, "3D": 4320 * MINUTE,
    "1W": 10_080 * MINUTE, "1M": 0, "3M": 0,
}  # fmt: skip

_RULES: Rules = {
    ("data", "*", "ts"): Mark(Role.TIME, main=True),
    ("data", "*", "tradeId"): Mark(Role.NUMBER, "trade"),
    ("data", "*", "seqId"): Mark(Role.NUMBER, "sequence"),
    ("data", "*", "prevSeqId"): Mark(Role.NUMBER, "sequence", previous=True),
}
_CANDLES: Rules = {("data", "*", 0): Mark(Role.START)}


def interval_of(bar: str) -> int:
    """A bar's length in nanoseconds, 0 for months and unknown bars."""
    return INTERVALS_NS.get(bar.removesuffix("utc"), 0)


def draft(frame: RecordedFrame) -> Draft | None:
    """A recorded data frame; None for acknowledgements, errors and pongs."""
    if frame.text.strip() == b"pong":
        return None
    value, _ = parse(frame.text)
    if not isinstance(value, dict) or "data" not in value or "event" in value:
        return None
    arg = value["arg"]
    channel, instrument = arg["channel"], arg.get("instId", "")
    name = f"{channel}:{instrument}"
    candles = "candle" in channel
    return Draft(
        text=frame.text,
        rules=_CANDLES if candles else _RULES,
        streams=(name,),
        scope=name,
        snapshot=value.get("action") == "snapshot",
        interval_ns=interval_of(channel.rpartition("candle")[2]) if candles else 0,
        recorded_ns=frame.recorded_ns,
    )


class OkxSession(Session):
    """`/ws/v5/public` and `/ws/v5/business` (candles)."""

    venue: ClassVar[str] = "okx"

    async def opened(self) -> None:
        """Give the connection its id."""
        self._business = self.request.path.endswith("/business")
        origin = f"{self.options.seed}/{self.stage.opened[self.venue]}"
        self._connection_id = f"{crc32(origin.encode()):08x}"

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Thirty seconds without traffic end the connection."""
        return [self._end_when_idle()]

    async def _end_when_idle(self) -> None:
        limit = int(self.options.idle_timeout * SECOND)
        while True:
            left = self.last_traffic_ns + limit - self.stage.clock()
            if left <= 0:
                await self.close(4004, "No data received in 30s.")
                return
            await asyncio.sleep(left / SECOND)

    async def heard(self, text: str) -> None:
        """Answer a ping or a request."""
        if text == "ping":
            self.reply(b"pong")
            return
        try:
            request = json.loads(text)
            operation, args = request["op"], request["args"]
            channels = [(arg, arg["channel"]) for arg in args]
        except (ValueError, KeyError, TypeError):
            self._error(None, "60012", f"Invalid request: {text}")
            return
        id = {"id": request["id"]} if "id" in request else {}
        if operation not in ("subscribe", "unsubscribe"):
            self._error(id, "60012", f"Invalid request: {text}")
            return
        if len(self.subscribed) + len(channels) > SUBSCRIPTION_LIMIT:
            self._error(id, "60014", "Requests too frequent")
            return
        names = [name for arg, _ in channels if (name := self._acknowledge(operation, arg, id))]
        if operation == "subscribe":
            self.subscribe(names)
        else:
            self.unsubscribe(names)

    def _acknowledge(self, operation: str, arg: dict[str, Any], id: dict[str, Any]) -> str | None:
        """Acknowledge one channel and give the stream's name; None after answering that there is none."""
        channel, instrument = str(arg["channel"]), str(arg.get("instId", ""))
        name = f"{channel}:{instrument}"
        known = name in self.tape.streams and ("candle" in channel) == self._business
        if operation == "subscribe" and not known:
            message = (
                f"Wrong URL or channel:{channel},instId:{instrument} doesn't exist. "
                "Please use the correct URL, channel and parameters referring to API document."
            )
            self._error(id, "60018", message)
            return None
        self.reply({**id, "event": operation, "arg": arg, "connId": self._connection_id})
        return name

    def _error(self, id: dict[str, Any] | None, code: str, message: str) -> None:
        error = {"event": "error", "code": code, "msg": message, "connId": self._connection_id}
        self.reply({**(id or {}), **error})
