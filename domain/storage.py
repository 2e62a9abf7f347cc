"""Storage: what the database holds and what carries its news."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.identity import Viewer


@dataclass(frozen=True, slots=True)
class StorageTable:
    """A table: how many rows in it are the viewer's, and how many bytes they take, about."""

    name: str
    row_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class StoragePartition:
    """The viewer's messages received from `since` (inclusive) to `until` (exclusive), one partition."""

    name: str
    since: datetime
    until: datetime
    row_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class Storage:
    """The server, its tables by name, the partitions oldest first, and the bus (`memory` or `redis`)."""

    server_version: str
    embedded: bool
    byte_count: int
    tables: list[StorageTable]
    partitions: list[StoragePartition]
    bus: str


class StorageInspector(Protocol):
    """Looks at the database as it is now."""

    async def storage(self, viewer: Viewer) -> Storage:
        """What is the viewer's; nothing in it may follow from what others keep."""
