"""A WebSocket connection that survives frames of any size: past the limit they are cut while they arrive."""

from collections import deque
from collections.abc import Generator
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Frame
from websockets.streams import StreamReader

_LARGEST_HEADER = 125  # headers and control frames are never cut


class _CuttingReader(StreamReader):
    """Reads as much of a frame as the message has room for and throws the rest away without keeping it."""

    def __init__(self, protocol: "_CuttingProtocol") -> None:
        super().__init__()
        self._protocol = protocol
        self.cut = 0

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        room = self._protocol.room if n > _LARGEST_HEADER else n
        if n <= room:
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
    """Keeps `limit` + 1 bytes of a message at most, so that whoever reads it sees that it was too large."""

    def __init__(self, limit: int, **options: Any) -> None:
        self._limit = limit
        self._length = 0
        self.sizes: deque[int] = deque()
        super().__init__(max_size=None, **options)

    @property
    def room(self) -> int:
        """How many bytes of the message under way are still kept."""
        return max(self._limit + 1 - self._length, 0)

    def parse(self) -> Generator[None]:
        self.reader: _CuttingReader = _CuttingReader(self)
        yield from super().parse()

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        if frame.opcode in DATA_OPCODES:
            self._length += len(frame.data)
            if frame.fin:
                if self._length > self._limit:
                    self.sizes.append(self._length + self.reader.cut)
                self._length = self.reader.cut = 0


class CuttingConnection(ClientConnection):
    """A client connection whose `max_size` cuts messages instead of closing the connection.

    A message longer than `max_size` is `max_size` + 1 bytes of the true one; `true_size` then tells its length.
    """

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        limit = protocol.max_message_size
        if limit is None:
            raise ValueError("a cutting connection needs max_size")
        self._cutting = _CuttingProtocol(
            limit,
            uri=protocol.uri,
            extensions=protocol.available_extensions,
            subprotocols=protocol.available_subprotocols,
            origin=protocol.origin,
            logger=protocol.logger,
        )
        super().__init__(self._cutting, **options)

    def true_size(self) -> int:
        """The true length in bytes of the oldest message that was cut and not asked about yet."""
        return self._cutting.sizes.popleft()
