import asyncio
import itertools
import json
import time

import pytest
import websockets

from infra.replay.recordings import bundled, frames
from tests.infra.replay.listening import (
    binance_subscribe,
    close_code,
    listening,
    next_json,
    next_text,
    replaying,
    silence,
    take,
)

TRADES = "omgbusd@aggTrade"


def recorded(stream: str) -> list[str]:
    texts = [frame.text.decode() for frame in frames(bundled(), "binance")]
    return [text for text in texts if json.loads(text)["stream"] == stream]


async def test_a_stream_in_the_path_is_played_raw() -> None:
    async with (
        replaying(rate=2000, venues=("binance",)) as replayer,
        listening(replayer, "binance", f"/ws/{TRADES}") as socket,
    ):
        events = await take(socket, 8)
    assert {(event["e"], event["s"]) for event in events} == {("aggTrade", "OMGBUSD")}


async def test_streams_in_the_query_are_played_wrapped_and_no_others() -> None:
    wanted = [TRADES, "nknusdt@bookTicker"]
    async with (
        replaying(rate=5000, venues=("binance",)) as replayer,
        listening(replayer, "binance", f"/stream?streams={'/'.join(wanted)}") as socket,
    ):
        events = await take(socket, 60)
    assert {event["stream"] for event in events} == set(wanted)
    assert all(set(event) == {"stream", "data"} for event in events)


