"""What every context needs from outside."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """The time, UTC-aware."""


class Ids(Protocol):
    """Where keys come from."""

    def new(self) -> UUID:
        """A fresh UUIDv7."""


class Database(Protocol):
    """Where sessions come from."""

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that must not write."""

    def write(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that commits when its block ends well and rolls back when it raises."""


class Vault(Protocol):
    """Authenticated encryption at rest, with a ring of keys."""

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """Encrypt with the newest key; `associated` must be given again to open."""

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Decrypt with whichever key sealed it; raises ValueError when none did."""
