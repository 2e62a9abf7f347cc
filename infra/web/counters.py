"""Where requests are counted: in this process, or on a Redis that all processes share."""

import asyncio
import time
from typing import Final

from limits.aio.storage import RedisStorage, Storage
from loguru import logger
from redis.exceptions import RedisError

SWEEP_SECONDS: Final = 10.0
KEYS: Final = 200_000
REDIS_SECONDS: Final = 0.25
AWAY_SECONDS: Final = 5.0
PREFIX: Final = "penstock:limits"


class MemoryCounters(Storage):
    """Counters of fixed windows in this process, at most `keys` of them.

    The memory storage of `limits` itself walks all keys at every hit: a flood from many addresses would stop the loop.
    """

    STORAGE_SCHEME = None

    def __init__(self, keys: int = KEYS) -> None:
        super().__init__()
        self._keys = keys
        self._counts: dict[str, tuple[int, float]] = {}
        self._sweep_at = 0.0

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing fails here."""
        return ValueError

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, in a window that begins now unless one is open; gives the count."""
        now = time.time()
        count, ends = self._counts.get(key, (0, 0.0))
        if ends <= now:
            if len(self._counts) >= self._keys or now >= self._sweep_at:
                self._sweep(now)
            count, ends = 0, now + expiry
        self._counts[key] = (count + amount, ends)
        return count + amount

    async def get(self, key: str) -> int:
        """The count of the open window."""
        count, ends = self._counts.get(key, (0, 0.0))
        return count if ends > time.time() else 0

    async def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        return self._counts.get(key, (0, time.time()))[1]

    async def check(self) -> bool:
        """Always well."""
        return True

    async def reset(self) -> int:
        """Forget everything."""
        count = len(self._counts)
        self._counts.clear()
        return count

    async def clear(self, key: str) -> None:
        """Forget one key."""
        self._counts.pop(key, None)

    def _sweep(self, now: float) -> None:
        self._sweep_at = now + SWEEP_SECONDS
        self._counts = {key: held for key, held in self._counts.items() if held[1] > now}
        while len(self._counts) >= self._keys:  # those counted first are nearest their end
            for key in list(self._counts)[: self._keys // 10 + 1]:
                del self._counts[key]


class Counters:
    """Counts on Redis when a URL says so; in memory otherwise, and while that Redis is away.

    Counters of the same scope count together; deployments that share a Redis have one each.
    """

    def __init__(self, url: str = "memory://", scope: str = "") -> None:
        self.fallbacks = 0
        self._memory = MemoryCounters()
        self._shared: RedisStorage | None = None
        self._away_until = 0.0
        if not url.startswith("memory:"):
            self._shared = RedisStorage(
                url,
                implementation="redispy",
                key_prefix=PREFIX + scope,
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )

    @property
    def shared(self) -> bool:
        """Whether other processes count with this one, over a network."""
        return self._shared is not None

    @property
    def away(self) -> bool:
        """Whether a Redis is wanted and does not answer."""
        return self._shared is not None and time.monotonic() < self._away_until

    async def count(self, key: str, seconds: int, amount: int) -> tuple[int, float]:
        """Add to a key's window of so many seconds; gives its count, and when it ends (seconds since 1970)."""
        if self._shared is not None and not self.away:
            try:
                async with asyncio.timeout(REDIS_SECONDS * 2):
                    count = await self._shared.incr(key, seconds, amount)
                    return count, await self._shared.get_expiry(key)
            except (RedisError, OSError, TimeoutError) as error:
                if not self._away_until:
                    logger.warning("Requests are counted in memory: Redis is away ({!r})", error)
                self._away_until = time.monotonic() + AWAY_SECONDS
        if self._shared is not None:
            self.fallbacks += 1
        count = await self._memory.incr(key, seconds, amount)
        return count, await self._memory.get_expiry(key)

    async def close(self) -> None:
        """Leave the Redis."""
        if self._shared is not None:
            await self._shared.bridge.get_connection().aclose()  # type: ignore[attr-defined]