async def test_subscriptions_are_acknowledged_listed_and_ended() -> None:
    async with (
        replaying(rate=5000, venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws") as socket,
    ):
        assert await silence(socket, 0.1)
        await socket.send(json.dumps(binance_subscribe(TRADES, id=7)))
        assert await next_text(socket) == '{"result":null,"id":7}'
        assert (await next_json(socket))["s"] == "OMGBUSD"
        await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": "list"}))
        await socket.send(json.dumps({"method": "UNSUBSCRIBE", "params": [TRADES], "id": None}))
        answers = []
        while len(answers) < 2:
            message = await next_json(socket)
            answers += [message] if "result" in message else []
        assert answers == [{"result": [TRADES], "id": "list"}, {"result": None, "id": None}]
        assert await silence(socket, 0.2)


async def test_combined_payloads_can_be_switched() -> None:
    request = {"method": "SET_PROPERTY", "params": ["combined", True], "id": 5}
    async with (
        replaying(rate=5000, venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws", request) as socket,
    ):
        assert await next_json(socket) == {"result": None, "id": 5}
        await socket.send(json.dumps({"method": "GET_PROPERTY", "params": ["combined"], "id": 6}))
        assert await next_json(socket) == {"result": True, "id": 6}
        await socket.send(json.dumps(binance_subscribe(TRADES)))
        await next_json(socket)
        assert (await next_json(socket))["stream"] == TRADES


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("{nonsense", 3),
        ('{"id": 1}', 2),
        ('{"method": "SUBSCRIB", "params": [], "id": 1}', 2),
        ('{"method": "SUBSCRIBE", "params": [], "id": 1.5}', 2),
        ('{"method": "SUBSCRIBE", "params": [1], "id": 1}', 2),
        ('{"method": "GET_PROPERTY", "params": ["nope"], "id": 1}', 0),
        ('{"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}', 1),
    ],
)
async def test_what_cannot_be_carried_out_is_answered_with_the_venues_error(
    request_text: str, code: int
) -> None:
    async with (
        replaying(venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws", request_text) as socket,
    ):
        assert (await next_json(socket))["error"]["code"] == code


async def test_without_looping_the_recording_is_heard_once_with_its_numbers() -> None:
    async with (
        replaying(rate=5000, loop=False, venues=("binance",)) as replayer,
        listening(replayer, "binance", f"/stream?streams={TRADES}") as socket,
    ):
        events = await take(socket, 4)
        assert await silence(socket, 0.2)
    originals = [json.loads(text) for text in recorded(TRADES)]
    assert [event["data"]["a"] for event in events] == [each["data"]["a"] for each in originals]
    for event, original in zip(events, originals, strict=True):
        moved = {"E", "T"}
        assert {key: event["data"][key] for key in event["data"].keys() - moved} == {
            key: original["data"][key] for key in original["data"].keys() - moved
        }
        assert (
            event["data"]["E"] - event["data"]["T"] == original["data"]["E"] - original["data"]["T"]
        )


async def test_looping_continues_trade_and_update_numbers_at_the_present_time() -> None:
    streams = (TRADES, "nknusdt@depth@100ms")
    async with (
        replaying(rate=5000, venues=("binance",)) as replayer,
        listening(replayer, "binance", f"/stream?streams={'/'.join(streams)}") as socket,
    ):
        events = await take(socket, 100)
        now_ms = time.time() * 1000
    trades = [event["data"]["a"] for event in events if event["stream"] == TRADES]
    assert trades == list(range(trades[0], trades[0] + len(trades)))
    assert len(trades) > 3 * 4
    books = [event["data"] for event in events if event["stream"] != TRADES]
    for before, after in itertools.pairwise(books):
        assert after["U"] == before["u"] + 1
    times = [event["data"]["E"] for event in events]
    assert times == sorted(times)
    assert now_ms - 2000 < times[-1] <= now_ms


async def test_everyone_hears_the_same_numbers_and_a_return_hears_later_ones() -> None:
    async with replaying(rate=5000, venues=("binance",)) as replayer:
        path = f"/ws/{TRADES}"
        async with (
            listening(replayer, "binance", path) as one,
            listening(replayer, "binance", path) as other,
        ):
            mine = {event["a"]: event["E"] for event in await take(one, 40)}
            theirs = {event["a"]: event["E"] for event in await take(other, 40)}
        async with listening(replayer, "binance", path) as again:
            later = await next_json(again)
    shared = mine.keys() & theirs.keys()
    assert shared
    assert all(mine[number] == theirs[number] for number in shared)
    assert later["a"] > max(*mine, *theirs)


async def test_numbers_go_on_in_the_next_run_of_the_replayer() -> None:
    numbers = []
    for _ in range(2):
        async with (
            replaying(rate=5000, venues=("binance",)) as replayer,
            listening(replayer, "binance", f"/ws/{TRADES}") as socket,
        ):
            numbers += [event["a"] for event in await take(socket, 5)]
    assert numbers == sorted(set(numbers))


async def test_pings_carry_the_time_and_a_client_without_pongs_is_let_go() -> None:
    async with replaying(ping_interval=0.1, pong_timeout=0.2, venues=("binance",)) as replayer:
        reader, writer = await asyncio.open_connection("127.0.0.1", replayer.port)
        handshake = (
            "GET /binance/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(handshake.encode())
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            ping = await reader.readexactly(15)
            assert ping[:2] == b"\x89\x0d"
            assert abs(int(ping[2:]) / 1000 - time.time()) < 5
            rest = await reader.readuntil(b"Pong timeout")
        assert b"\x88\x0e\x03\xf0" in rest  # close, code 1008
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_answers_pings_stays() -> None:
    async with (
        replaying(ping_interval=0.05, pong_timeout=0.1, venues=("binance",)) as replayer,
        listening(replayer, "binance", "/ws") as socket,
    ):
        assert await silence(socket, 0.6)
        assert replayer.connections("binance") == 1


async def test_the_venue_is_also_found_by_its_host_name() -> None:
    async with replaying(rate=5000) as replayer:
        url = f"ws://stream.binance.com:{replayer.port}/ws/{TRADES}"
        async with websockets.connect(url, host="127.0.0.1", port=replayer.port) as socket:
            assert (await next_json(socket))["s"] == "OMGBUSD"


async def test_stopping_closes_the_connections_and_the_port() -> None:
    async with replaying(venues=("binance",)) as replayer:
        socket = await websockets.connect(replayer.url("binance", "/ws"))
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert await close_code(socket) == 1012
    with pytest.raises(OSError, match="Connect"):
        await websockets.connect(replayer.url("binance", "/ws"))


async def test_paths_that_are_none_are_refused() -> None:
    async with replaying() as replayer:
        for path in ("/binance/nope", "/okx/ws/v5/private", "/nobody/ws"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(f"ws://127.0.0.1:{replayer.port}{path}")
            assert refused.value.response.status_code in (403, 404)
