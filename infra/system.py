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
    """UUIDv7 keys from the machine's clock and its cryptographic randomness."""

    def new(self) -> UUID:
        """A fresh UUIDv7."""
        return uuid7(datetime.now(UTC), os.urandom(10))
