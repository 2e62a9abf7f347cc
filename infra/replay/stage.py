"""What all of a replayer's connections share: options, faults, the clock, who is connected, what was asked."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from infra.replay.faults import Faults
from infra.replay.options import ReplayOptions

REQUESTS_KEPT = 10_000


@dataclass(slots=True)
class LoggedRequest:
    """A REST request or WebSocket handshake as it arrived; `status` is what it was answered (101: opened).

    `said` holds the text messages of a WebSocket client, the last 1000.
    """

    at_ns: int
    venue: str
    method: str
    path: str
    query: Mapping[str, str]
    raw_query: str
    headers: Mapping[str, str]
    body: bytes = b""
    status: int | None = None
    said: deque[str] = field(default_factory=lambda: deque(maxlen=1000))


class Connected(Protocol):
    """An open WebSocket connection."""

    venue: ClassVar[str]

    async def hang_up(self, abrupt: bool, code: int = 1012) -> None:
        """End it, with a closing handshake or without."""


@dataclass(slots=True)
class Stage:
    """One replayer's state."""

    options: ReplayOptions
    faults: Faults
    clock: Callable[[], int] = time.time_ns
    sessions: set[Connected] = field(default_factory=set)
    requests: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=REQUESTS_KEPT))
    opened: Counter[str] = field(default_factory=Counter)
    frames_sent: Counter[str] = field(default_factory=Counter)

    def connections(self, venue: str | None = None) -> int:
        """Open WebSocket connections, of one venue or all."""
        return sum(venue in (None, session.venue) for session in self.sessions)

    async def disconnect(self, venue: str | None = None, abrupt: bool = False) -> int:
        """End the open WebSocket connections of one venue or all; how many there were."""
        ended = [session for session in self.sessions if venue in (None, session.venue)]
        for session in ended:
            await session.hang_up(abrupt)
        return len(ended)
