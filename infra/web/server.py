"""Runs the web application on a listening socket."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

DRAIN_SECONDS = 5.0
PING_SECONDS = 20.0
HEAD_SECONDS = 10.0
HEAD_BYTES = 64 * 1024
UNREAD_SECONDS = 60.0
MESSAGE_BYTES = 16 * 1024 * 1024


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own affair."""
        yield


class _Http(HttpToolsProtocol):
    """Takes no head that is long or long in coming, and keeps no answer for those who do not read.

    The server below gives a client all the time and memory there is until its head is complete.
    """

    _head = 0
    _in_head = True
    _head_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_watching()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            self._wait_for_head()
        super().data_received(data)
        if self._in_head and self._head > HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._stop_watching()
        self._watch_reading()

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _watch_reading(self, unread: int = -1) -> None:
        left = self.transport.get_write_buffer_size()
        if left == unread:
            self.transport.abort()
        elif left:
            self._unread_timer = self.loop.call_later(UNREAD_SECONDS, self._watch_reading, left)

    def _stop_watching(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None


class _Socket(WebSocketsSansIOProtocol):
    def keepalive_timeout(self) -> None:
        """Drop a client that answers no ping at once: closing waits until it has read what waits for it."""
        super().keepalive_timeout()
        self.transport.abort()


@asynccontextmanager
async def serving(
    application: ASGIApp,
    listener: socket.socket,
    ping_seconds: float = PING_SECONDS,
    message_bytes: int = MESSAGE_BYTES,
) -> AsyncIterator[None]:
    """Serve `application` for the block; at its end requests under way get a few seconds to finish.

    A message on a WebSocket has at most `message_bytes`.
    Frames are not compressed: an event is encoded once for all subscribers, and compressing it for each of
    them would cost more than all else together.
    """
    config = Config(
        application,
        loop="none",
        http=_Http,
        ws=_Socket,
        ws_max_size=message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=ping_seconds,
        ws_ping_timeout=ping_seconds,
        access_log=False,
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=int(DRAIN_SECONDS),
        proxy_headers=False,  # which it would believe of every client on this machine; see `Proxies`
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
