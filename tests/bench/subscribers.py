"""Many WebSocket subscribers in one process, reading as cheaply as Python can, so that the server is the limit."""

import asyncio
import base64
import os
import struct
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import orjson
import uvloop

PUBLISHED_AT = b'"publishedAt":"'
TIME_LENGTH = 27
TEXT, PING = 1, 9
NO_MASK = b"\0\0\0\0"  # a mask of zeros is a mask


def _masked(text: bytes) -> bytes:
    size = len(text)
    head = bytes([0x81, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + NO_MASK + text


class Subscriber(asyncio.Protocol):
    """One client: handshake, init, subscribe, then counts events and how old they are."""

    def __init__(self, path: str, subscribe: bytes, seen: Callable[[bytes], None]) -> None:
        self.path = path
        self.subscribe = subscribe
        self.seen = seen
        self.buffer = bytearray()
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(  # type: ignore[attr-defined]
            f"GET {self.path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer
        buffer += data
        if not self.open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            assert buffer.startswith(b"HTTP/1.1 101"), bytes(buffer)
            del buffer[: end + 4]
            self.open = True
            self.transport.write(_masked(b'{"type":"connection_init"}'))  # type: ignore[attr-defined]
            self.transport.write(_masked(self.subscribe))  # type: ignore[attr-defined]
        at, size = 0, len(buffer)
        while size - at >= 2:
            length, start = buffer[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(buffer[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 10
            if size < start + length:
                break
            kind = buffer[at] & 0x0F
            if kind == TEXT:
                self.seen(bytes(buffer[start : start + length]))
            elif kind == PING:  # a pong is due, or the server hangs up
                pong = bytes([0x8A, 0x80 | length]) + NO_MASK + buffer[start : start + length]
                self.transport.write(pong)  # type: ignore[attr-defined]
            at = start + length
        del buffer[:at]


class Counter:
    """Counts events and ticks, and samples the delay from publication to arrival, in milliseconds."""

    def __init__(self) -> None:
        self.events = 0
        self.ticks = 0
        self.delays: list[float] = []
        self.first: bytes | None = None

    def seen(self, frame: bytes) -> None:
        """Take one text frame."""
        at = frame.find(PUBLISHED_AT)
        if at < 0 or b'"messages":[]' in frame:
            return
        self.events += 1
        self.ticks += frame.count(b'"price"')
        if self.events % 16 == 0:
            text = frame[at + len(PUBLISHED_AT) : at + len(PUBLISHED_AT) + TIME_LENGTH]
            self.delays.append(time.time() * 1000 - _unix_ms(text))
        self.first = self.first or frame


def _unix_ms(text: bytes) -> float:
    """Milliseconds of today's RFC 3339 time; the date is left to the caller's clock."""
    seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + float(text[17:26])
    midnight = time.time() // 86400 * 86400
    return (midnight + seconds) * 1000


def main(port: int, path: str, query: str, count: int, pipe: Connection) -> None:
    """Connect `count` subscribers; each word from the pipe ends a measured span and is answered with it."""
    uvloop.run(_run(port, path, query, count, pipe))


async def _run(port: int, path: str, query: str, count: int, pipe: Connection) -> None:
    counter = Counter()
    message = orjson.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}})
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_connection(
            lambda: Subscriber(path, message, lambda frame: counter.seen(frame)), "127.0.0.1", port
        )
    pipe.send("connected")
    while (await loop.run_in_executor(None, pipe.recv)) != "stop":
        pipe.send((counter.events, counter.ticks, counter.delays, counter.first))
        counter = Counter()
