import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from domain.connectors import ConnectorState, Venue
from domain.messages import QuarantineReason
from infra.feeds.backoff import Backoff
from infra.feeds.socket import SocketOptions
from tests.infra.feeds.factories import (
    FRAME_LIMIT,
    QUICK,
    SOCKET,
    Exchange,
    Shelf,
    a_connector,
    a_trade,
    an_exchange,
    eventually,
    reading,
    trade_by_trade,
)


async def then_close(connection: ServerConnection, exchange: Exchange) -> None:
    await trade_by_trade(connection, exchange)
    await connection.close()


async def test_messages_arrive_in_order_with_their_time_and_size() -> None:
    async with an_exchange(trade_by_trade) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(3)
    assert read.shelf.sequences == ["100", "101", "102"]
    arrival = read.shelf.arrivals[0]
    assert arrival.frame_bytes == len(a_trade(100))
    assert arrival.epoch == read.keeper.lease.epoch
    assert datetime.now(UTC) - arrival.received_at < timedelta(seconds=5)
    assert read.keeper.last_message_at == read.shelf.arrivals[-1].received_at
    assert read.states == ["STARTING", "RUNNING"]


async def test_every_connection_is_subscribed_anew() -> None:
    frames = [f'{{"op":"subscribe","id":{number}}}' for number in range(7)]
    async with (
        an_exchange(trade_by_trade) as exchange,
        reading(a_connector(exchange.url, subscribe_frames=frames)),
    ):
        await eventually(lambda: exchange.heard and exchange.heard[0] == frames)
        await exchange.connections[0].close()
        await eventually(lambda: len(exchange.heard) == 2 and exchange.heard[1] == frames)


async def test_a_lost_connection_is_replaced_and_counted() -> None:
    async with an_exchange(then_close) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(6)
    assert read.shelf.sequences[:6] == ["100", "101", "102", "200", "201", "202"]
    assert read.keeper.reconnects >= 1
    assert read.states[:4] == ["STARTING", "RUNNING", "RECONNECTING", "RUNNING"]
    assert "closed the connection with code 1000" in (read.keeper.last_error or "")


async def test_what_was_missed_between_two_connections_is_a_gap() -> None:
    async with an_exchange(then_close) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(4)
    (gap,) = read.shelf.arrivals[3].gaps
    assert (gap.instrument, gap.after_sequence, gap.before_sequence, gap.missed) == (
        "BTC-USDT",
        102,
        200,
        97,
    )
    assert read.keeper.gaps >= 1


async def test_what_comes_twice_is_stored_once() -> None:
    async def twice(connection: ServerConnection, exchange: Exchange) -> None:
        for number in (1, 2, 2, 1, 3):
            await connection.send(a_trade(number))

    async with an_exchange(twice) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(3)
    assert read.shelf.sequences == ["1", "2", "3"]
    assert read.keeper.duplicates == 2


async def test_waits_between_attempts_grow() -> None:
    draws: list[float] = []

    def no_luck() -> float:
        draws.append(asyncio.get_running_loop().time())
        return 1.0

    options = SocketOptions(backoff=Backoff(0.05, 0.2), random=no_luck)
    async with an_exchange() as exchange:
        url = exchange.url
    async with reading(a_connector(url), socket=options) as read:
        await eventually(lambda: len(draws) == 5)
        steps = [later - earlier for earlier, later in pairwise(draws)]
        assert [round(step, 1) for step in steps] == pytest.approx([0.05, 0.1, 0.2, 0.2], abs=0.06)
        assert read.keeper.state is ConnectorState.RECONNECTING
        assert "cannot connect" in (read.keeper.last_error or "")


async def test_waits_begin_anew_after_a_healthy_connection() -> None:
    backoff = Backoff(0.01, 60)
    healthy = SocketOptions(backoff=backoff, random=lambda: 1.0, healthy_seconds=0.0)
    async with (
        an_exchange(then_close) as exchange,
        reading(a_connector(exchange.url), socket=healthy) as read,
    ):
        await eventually(lambda: read.keeper.reconnects == 20)  # 2 ** 19 * 10 ms otherwise


