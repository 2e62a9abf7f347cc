import asyncio
import json
import time

import pytest

from tests.infra.replay.listening import (
    listening,
    next_json,
    next_text,
    okx_subscribe,
    replaying,
    take,
)

ALL_OKX = okx_subscribe(
    *((channel, "BTC-USDT") for channel in ("trades", "tickers", "books", "bbo-tbt"))
)


@pytest.mark.parametrize("rate", [200, 5000])
async def test_a_client_of_all_streams_gets_the_rate(rate: int) -> None:
    async with replaying(rate=rate, venues=("binance",)) as replayer:
        streams = "/".join(replayer.streams["binance"])
        async with listening(replayer, "binance", f"/stream?streams={streams}") as socket:
            await next_text(socket)
            count, began = 0, time.monotonic()
            while time.monotonic() - began < 1:
                await next_text(socket)
                count += 1
    assert count == pytest.approx(rate, rel=0.2)


async def test_a_tape_cut_to_some_streams_plays_them_at_the_whole_rate() -> None:
    async with replaying(rate=1000, streams=("omgbusd@a*",), venues=("binance",)) as replayer:
        assert replayer.streams == {"binance": ["omgbusd@aggTrade"]}
        async with listening(replayer, "binance", "/ws/omgbusd@aggTrade") as socket:
            events = await take(socket, 500)
    elapsed_ms = events[-1]["E"] - events[0]["E"]
    assert elapsed_ms == pytest.approx(499, abs=2)


async def test_recorded_gaps_are_kept_and_shrink_with_the_speed() -> None:
    request = okx_subscribe(("trades", "BTC-USD-220527"))
    recorded_gap = 1652459234.454519 - 1652459225.5070758
    speed = 10.0
    async with (
        replaying(speed=speed, loop=False, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", request) as socket,
    ):
        await take(socket, 2)
        began = time.monotonic()
        push = await next_json(socket)
        gap = time.monotonic() - began
    assert push["data"][0]["tradeId"] == "7850"
    assert gap == pytest.approx(recorded_gap / speed, abs=0.25)


async def test_times_tell_when_a_frame_was_due() -> None:
    async with (
        replaying(rate=100, streams=("omgbusd@aggTrade",), venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws/omgbusd@aggTrade") as socket,
    ):
        delays = []
        for _ in range(50):
            event = await next_json(socket)
            delays.append(time.time() * 1000 - event["E"])
    assert sorted(delays)[25] < 20
    assert min(delays) >= 0


async def test_a_client_that_does_not_read_is_waited_for_and_costs_nobody() -> None:
    async with replaying(rate=100_000, venues=("binance", "okx")) as replayer:
        streams = "/".join(replayer.streams["binance"])
        async with listening(replayer, "binance", f"/stream?streams={streams}") as stalled:
            stalled.transport.pause_reading()
            sent = -1
            async with asyncio.timeout(10):
                while sent != replayer.frames_sent("binance"):
                    sent = replayer.frames_sent("binance")
                    await asyncio.sleep(0.3)
            assert sent > 1000
            async with listening(replayer, "okx", "/ws/v5/public", ALL_OKX) as reader:
                await take(reader, 1000)
            assert replayer.frames_sent("binance") == sent
            stalled.transport.abort()


async def test_later_subscriptions_of_a_single_hearing_miss_nothing() -> None:
    first, second = okx_subscribe(("trades", "BTC-USDT")), okx_subscribe(("tickers", "BTC-USDT"))
    async with (
        replaying(rate=1000, loop=False, venues=("okx",)) as replayer,
        listening(replayer, "okx", "/ws/v5/public", first) as socket,
    ):
        await asyncio.sleep(0.3)
        await socket.send(json.dumps(second))
        frames = await take(socket, 2 + 3 + 3)
    pushes = [frame["arg"]["channel"] for frame in frames if "data" in frame]
    assert sorted(pushes) == ["tickers"] * 3 + ["trades"] * 3
