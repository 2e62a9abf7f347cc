"""Who sends documents that cannot be executed: finding that out takes longer than most answers.

Counted in this process alone, so that it can be asked before anything else is done.
"""

import math
import time
from typing import Final

WINDOW_SECONDS: Final = 60.0
REMEMBERED: Final = 10_000


class Waits:
    """Who was told to wait, and for how long."""

    def __init__(self) -> None:
        self._ends: dict[str, float] = {}

    def tell(self, who: str, seconds: int) -> None:
        """They have to wait so many seconds."""
        self._ends.pop(who, None)
        self._ends[who] = time.monotonic() + seconds
        if len(self._ends) > REMEMBERED:
            del self._ends[next(iter(self._ends))]  # who was told the longest ago

    def left(self, who: str) -> int:
        """For how many seconds they still have to wait; 0 when they have not."""
        return max(math.ceil(self._ends.get(who, 0.0) - time.monotonic()), 0)


class Strikes:
    """Counts strikes in windows of a minute; who has `most` is out until theirs ends."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: dict[str, tuple[int, float]] = {}

    def add(self, who: str) -> None:
        """Count one."""
        now = time.monotonic()
        count, ends = self._counts.pop(who, (0, 0.0))
        if ends <= now:
            count, ends = 0, now + WINDOW_SECONDS
        self._counts[who] = (count + 1, ends)
        if len(self._counts) > REMEMBERED:
            del self._counts[next(iter(self._counts))]  # whose last is the longest ago

    def out_for(self, who: str) -> int:
        """For how many seconds they are out; 0 when they are not."""
        count, ends = self._counts.get(who, (0, 0.0))
        return max(math.ceil(ends - time.monotonic()), 0) if count >= self.most else 0