async def test_an_open_but_silent_socket_is_stale_and_replaced() -> None:
    async def silent_at_first(connection: ServerConnection, exchange: Exchange) -> None:
        if len(exchange.connections) > 1:
            await trade_by_trade(connection, exchange)

    async with an_exchange(silent_at_first) as exchange:
        began = asyncio.get_running_loop().time()
        async with reading(a_connector(exchange.url, stale_after_ms=300)) as read:
            await eventually(lambda: "STALE" in read.states)
            took = asyncio.get_running_loop().time() - began
            await read.shelf.wait_for(3)
    assert 0.3 <= took < 1.0
    assert read.states[:5] == ["STARTING", "RUNNING", "STALE", "RECONNECTING", "RUNNING"]
    assert "silent" in (read.keeper.last_error or "")


async def test_silence_is_noticed_while_subscriptions_are_still_sent() -> None:
    frames = [f'{{"id":{number}}}' for number in range(100)]
    options = replace(SOCKET, pace_seconds=0.25)
    async with an_exchange() as exchange:
        connector = a_connector(exchange.url, stale_after_ms=300, subscribe_frames=frames)
        async with reading(connector, socket=options) as read:
            await eventually(lambda: "STALE" in read.states, seconds=3.0)
    assert read.states[:3] == ["STARTING", "RUNNING", "STALE"]
    assert 4 <= len(exchange.heard[0]) < 20


async def test_waiting_for_the_writer_is_no_silence() -> None:
    shelf = Shelf(room=1)
    async with an_exchange(trade_by_trade) as exchange:
        connector = a_connector(exchange.url, stale_after_ms=200)
        async with reading(connector, shelf=shelf) as read:
            await shelf.wait_for(1)
            await asyncio.sleep(0.6)
            assert read.states == ["STARTING", "RUNNING"]
            await shelf.make_room(None)
            await shelf.wait_for(3)
            await asyncio.sleep(0.1)
            assert read.states == ["STARTING", "RUNNING"]
            assert len(exchange.connections) == 1


async def test_what_was_not_handed_over_is_new_when_it_comes_again() -> None:
    shelf = Shelf(room=1)
    async with (
        an_exchange(trade_by_trade) as exchange,
        reading(a_connector(exchange.url), shelf=shelf) as read,
    ):
        await eventually(lambda: read.keeper.pending == 2)
    assert read.keeper.pending == 1
    (taken,) = shelf.arrivals
    waited = replace(taken.ticks[0], key=(taken.ticks[0].key or "").replace("100", "101"))
    assert read.keeper.sequences.admit([taken.ticks[0], waited]).ticks == [waited]


async def test_a_slow_writer_slows_the_source_and_nothing_piles_up() -> None:
    sent = 0

    async def flood(connection: ServerConnection, exchange: Exchange) -> None:
        nonlocal sent
        for number in range(200_000):
            await connection.send(a_trade(number) + b" " * 1_000)
            sent += 1

    shelf = Shelf(room=10)
    async with (
        an_exchange(flood, write_limit=1024) as exchange,
        reading(a_connector(exchange.url), shelf=shelf),
    ):
        await shelf.wait_for(10)
        await asyncio.sleep(0.3)
        held = sent
        await asyncio.sleep(0.3)
        assert sent == held  # the source stands still
        assert sent < 20_000  # and what is under way fits into socket buffers
        await shelf.make_room(2_000)
        await shelf.wait_for(2_000)
    assert shelf.sequences == [str(number) for number in range(2_000)]


async def test_huge_frames_are_cut_and_quarantined_on_a_connection_that_lives_on() -> None:
    sizes = [FRAME_LIMIT + 1, FRAME_LIMIT, 3_000_000, 70_000]

    async def huge(connection: ServerConnection, exchange: Exchange) -> None:
        for size in sizes:
            await connection.send("x" * size)
        await connection.send([b"y" * 4_000] * 5)  # one message of five fragments
        await connection.send(a_trade(7))

    async with an_exchange(huge) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(6)
    frames = [arrival.quarantined for arrival in read.shelf.arrivals[:5]]
    assert [frame and frame.frame_bytes for frame in frames] == [*sizes, 20_000]
    assert [frame and frame.reason for frame in frames] == [
        QuarantineReason.TOO_LARGE,
        QuarantineReason.MALFORMED,
        QuarantineReason.TOO_LARGE,
        QuarantineReason.TOO_LARGE,
        QuarantineReason.TOO_LARGE,
    ]
    assert all(frame is not None and len(frame.frame) == FRAME_LIMIT for frame in frames)
    assert read.shelf.sequences == ["7"]
    assert len(exchange.connections) == 1
    assert read.keeper.quarantined == 5


