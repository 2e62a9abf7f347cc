import json
import time

import pytest

from tests.infra.replay.listening import (
    close_code,
    listening,
    next_json,
    next_text,
    okx_subscribe,
    replaying,
    silence,
    take,
)


async def test_each_channel_is_acknowledged_before_its_first_push() -> None:
    request = okx_subscribe(("trades", "BTC-USDT"), ("tickers", "UNI-USD-SWAP")) | {"id": "1512"}
    async with (
        replaying(rate=5000, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", request) as socket,
    ):
        first, second, *pushes = await take(socket, 30)
    for acknowledged, arg in zip((first, second), request["args"], strict=True):
        assert acknowledged["event"] == "subscribe"
        assert acknowledged["arg"] == arg
        assert acknowledged["id"] == "1512"
        assert acknowledged["connId"] == first["connId"]
    assert {push["arg"]["channel"] for push in pushes} == {"trades", "tickers"}
    assert {(push["arg"]["instId"]) for push in pushes} == {"BTC-USDT", "UNI-USD-SWAP"}


@pytest.mark.parametrize(
    ("path", "request_text", "code"),
    [
        ("/ws/v5/public", json.dumps(okx_subscribe(("trades", "NO-SUCH"))), "60018"),
        ("/ws/v5/public", json.dumps(okx_subscribe(("candle1D", "BTC-USDT"))), "60018"),
        ("/ws/v5/business", json.dumps(okx_subscribe(("trades", "BTC-USDT"))), "60018"),
        ("/ws/v5/public", '{"op":"subscribe","argss":[]}', "60012"),
        ("/ws/v5/public", '{"op":"login","args":[{"channel":"x"}]}', "60012"),
        ("/ws/v5/public", '{"op":"subscribe","args":["trades"]}', "60012"),
        ("/ws/v5/public", "hello", "60012"),
    ],
)
async def test_what_does_not_exist_is_answered_with_the_venues_error(
    path: str, request_text: str, code: str
) -> None:
    async with (
        replaying(venues=("okx",)) as replayer,
        listening(replayer, "okx", path, request_text) as socket,
    ):
        error = await next_json(socket)
    assert (error["event"], error["code"]) == ("error", code)


async def test_candles_come_on_the_business_url() -> None:
    async with (
        replaying(rate=500, venues=("okx",)) as replayer,
        listening(
            replayer, "okx", "/ws/v5/business", okx_subscribe(("candle1D", "BTC-USDT"))
        ) as socket,
    ):
        acknowledged, push = await take(socket, 2)
    assert acknowledged["event"] == "subscribe"
    start = int(push["data"][0][0]) / 1000
    assert time.time() - 86_400 < start <= time.time()


async def test_a_book_begins_with_its_snapshot_whenever_it_is_subscribed() -> None:
    async with replaying(rate=300, venues=("okx",)) as replayer:
        for _ in range(4):
            async with listening(
                replayer, "okx", "/ws/v5/public", okx_subscribe(("books", "UNI-USD-SWAP"))
            ) as socket:
                _, first = await take(socket, 2)
                assert first["action"] == "snapshot"


async def test_unsubscribing_is_acknowledged_and_ends_the_pushes() -> None:
    channel = ("trades", "BTC-USDT")
    async with (
        replaying(rate=5000, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", okx_subscribe(channel)) as socket,
    ):
        await take(socket, 3)
        await socket.send(json.dumps(okx_subscribe(channel) | {"op": "unsubscribe"}))
        while (await next_json(socket)).get("event") != "unsubscribe":
            pass
        assert await silence(socket, 0.2)


async def test_a_text_ping_is_answered_with_a_text_pong() -> None:
    async with (
        replaying(venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", "ping") as socket,
    ):
        assert await next_text(socket) == "pong"


async def test_a_connection_without_traffic_is_dropped_and_pings_keep_it() -> None:
    async with (
        replaying(idle_timeout=0.4, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public") as socket,
    ):
        for _ in range(4):
            assert await silence(socket, 0.2)
            await socket.send("ping")
            assert await next_text(socket) == "pong"
        began = time.monotonic()
        assert await close_code(socket) == 4004
        assert time.monotonic() - began == pytest.approx(0.4, abs=0.2)


async def test_trade_ids_continue_across_passes() -> None:
    request = okx_subscribe(("trades", "BTC-USDT"), ("trades", "BTC-USD-220527"))
    async with (
        replaying(rate=5000, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", request) as socket,
    ):
        pushes = (await take(socket, 80))[2:]
    for instrument in ("BTC-USDT", "BTC-USD-220527"):
        ids = [
            int(t["tradeId"]) for push in pushes for t in push["data"] if t["instId"] == instrument
        ]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert len(ids) > 10
