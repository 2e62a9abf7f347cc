import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.infra.replay.listening import (
    close_code,
    coinbase_subscribe,
    listening,
    next_json,
    replaying,
    silence,
    take,
)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


async def test_subscriptions_are_confirmed_and_only_they_are_played() -> None:
    request = coinbase_subscribe(["ticker", "matches"], "SKL-USD", "BAND-GBP")
    async with (
        replaying(rate=5000, venues=("coinbase",)) as replayer,
        listening(replayer, "coinbase", "", request) as socket,
    ):
        confirmed, *frames = await take(socket, 40)
    assert confirmed["type"] == "subscriptions"
    assert {channel["name"]: channel["product_ids"] for channel in confirmed["channels"]} == {
        "ticker": ["SKL-USD", "BAND-GBP"],
        "matches": ["SKL-USD", "BAND-GBP"],
    }
    assert {frame["product_id"] for frame in frames} == {"SKL-USD", "BAND-GBP"}
    assert {frame["type"] for frame in frames} == {"ticker", "last_match"}


async def test_numbers_continue_and_times_are_now() -> None:
    request = coinbase_subscribe(["matches", "ticker"], "SKL-USD")
    async with (
        replaying(rate=5000, venues=("coinbase",)) as replayer,
        listening(replayer, "coinbase", "", request) as socket,
    ):
        frames = (await take(socket, 61))[1:]
        now = time.time()
    for kind in ("last_match", "ticker"):
        ids = [frame["trade_id"] for frame in frames if frame["type"] == kind]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    by_trade: dict[int, set[int]] = {}
    for frame in frames:
        by_trade.setdefault(frame["trade_id"], set()).add(frame["sequence"])
    assert all(len(sequences) == 1 for sequences in by_trade.values())
    assert now - 2 < moment(frames[-1]["time"]) <= now
    assert frames[-1]["time"].endswith("Z")


async def test_an_order_book_starts_with_a_snapshot() -> None:
    request = coinbase_subscribe(["level2"], "BAND-GBP")
    async with (
        replaying(rate=50, venues=("coinbase",)) as replayer,
        listening(replayer, "coinbase", "", request) as socket,
    ):
        _, first = await take(socket, 2)
    assert (first["type"], len(first["asks"])) == ("snapshot", 166)


async def test_heartbeats_tell_where_each_product_stands() -> None:
    request = coinbase_subscribe(["heartbeat", "ticker"], "SKL-USD")
    async with (
        replaying(speed=1, heartbeat_interval=0.1, venues=("coinbase",)) as replayer,
        listening(replayer, "coinbase", "", request) as socket,
    ):
        frames = (await take(socket, 25))[1:]
    beats = [frame for frame in frames if frame["type"] == "heartbeat"]
    trades = [beat["last_trade_id"] for beat in beats]
    assert len(beats) > 10
    assert trades == sorted(trades)
    ticker = next(frame for frame in frames if frame["type"] == "ticker")
    after = next(beat for beat in beats if frames.index(beat) > frames.index(ticker))
    assert (after["last_trade_id"], after["sequence"]) == (ticker["trade_id"], ticker["sequence"])


async def test_unsubscribing_ends_the_channel() -> None:
    async with (
        replaying(rate=5000, venues=("coinbase",)) as replayer,
        listening(replayer, "coinbase", "", coinbase_subscribe(["ticker"], "SKL-USD")) as socket,
    ):
        await take(socket, 3)
        await socket.send(json.dumps({"type": "unsubscribe", "channels": ["ticker"]}))
        while (frame := await next_json(socket))["type"] != "subscriptions":
            pass
        assert frame["channels"] == []
        assert await silence(socket, 0.2)


@pytest.mark.parametrize(
    ("venue", "request_text"),
    [
        ("coinbase", "{nonsense"),
        ("coinbase", '{"type":"subscribe"}'),
        ("coinbase", '{"type":"subscribe","channels":["nope"],"product_ids":["SKL-USD"]}'),
        ("coinbase", '{"type":"subscribe","channels":["ticker"]}'),
        ("coinbase", '{"type":"hello","channels":["ticker"]}'),
        ("coinbase", "[]"),
        ("coinbase-advanced", "{nonsense"),
        ("coinbase-advanced", '{"type":"subscribe","channel":"nope","product_ids":["BTC-USD"]}'),
        ("coinbase-advanced", '{"type":"hello","channel":"ticker"}'),
    ],
)
async def test_what_cannot_be_subscribed_is_an_error(venue: str, request_text: str) -> None:
    async with (
        replaying() as replayer,
        listening(replayer, venue, "", request_text) as socket,
    ):
        assert (await next_json(socket))["type"] == "error"


@pytest.mark.parametrize("venue", ["coinbase", "coinbase-advanced"])
async def test_who_never_subscribes_is_let_go(venue: str) -> None:
    async with (
        replaying(subscribe_timeout=0.2) as replayer,
        listening(replayer, venue) as socket,
    ):
        assert await close_code(socket) == 1008


async def test_advanced_trade_numbers_every_message_of_a_connection() -> None:
    requests: list[Any] = [
        {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": channel}
        for channel in ("market_trades", "heartbeats", "level2", "candles")
    ]
    async with (
        replaying(rate=1000, heartbeat_interval=0.05, venues=("coinbase-advanced",)) as replayer,
        listening(replayer, "coinbase-advanced", "", *requests) as socket,
    ):
        frames = await take(socket, 200)
        now = time.time()
    assert [frame["sequence_num"] for frame in frames] == list(range(200))
    channels = {frame["channel"] for frame in frames}
    assert channels == {"subscriptions", "market_trades", "heartbeats", "l2_data", "candles"}
    ids = [
        int(trade["trade_id"])
        for frame in frames
        if frame["channel"] == "market_trades"
        for trade in frame["events"][0]["trades"]
    ]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    candle = next(frame for frame in frames if frame["channel"] == "candles")
    start = int(candle["events"][0]["candles"][0]["start"])
    assert start % 300 == 0
    assert now - 86_400 < start <= now


async def test_advanced_trade_subscriptions_say_what_is_held() -> None:
    trades = {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "market_trades"}
    ending = {**trades, "type": "unsubscribe"}
    async with (
        replaying(speed=0.001, venues=("coinbase-advanced",)) as replayer,
        listening(replayer, "coinbase-advanced", "", trades, ending) as socket,
    ):
        frames = [frame for frame in await take(socket, 2) if frame["channel"] == "subscriptions"]
    told = [frame["events"][0]["subscriptions"] for frame in frames]
    assert told == [{"market_trades": ["BTC-USD"]}, {}]