async def test_binary_frames_are_read_like_text() -> None:
    async def binary(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send(a_trade(1), text=False)
        await connection.send(b"\x00\xff\xfe", text=False)
        await connection.send(b"\xff\xfe", text=True)

    async with an_exchange(binary) as exchange, reading(a_connector(exchange.url)) as read:
        await read.shelf.wait_for(3)
    assert read.shelf.sequences == ["1"]
    for arrival in read.shelf.arrivals[1:]:
        assert arrival.quarantined is not None
        assert arrival.quarantined.reason is QuarantineReason.MALFORMED
    assert len(exchange.connections) == 1


async def test_a_quiet_okx_socket_is_pinged_and_its_pong_is_no_message() -> None:
    async def pong(connection: ServerConnection, exchange: Exchange) -> None:
        while "ping" not in exchange.heard[0]:
            await asyncio.sleep(0.01)
        await connection.send("pong")

    async with an_exchange(pong) as exchange:
        connector = a_connector(exchange.url, venue=Venue.OKX, stale_after_ms=60_000)
        async with reading(connector, socket=replace(SOCKET, idle_seconds=0.1)) as read:
            await eventually(lambda: exchange.heard and exchange.heard[0].count("ping") >= 2)
    assert read.shelf.arrivals == []


async def test_a_venue_that_pings_is_answered() -> None:
    async def ping(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send('{"ping":18212558000}')

    async with (
        an_exchange(ping) as exchange,
        reading(a_connector(exchange.url, venue=Venue.CUSTOM)) as read,
    ):
        await eventually(lambda: exchange.heard and exchange.heard[0])
    assert exchange.heard[0] == ['{"pong": 18212558000}']
    assert read.shelf.arrivals == []


async def test_keepalives_do_not_hide_silence() -> None:
    async def only_pongs(connection: ServerConnection, exchange: Exchange) -> None:
        while True:
            await connection.send("pong")
            await asyncio.sleep(0.05)

    async with an_exchange(only_pongs) as exchange:
        connector = a_connector(exchange.url, venue=Venue.OKX, stale_after_ms=200)
        async with reading(connector) as read:
            await eventually(lambda: "STALE" in read.states)


async def test_a_source_that_asks_to_be_left_alone_is() -> None:
    tries: list[float] = []

    def refuse(connection: ServerConnection, request: Request) -> Response:
        tries.append(asyncio.get_running_loop().time())
        response = connection.respond(429, "slow down")
        response.headers["Retry-After"] = "1"
        return response

    async with (
        an_exchange(process_request=refuse) as exchange,
        reading(a_connector(exchange.url)) as read,
    ):
        await eventually(lambda: len(tries) == 2)
    assert tries[1] - tries[0] >= 1.0
    assert "RECONNECTING" in read.states
    assert "429" in (read.keeper.last_error or "")


async def test_a_refusal_that_lasts_is_an_error_and_is_tried_again() -> None:
    refused: list[int] = []

    def once(connection: ServerConnection, request: Request) -> Response | None:
        refused.append(1)
        return connection.respond(401, "who?") if len(refused) < 3 else None

    async with (
        an_exchange(trade_by_trade, process_request=once) as exchange,
        reading(a_connector(exchange.url)) as read,
    ):
        await read.shelf.wait_for(3)
    assert read.states == ["STARTING", "ERROR", "RUNNING"]


async def test_a_source_that_never_opens_is_given_up_in_time() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        options = SocketOptions(open_seconds=0.2, backoff=QUICK)
        async with reading(a_connector(url), socket=options) as read:
            await eventually(lambda: read.keeper.reconnects >= 2)
    assert "timed out" in (read.keeper.last_error or "")
