import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.utils import accept_key

from infra.feeds.frames import Cut, FrameConnection
from tests.infra.feeds.factories import Exchange, an_exchange, eventually

LIMIT = 5_000
GREETING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

payloads = st.integers(0, 12_000).map(lambda size: bytes(at % 251 for at in range(size)))


@asynccontextmanager
async def opened(url: str, **options: object) -> AsyncIterator[FrameConnection]:
    async with connect(
        url,
        create_connection=FrameConnection,
        max_size=LIMIT,
        compression=None,
        proxy=None,
        close_timeout=0.2,
        **options,  # type: ignore[arg-type]
    ) as connection:
        assert isinstance(connection, FrameConnection)
        yield connection


async def read(connection: FrameConnection, count: int) -> list[bytes | Cut]:
    come: list[bytes | Cut] = []
    async with asyncio.timeout(5):
        while len(come) < count:
            come += await connection.messages()
    return come


def expected(payload: bytes) -> bytes | Cut:
    return payload if len(payload) <= LIMIT else Cut(payload[:LIMIT], len(payload))


@given(
    st.lists(
        st.tuples(payloads, st.sampled_from(["whole", "parts", "ping", "binary"])), max_size=12
    ),
    st.lists(st.integers(1, 9_000), min_size=1, max_size=20),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_frames_come_out_whole_however_the_stream_is_chopped(
    told: list[tuple[bytes, str]], sizes: list[int], with_greeting: bool
) -> None:
    stream, wanted = bytearray(), []
    for payload, form in told:
        if form == "ping":
            stream += Frame(Opcode.PING, payload[:125]).serialize(mask=False)
            continue
        wanted.append(expected(payload))
        opcode = Opcode.BINARY if form == "binary" else Opcode.TEXT
        if form == "parts" and payload:
            third = len(payload) // 3 + 1
            parts = [payload[at : at + third] for at in range(0, len(payload), third)]
            for at, part in enumerate(parts):
                code = opcode if at == 0 else Opcode.CONT
                stream += Frame(code, part, fin=part is parts[-1]).serialize(mask=False)
                stream += Frame(Opcode.PING, b"between").serialize(mask=False)
        else:
            stream += Frame(opcode, payload).serialize(mask=False)
    asyncio.run(_chopped(bytes(stream), wanted, sizes, with_greeting))


async def _chopped(
    stream: bytes, wanted: list[bytes | Cut], sizes: list[int], with_greeting: bool
) -> None:
    done = asyncio.Event()

    async def venue(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            told = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
            accept = accept_key(told["Sec-WebSocket-Key"]).encode()
            greeting = GREETING + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            pieces = [greeting[at : at + 1] for at in range(len(greeting))]
            rest = stream
            if with_greeting:
                pieces, rest = [greeting + stream[: sizes[0]]], stream[sizes[0] :]
            for size in cycle(sizes):
                pieces.append(rest[:size])
                rest = rest[size:]
                if not rest:
                    break
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            await reader.read()
        finally:
            writer.close()
            done.set()

    server = await asyncio.start_server(venue, "127.0.0.1", 0)
    async with server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with opened(url) as connection:
            assert await read(connection, len(wanted)) == wanted
            connection.transport.abort()
        await done.wait()


async def test_reading_stops_while_nobody_takes_what_came() -> None:
    sent = 0

    async def flood(connection: ServerConnection, exchange: Exchange) -> None:
        nonlocal sent
        for number in range(100_000):
            await connection.send(f"{number:01000}")
            sent += 1

    async with (
        an_exchange(flood, write_limit=1024) as exchange,
        opened(exchange.url, max_queue=16) as connection,
    ):
        await asyncio.sleep(0.3)
        held = sent
        await asyncio.sleep(0.2)
        assert sent == held < 20_000
        come = await read(connection, 30_000)
    assert come == [f"{number:01000}".encode() for number in range(len(come))]


async def test_the_end_is_told_after_all_that_came_before_it() -> None:
    async def play(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send("last words")
        await connection.close(1001, "gone")

    async with an_exchange(play) as exchange, opened(exchange.url) as connection:
        await asyncio.sleep(0.1)
        assert await connection.messages() == [b"last words"]
        with pytest.raises(ConnectionClosed) as caught:
            await connection.messages()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.reason == "gone"


async def test_pings_are_answered_amid_a_flood() -> None:
    latencies: list[float] = []

    async def play(connection: ServerConnection, exchange: Exchange) -> None:
        for number in range(2_000):
            await connection.send("x" * 3_000)
            if number % 500 == 0:
                latencies.append(await (await connection.ping()))

    async with an_exchange(play) as exchange, opened(exchange.url) as connection:
        await read(connection, 2_000)
        assert len(latencies) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x81\x85\x00\x00\x00\x00hello",  # masked
        b"\xc1\x05hello",  # an extension that was not agreed on
        b"\x80\x05hello",  # a continuation of nothing
        b"\x01\x05hello\x81\x05hello",  # a message within a message
        b"\x83\x05hello",  # no such opcode
        b"\x89\x7e\x01\x00",  # a ping that is too long
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(wrong: bytes) -> None:
    async def play(connection: ServerConnection, exchange: Exchange) -> None:
        await connection.send("first")
        connection.transport.write(wrong + b"\x00" * 300)

    async with an_exchange(play) as exchange, opened(exchange.url) as connection:
        assert await read(connection, 1) == [b"first"]
        async with asyncio.timeout(3):
            with pytest.raises(ConnectionClosed):
                await connection.messages()
        assert connection.close_code == 1002 or connection.protocol.parser_exc is not None


async def test_fragments_without_end_are_counted_and_not_kept() -> None:
    async def play(connection: ServerConnection, exchange: Exchange) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(20_000):
                yield b"y" * 100

        await connection.send(parts())
        await connection.send("next")

    async with an_exchange(play) as exchange, opened(exchange.url) as connection:
        assert await read(connection, 2) == [Cut(b"y" * LIMIT, 2_000_000), b"next"]


async def test_a_message_without_end_is_not_kept_beyond_the_limit() -> None:
    async def play(connection: ServerConnection, exchange: Exchange) -> None:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(2_000):
                yield b"y" * 100
            await connection.wait_closed()

        with suppress(ConnectionClosed):
            await connection.send(parts())

    async with an_exchange(play) as exchange, opened(exchange.url) as connection:
        await eventually(lambda: connection._length == 200_000)
        assert sum(len(part) for part in connection._parts) <= LIMIT + 100
