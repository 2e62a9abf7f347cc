"""An exchange that sends Binance trades over a WebSocket, as many as it is asked for and as fast as they are read."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from websockets.asyncio.server import Server, ServerConnection, serve

CHUNK = 200
HIGH_WATER = 4 << 20


def trade(number: int, milliseconds: int) -> bytes:
    """A trade as Binance sends it, in a WebSocket frame."""
    text = (
        f'{{"e":"trade","E":{milliseconds},"s":"BTCUSDT","t":{number},"p":"68900.{number % 100:02}000000",'
        f'"q":"0.0{number % 1000:03}0000","T":{milliseconds},"m":true,"M":true}}'
    ).encode()
    return struct.pack("!BBH", 0x81, 126, len(text)) + text


class Source:
    """Sends to whoever connects."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.sent_at: dict[int, float] = {}
        self.number = 0
        self.server: Server
        self._socket: ServerConnection

    @property
    def url(self) -> str:
        """Where a connector reads."""
        return f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/ws/btcusdt@trade"

    async def flood(self, count: int) -> None:
        """Send so many, limited by the reader alone."""
        transport = cast("asyncio.WriteTransport", self._socket.transport)
        for _ in range(count // CHUNK):
            now = int(time.time() * 1000)
            transport.write(b"".join(trade(self._next(), now) for _ in range(CHUNK)))
            while transport.get_write_buffer_size() > HIGH_WATER:
                await asyncio.sleep(0.001)

    async def pace(self, rate: int, seconds: float) -> None:
        """Send so many a second, each alone, and remember when."""
        transport = cast("asyncio.WriteTransport", self._socket.transport)
        began = time.perf_counter()
        for index in range(int(rate * seconds)):
            wait = began + index / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            number = self._next()
            self.sent_at[number] = time.perf_counter()
            transport.write(trade(number, int(time.time() * 1000)))

    async def handle(self, socket: ServerConnection) -> None:
        """Keep a connector's socket open."""
        self._socket = socket
        self.connected.set()
        await socket.wait_closed()

    def _next(self) -> int:
        self.number += 1
        return self.number


@asynccontextmanager
async def source() -> AsyncIterator[Source]:
    """A source for the block."""
    one = Source()
    async with serve(one.handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        one.server = server
        yield one
