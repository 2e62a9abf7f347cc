"""Runs the web application on a listening socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

DRAIN_SECONDS = 5.0
PING_SECONDS = 20.0


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own affair."""
        yield


class _Socket(WebSocketsSansIOProtocol):
    def keepalive_timeout(self) -> None:
        """Drop a client that answers no ping at once: closing waits until it has read what waits for it."""
        super().keepalive_timeout()
        self.transport.abort()


@asynccontextmanager
async def serving(
    application: ASGIApp, listener: socket.socket, ping_seconds: float = PING_SECONDS
) -> AsyncIterator[None]:
    """Serve `application` for the block; at its end requests under way get a few seconds to finish.

    Frames are not compressed: an event is encoded once for all subscribers, and compressing it for each of
    them would cost more than all else together.
    """
    config = Config(
        application,
        loop="none",
        http="httptools",
        ws=_Socket,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        access_log=False,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=int(DRAIN_SECONDS),
        server_header=False,
        date_header=False,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="web server")
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        done, _ = await asyncio.wait({task}, timeout=DRAIN_SECONDS + 1)
        if not done:
            task.cancel()
