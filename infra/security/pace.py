"""Answers that take equally long, whatever they found."""

import asyncio
from time import monotonic
from typing import Final

USUAL_SECONDS: Final = 0.4


class EvenPace:
    """Implements `domain.identity.door.Pace`: no answer comes before the usual time, which all of them fit in.

    It covers what equal work cannot: rows that are written for some addresses only, and older hashes that take longer.
    """

    def __init__(self, usual_seconds: float = USUAL_SECONDS) -> None:
        self._usual = usual_seconds

    def begin(self) -> float:
        """Now, on the clock that never jumps."""
        return monotonic()

    async def even_out(self, begun: float) -> None:
        """Wait until the usual time is over; what took longer goes on at once."""
        await asyncio.sleep(max(0.0, begun + self._usual - monotonic()))
