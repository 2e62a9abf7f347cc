"""Coinbase Advanced Trade: market-data channels and public product endpoints, as its documentation describes them."""

import asyncio
import json
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, ClassVar

from infra.replay.recordings import RecordedFrame
from infra.replay.session import SUBSCRIPTION_LIMIT, Session
from infra.replay.spans import parse
from infra.replay.tape import Piece
from infra.replay.templates import SECOND, Draft, Mark, Role, Rules, iso_micros

CANDLE_NS = 300 * SECOND

_TIME = Mark(Role.TIME)
_RULES: Rules = {
    ("timestamp",): Mark(Role.TIME, main=True),
    ("sequence_num",): Mark(Role.COUNTER),
    ("events", "*", "trades", "*", "time"): _TIME,
    ("events", "*", "trades", "*", "trade_id"): Mark(Role.NUMBER, "trade", by="product_id"),
    ("events", "*", "updates", "*", "event_time"): _TIME,
    ("events", "*", "candles", "*", "start"): Mark(Role.START),
}
_CHANNELS: Mapping[str, str] = {
    "l2_data": "level2",
    "market_trades": "market_trades",
    "ticker": "ticker",
    "ticker_batch": "ticker_batch",
    "candles": "candles",
    "status": "status",
}
_KNOWN = frozenset({*_CHANNELS.values(), "heartbeats"})


def draft(frame: RecordedFrame) -> Draft | None:
    """A recorded data frame; None for subscriptions, errors and heartbeats, which are made anew."""
    value, _ = parse(frame.text)
    channel = _CHANNELS.get(value.get("channel", "")) if isinstance(value, dict) else None
    if channel is None:
        return None
    products = dict.fromkeys(_products(value["events"]))
    return Draft(
        text=frame.text,
        rules=_RULES,
        streams=tuple(f"{channel}:{product}" for product in products),
        snapshot=any(event.get("type") == "snapshot" for event in value["events"]),
        interval_ns=CANDLE_NS,
        recorded_ns=frame.recorded_ns,
    )


def _products(events: list[dict[str, Any]]) -> Iterator[str]:
    for event in events:
        if "product_id" in event:
            yield event["product_id"]
        for kind in ("trades", "tickers", "candles", "products"):
            for entry in event.get(kind, ()):
                yield entry.get("product_id") or entry["id"]


class AdvancedSession(Session):
    """One channel a request; every message of the connection carries the next `sequence_num`."""

    venue: ClassVar[str] = "coinbase-advanced"

    async def opened(self) -> None:
        """Start counting."""
        self._counter = 0
        self._heartbeat = False

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Heartbeats, and the end of connections that never subscribe."""
        return [self._heartbeats(), self._expect_subscription()]

    def render(self, piece: Piece, turn: int, due_ns: int) -> bytes:
        """The frame with this connection's count."""
        return piece.template.render(turn, due_ns, self._count())

    async def heard(self, text: str) -> None:
        """Subscribe or unsubscribe one channel."""
        try:
            request = json.loads(text)
            kind, channel = request["type"], request["channel"]
            products = [str(product) for product in request.get("product_ids", ())]
        except (ValueError, KeyError, TypeError):
            self.reply({"type": "error", "message": "failure to parse request"})
            return
        if kind not in ("subscribe", "unsubscribe"):
            self.reply({"type": "error", "message": f"invalid message type {kind}"})
            return
        if channel not in _KNOWN:
            self.reply({"type": "error", "message": f"channel {channel} is not supported"})
            return
        names = [f"{channel}:{product}" for product in products][:SUBSCRIPTION_LIMIT]
        if channel == "heartbeats":
            self._heartbeat = kind == "subscribe"
        elif kind == "unsubscribe":
            self.unsubscribe(names)
        self._tell("subscriptions", {"subscriptions": self._subscriptions(kind, channel, names)})
        if kind == "subscribe" and channel != "heartbeats":
            self.subscribe(names)

    def _subscriptions(self, kind: str, channel: str, names: list[str]) -> dict[str, list[str]]:
        held = dict.fromkeys([*self.subscribed, *(names if kind == "subscribe" else ())])
        told: dict[str, list[str]] = {}
        for name in held:
            of, _, product = name.partition(":")
            if of != "heartbeats":
                told.setdefault(of, []).append(product)
        return told | ({"heartbeats": ["heartbeats"]} if self._heartbeat else {})

    async def _heartbeats(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self.options.heartbeat_interval)
            if self._heartbeat:
                moment = iso_micros(self.stage.clock())
                current = f"{moment[:10]} {moment[11:-1]}000 +0000 UTC"
                self._tell("heartbeats", {"current_time": current, "heartbeat_counter": beats})
                beats += 1

    async def _expect_subscription(self) -> None:
        await asyncio.sleep(self.options.subscribe_timeout)
        if not self.subscribed and not self._heartbeat:
            await self.close(1008, "Subscribe within 5 seconds")

    def _tell(self, channel: str, event: dict[str, Any]) -> None:
        moment = iso_micros(self.stage.clock())
        head = {"channel": channel, "client_id": "", "timestamp": moment}
        self.reply({**head, "sequence_num": self._count(), "events": [event]})

    def _count(self) -> int:
        self._counter += 1
        return self._counter - 1
