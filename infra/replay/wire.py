"""The server's sockets: uvicorn's protocols with what a misbehaving exchange needs and ASGI does not have."""

import socket
import struct
from asyncio import Transport
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

EXTENSION = "replay.wire"
TEXT, BINARY, PING = 0x81, 0x82, 0x89


def encoded(payload: bytes, opcode: int = TEXT) -> bytes:
    """A payload as one unmasked WebSocket frame."""
    length = len(payload)
    if length < 126:
        return bytes((opcode, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", opcode, 126, length) + payload
    return struct.pack("!BBQ", opcode, 127, length) + payload


class WireSocket(WebSocketsSansIOProtocol):
    """A WebSocket that also writes prepared frames by the batch, pings with a payload, goes dumb, and aborts."""

    silent = False
    on_pong: Callable[[bytes], None] | None = None

    def handle_connect(self, event: Request) -> None:
        """Hand the application this socket beside the ASGI scope."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions = cast("dict[str, Any]", self.scope["extensions"])
            extensions[EXTENSION] = self

    def handle_ping(self) -> None:
        """Answer a ping, unless silent."""
        if self.silent:
            self.conn.data_to_send()
        else:
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Tell whoever waits for pongs."""
        if self.on_pong is not None:
            self.on_pong(bytes(event.data))

    def write(self, frames: bytes) -> None:
        """Send whole encoded frames now; nothing once the closing handshake has begun."""
        if not (self.silent or self.close_sent or self.disconnected or self.transport.is_closing()):
            self.transport.write(frames)

    async def drained(self) -> None:
        """Wait until the peer has read enough for more."""
        await self.writable.wait()

    def abort(self) -> None:
        """Reset the connection."""
        _reset(self.transport)


class WireHttp(HttpToolsProtocol):
    """HTTP whose application may reset the connection instead of answering."""

    def on_message_begin(self) -> None:
        """Put the reset into the scope."""
        super().on_message_begin()
        scope = cast("dict[str, Any]", self.scope)
        scope["extensions"] = {EXTENSION: self}

    def abort(self) -> None:
        """Reset the connection."""
        _reset(self.transport)


def _reset(transport: Transport) -> None:
    """Close so that the peer sees a reset, not an orderly end."""
    peer = transport.get_extra_info("socket")
    if peer is not None and not transport.is_closing():
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
