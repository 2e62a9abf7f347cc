"""Coinbase Exchange: the WebSocket feed and the public product endpoints, as its documentation describes them."""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

from infra.replay.recordings import RecordedFrame
from infra.replay.session import SUBSCRIPTION_LIMIT, Session
from infra.replay.spans import parse
from infra.replay.templates import Draft, Mark, Role, Rules, iso_micros

RULES: Rules = {
    ("time",): Mark(Role.TIME, main=True),
    ("sequence",): Mark(Role.NUMBER, "sequence"),
    ("trade_id",): Mark(Role.NUMBER, "trade"),
    ("last_trade_id",): Mark(Role.NUMBER, "trade"),
}
CHANNELS: Mapping[str, str] = {
    "snapshot": "level2",
    "l2update": "level2",
    "match": "matches",
    "last_match": "matches",
    "ticker": "ticker",
}
_SAME = {"level2_batch": "level2", "level2_50": "level2", "ticker_batch": "ticker"}
_PLAYED = frozenset({"level2", "matches", "ticker"})
_KNOWN = _PLAYED | _SAME.keys() | {"heartbeat", "status", "full"}


def draft(frame: RecordedFrame) -> Draft | None:
    """A recorded data frame; None for control frames and heartbeats, which are made anew."""
    value, _ = parse(frame.text)
    channel = CHANNELS.get(value.get("type", "")) if isinstance(value, dict) else None
    if channel is None:
        return None
    product = value["product_id"]
    return Draft(
        text=frame.text,
        rules=RULES,
        streams=(f"{channel}:{product}",),
        scope=product,
        snapshot=value["type"] == "snapshot",
        recorded_ns=frame.recorded_ns,
    )


class _Refused(Exception):
    """A request the venue answers with an error."""


class CoinbaseSession(Session):
    """The Exchange feed: channels by product, heartbeats every second, five seconds to subscribe."""

    venue: ClassVar[str] = "coinbase"

    async def opened(self) -> None:
        """Start with no channel."""
        self._channels: dict[str, dict[str, None]] = {}

    def jobs(self) -> list[Coroutine[Any, Any, None]]:
        """Heartbeats, and the end of connections that never subscribe."""
        return [self._heartbeats(), self._expect_subscription()]

    async def heard(self, text: str) -> None:
        """Subscribe or unsubscribe, and say what is subscribed now."""
        try:
            request = json.loads(text)
        except ValueError:
            self.reply({"type": "error", "message": "Malformed JSON"})
            return
        try:
            kind, wanted = _wanted(request)
        except _Refused as refused:
            reason = {"message": "Failed to subscribe", "reason": str(refused)}
            self.reply({"type": "error", **reason})
            return
        before = dict(self.subscribed)
        self._change(kind, wanted)
        played = {
            f"{_SAME.get(name, name)}:{product}": None
            for name, products in self._channels.items()
            for product in products
        }
        self.unsubscribe([name for name in before if name not in played])
        self.reply(self._subscriptions())
        self.subscribe(list(played)[:SUBSCRIPTION_LIMIT])

    def _change(self, kind: str, wanted: Mapping[str, list[str]]) -> None:
        for name, products in wanted.items():
            held = self._channels.setdefault(name, {})
            if kind == "subscribe":
                held.update(dict.fromkeys(products[:SUBSCRIPTION_LIMIT]))
            else:
                for product in products or list(held):
                    held.pop(product, None)
            if not held and name != "status":
                del self._channels[name]

    def _subscriptions(self) -> dict[str, Any]:
        channels = [
            {"name": name, "product_ids": list(products), "account_ids": None}
            for name, products in self._channels.items()
        ]
        return {"type": "subscriptions", "channels": channels}

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self.options.heartbeat_interval)
            for product in self._channels.get("heartbeat", ()):
                if (beat := self._heartbeat(product)) is not None:
                    self.reply(beat)

    def _heartbeat(self, product: str) -> dict[str, Any] | None:
        """Where a product's numbers stand; None for one that is not on the tape."""
        now = self.stage.clock()
        numbered = self.tape.selection([f"ticker:{product}", f"matches:{product}"])
        place = self.tape.last_of(numbered, self.tape.place_after(now))
        if place is None:
            return None
        last = json.loads(self.tape.render(place))
        return {
            "type": "heartbeat",
            "last_trade_id": last["trade_id"],
            "product_id": product,
            "sequence": last["sequence"],
            "time": iso_micros(now),
        }

    async def _expect_subscription(self) -> None:
        await asyncio.sleep(self.options.subscribe_timeout)
        if not self._channels:
            await self.close(1008, "Subscribe within 5 seconds")


def _wanted(request: Any) -> tuple[str, dict[str, list[str]]]:
    """`subscribe` or `unsubscribe`, and the products by channel."""
    kind = request.get("type") if isinstance(request, dict) else None
    if kind not in ("subscribe", "unsubscribe"):
        raise _Refused(f"Type has to be either subscribe or unsubscribe, not {kind}")
    common, channels = request.get("product_ids", []), request.get("channels", [])
    if not isinstance(channels, list) or not isinstance(common, list) or not channels:
        raise _Refused("channels must be a list of names or objects")
    wanted: dict[str, list[str]] = {}
    for channel in channels:
        name = channel.get("name") if isinstance(channel, dict) else channel
        if name not in _KNOWN:
            raise _Refused(f"{name} is not a valid channel")
        products = channel.get("product_ids", []) if isinstance(channel, dict) else []
        wanted.setdefault(name, []).extend(str(product) for product in [*products, *common])
        if kind == "subscribe" and not wanted[name] and name != "status":
            raise _Refused(f"No product_ids for channel {name}")
    return kind, wanted
