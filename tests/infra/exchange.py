"""An exchange of the test's own: a WebSocket server that sends byte by byte what a test says."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

CONNECT_SECONDS = 30.0


class Exchange:
    """Serves on a free port for the block; every client hears the same."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._here: set[ServerConnection] = set()
        self._came = asyncio.Condition()

    @property
    def url(self) -> str:
        """Where it is."""
        assert self._server is not None
        port = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/feed"

    async def connected(self) -> None:
        """Until a client is there."""
        async with asyncio.timeout(CONNECT_SECONDS), self._came:
            await self._came.wait_for(lambda: self._here)

    async def send(self, *frames: bytes | str, text: bool | None = None) -> None:
        """Send frames: `str` as text, `bytes` as binary unless `text`."""
        await self.connected()
        for frame in frames:
            for connection in list(self._here):
                await connection.send(frame, text=text)

    async def send_parts(self, parts: Sequence[str]) -> None:
        """Send one message in fragments."""
        await self.connected()
        for connection in list(self._here):
            await connection.send(parts)

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=1
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        async with self._came:
            self._here.add(connection)
            self._came.notify_all()
        try:
            async for _ in connection:
                pass
        except ConnectionClosed:
            pass
        finally:
            self._here.discard(connection)
