"""What the database holds, as clients see it."""

from datetime import datetime

import strawberry

from domain import storage
from resolvers import storage as resolvers
from schema.scalars import Long
from schema.views import field, plain, view


@view(storage.StorageTable, "A table, and what of the viewer's is in it.")
class StorageTable:
    name: str = plain("Its name.")
    row_count: Long = plain("How many rows the viewer sees.")
    byte_count: Long = plain("How many bytes these rows take, about; indexes are not counted.")


@view(storage.StoragePartition, "A partition of the messages, and what of the viewer's is in it.")
class StoragePartition:
    name: str = plain("Its name.")
    since: datetime = plain("It holds messages received at or after this time.")
    until: datetime = plain("It holds messages received before this time.")
    row_count: Long = plain("How many messages the viewer sees; where many, by their batches.")
    byte_count: Long = plain("How many bytes these messages take, about.")


@view(storage.Storage, "What the database holds of the viewer's, and what carries its news.")
class Storage:
    server_version: str = plain("The version of PostgreSQL.")
    embedded: bool = plain("Whether Penstock runs that server itself.")
    byte_count: Long = plain("How many bytes the rows of all tables take, about.")
    tables: list[StorageTable] = plain("The tables, by name.")
    partitions: list[StoragePartition] = plain("The partitions of the messages, oldest first.")
    bus: str = plain("What carries announcements between processes: `memory` or `redis`.")


@strawberry.type
class StorageQuery:
    storage: Storage = field(resolvers.storage, "What the database holds of the viewer's, now.")
