"""How often one process asks one host: a budget that all of its connectors share."""

import asyncio
import time
from weakref import WeakValueDictionary

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from infra.feeds.faults import SourceFailed

REQUESTS_PER_SECOND = 20
WINDOW_SECONDS = 1.0
SHORTEST_WAIT_SECONDS = 0.005
HOSTS_KEPT = 10_000


class RateBudget:
    """At most so many requests a second to one host, and none while the host asked to be left alone."""

    def __init__(self, requests_per_second: int = REQUESTS_PER_SECOND) -> None:
        self._limit = RateLimitItemPerSecond(requests_per_second)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._paused_until: dict[str, float] = {}
        self._lines: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def acquire(self, host: str) -> None:
        """Wait in line for the host's next free place; raises SourceFailed while it wants to be left alone."""
        line = self._lines.get(host)
        if line is None:
            line = self._lines[host] = asyncio.Lock()
        async with line:  # first come, first served: an eager connector does not starve the others
            while True:
                self._check_pause(host)
                if await self._limiter.hit(self._limit, host):
                    return
                window = await self._limiter.get_window_stats(self._limit, host)
                wait = window.reset_time - time.time()
                if (
                    wait > WINDOW_SECONDS
                ):  # the clock was set back: what is counted lies ahead of it
                    await self._limiter.clear(self._limit, host)
                await asyncio.sleep(min(max(wait, SHORTEST_WAIT_SECONDS), WINDOW_SECONDS))

    def pause(self, host: str, seconds: float) -> None:
        """Leave a host alone for a while; a longer pause under way stays."""
        if len(self._paused_until) >= HOSTS_KEPT:
            now = time.monotonic()
            self._paused_until = {
                name: until for name, until in self._paused_until.items() if until > now
            }
        until = time.monotonic() + seconds
        self._paused_until[host] = max(until, self._paused_until.get(host, 0.0))

    def _check_pause(self, host: str) -> None:
        left = self.pause_seconds(host)
        if left > 0:
            raise SourceFailed(
                f"{host} asked to be left alone for {left:.0f} s more",
                lasting=False,
                wait_seconds=left,
            )

    def pause_seconds(self, host: str) -> float:
        """How long the host is still to be left alone."""
        return max(self._paused_until.get(host, 0.0) - time.monotonic(), 0.0)
