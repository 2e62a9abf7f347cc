"""What every context needs from outside."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The time, UTC-aware."""


class Ids(Protocol):
    """Where keys come from."""

    def new(self) -> UUID:
        """A fresh UUIDv7."""
