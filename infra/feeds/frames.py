"""A WebSocket connection made for reading much: whole frames go straight to the reader, several at a time.

Everything else (handshake, control frames, fragments, closing) is the library's own work, fed frame by frame.
Messages past the size limit are cut while they arrive and do not end the connection.
"""

import asyncio
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import CONNECTING, OPEN, Event
from websockets.streams import StreamReader

_WHOLE = (0x81, 0x82)  # an unfragmented text or binary frame without extensions
_LARGEST_SMALL = 125  # headers and control frames are never cut
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Cut:
    """A message larger than the limit: as much of it as was kept, and its true size in bytes."""

    kept: bytes
    size: int


class _CuttingReader(StreamReader):
    """Reads as much of a frame as its message has room for; the rest is counted and thrown away as it comes."""

    def __init__(self, protocol: "_CuttingProtocol") -> None:
        super().__init__()
        self._protocol = protocol
        self.cut = 0

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        room = self._protocol.room
        if n <= _LARGEST_SMALL or n <= room:
            return (yield from super().read_exact(n))
        kept = yield from super().read_exact(room)
        missing = n - room
        while missing:
            step = min(missing, len(self.buffer))
            if step:
                del self.buffer[:step]
                missing -= step
            elif self.eof:
                raise EOFError(f"stream ends {missing} bytes before the end of a frame")
            else:
                yield
        self.cut += n - room
        return kept


class _CuttingProtocol(ClientProtocol):
    """Keeps `limit` bytes of a message at most."""

    def __init__(self, limit: int, **options: Any) -> None:
        self.limit = self.room = limit
        super().__init__(max_size=None, **options)

    def parse(self) -> Generator[None]:
        self.reader: _CuttingReader = _CuttingReader(self)
        yield from super().parse()

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        if frame.opcode in DATA_OPCODES:
            self.room = self.limit if frame.fin else max(self.room - len(frame.data), 0)


class FrameConnection(ClientConnection):
    """A client connection that is read with `messages`; `recv` of the library is not served.

    When more than `max_queue` messages wait to be read, the transport stops reading until they are. `max_size`
    cuts messages instead of closing the connection.
    """

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        limit = protocol.max_message_size
        if limit is None:
            raise ValueError("max_size is needed")
        self._cutting = _CuttingProtocol(
            limit,
            uri=protocol.uri,
            subprotocols=protocol.available_subprotocols,
            origin=protocol.origin,
            logger=protocol.logger,
        )
        super().__init__(self._cutting, **options)
        self._limit = limit
        self._ready: deque[bytes | Cut] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._standing = False
        self._rest = b""  # the beginning of a frame, or of the handshake's end
        self._owed = 0  # bytes still to come of a frame that the library reads
        self._parts: list[bytes] = []
        self._length = 0

    async def messages(self) -> list[bytes | Cut]:
        """All messages that have come, at least one; raises ConnectionClosed when there will be none."""
        while not self._ready:
            if self.connection_lost_waiter.done():
                raise self.close_exc
            self._reader = self.loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        come = list(self._ready)
        self._ready.clear()
        if self._standing:
            self._standing = False
            self.transport.resume_reading()
        return come

    def data_received(self, data: bytes) -> None:
        """Split what came into frames (asyncio's callback)."""
        if self.protocol.state is CONNECTING:
            data = self._shake_hands(data)
        elif self._owed:
            data = self._pay(data)
        if data:
            self._split(self._rest + data if self._rest else data)
        self._hand_over()

    def process_event(self, event: Event) -> None:
        """Take what the library read (websockets' callback): whole messages are put together from their parts."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            super().process_event(event)
            return
        if event.data and self._length <= self._limit:
            self._parts.append(bytes(event.data))
        self._length += len(event.data) + self._cutting.reader.cut
        self._cutting.reader.cut = 0
        if event.fin:
            kept, size = b"".join(self._parts), self._length
            self._parts, self._length = [], 0
            self._ready.append(kept if size <= self._limit else Cut(kept[: self._limit], size))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the reader to tell it (asyncio's callback)."""
        super().connection_lost(exc)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _shake_hands(self, data: bytes) -> bytes:
        """Feed the response's head; returns what came after it."""
        seen = self._rest + data
        end = seen.find(_HEAD_END)
        self._rest = b""
        if end < 0:
            self._rest = seen[-len(_HEAD_END) + 1 :]
            super().data_received(data)
            return b""
        head = end + len(_HEAD_END) - (len(seen) - len(data))
        super().data_received(data[:head])
        return data[head:]

    def _pay(self, data: bytes) -> bytes:
        """Feed the rest of a frame that the library reads; returns what comes after it."""
        paid = min(self._owed, len(data))
        self._owed -= paid
        super().data_received(data[:paid])
        return data[paid:]

    def _split(self, data: bytes) -> None:
        self._rest = b""
        at, size, ready = 0, len(data), self._ready
        while size - at >= 2:
            if self._cutting.state is not OPEN:
                super().data_received(data[at:])
                return
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8 if length == 127 else 0
                if start > size:
                    break
                length = int.from_bytes(data[at + 2 : start], "big") if start > at + 2 else 0
            end = start + length
            if (
                data[at] in _WHOLE
                and end - at <= 0xFFFF
                and length <= self._limit
                and data[at + 1] < 128
                and self._cutting.current_size is None
            ):
                if end > size:
                    break
                ready.append(data[start:end])
            else:
                self._owed = max(end - size, 0)
                super().data_received(data[at:end])
            at = min(end, size)
        self._rest = data[at:]

    def _hand_over(self) -> None:
        if self._ready:
            if self._reader is not None and not self._reader.done():
                self._reader.set_result(None)
            high = self.max_queue_high
            if high is not None and len(self._ready) > high and not self._standing:
                self._standing = True
                self.transport.pause_reading()
