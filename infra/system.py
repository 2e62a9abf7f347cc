"""The real clock and the real randomness."""

import os
from datetime import UTC, datetime
from uuid import UUID

from domain.ids import uuid7


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time, UTC-aware."""
        return datetime.now(UTC)


class RandomIds:
    """UUIDv7 keys from the machine's clock and its cryptographic randomness, each greater than the one before."""

    def __init__(self) -> None:
        self._millisecond = datetime.min.replace(tzinfo=UTC)
        self._tail = 0

    def new(self) -> UUID:
        """A fresh UUIDv7; within a millisecond, or when the clock is set back, a random step past the last one."""
        now = datetime.now(UTC)
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        if now > self._millisecond:
            self._millisecond = now
            self._tail = (
                int.from_bytes(os.urandom(10)) >> 8
            )  # two bits of 74 stay free to count into
        else:
            self._tail += 1 + int.from_bytes(os.urandom(4))
        return uuid7(self._millisecond, self._tail.to_bytes(10))
