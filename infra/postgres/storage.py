"""What the database holds of a viewer's, and nothing that follows from what it holds of others'."""

from collections.abc import Sequence
from typing import Any

from domain.identity import Viewer
from domain.positions import time_of
from domain.storage import Storage, StoragePartition, StorageTable
from infra.postgres.database import Connection
from infra.postgres.partitions import Partition, partitions_of
from infra.postgres.tenancy import Tenancy

SAMPLE_ROWS = 200
"""How many rows tell how long a row is."""

COUNTED = 10_000
"""Messages of a partition are counted up to here, beyond it added up from their batches."""

_READABLE = """
    select relname, exists (
        select from pg_attribute where attrelid = pg_class.oid and attname = 'workspace_id'
    ) from pg_class
    where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
        and not relispartition and relrowsecurity and has_table_privilege(oid, 'select')
    order by relname
"""
_SIZE = """
    select coalesce(avg(pg_column_size(sample)), 0)::float8
    from (select * from {rows} limit {limit}) sample
"""
_ROWS = "select count(*), ({size}) from {rows}"
_MESSAGES = """
    select (select count(*) from (select from {rows} limit {counted}) few),
        (select coalesce(sum(message_count), 0)::bigint from message_batches where {bounds}), ({size})
"""


class PostgresStorage:
    """Looks at the database as it is now (`domain.storage.StorageInspector`).

    Sizes on disk would tell everybody how much others keep: rows are counted, and measured, as the viewer sees them.
    """

    def __init__(self, databases: Tenancy, *, embedded: bool, bus: str) -> None:
        self._databases = databases
        self._embedded = embedded
        self._bus = bus

    async def storage(self, viewer: Viewer) -> Storage:
        """The tables whose rows are somebody's, and the partitions, with what is the viewer's in them."""
        async with self._databases.seen_by(viewer).snapshot() as connection:
            version = await connection.fetchval("select current_setting('server_version')")
            partitions = [
                await _partition(connection, viewer, bound)
                for bound in await partitions_of(connection)
            ]
            tables = [
                _whole(name, partitions)
                if name == "messages"
                else await _table(connection, viewer, name, of_workspace)
                for name, of_workspace in await connection.fetch(_READABLE)
            ]
        return Storage(
            server_version=version,
            embedded=self._embedded,
            byte_count=sum(table.byte_count for table in tables),
            tables=tables,
            partitions=partitions,
            bus=self._bus,
        )


def _whole(name: str, partitions: Sequence[StoragePartition]) -> StorageTable:
    rows = sum(partition.row_count for partition in partitions)
    return StorageTable(name, rows, sum(partition.byte_count for partition in partitions))


async def _table(
    connection: Connection, viewer: Viewer, name: str, of_workspace: bool
) -> StorageTable:
    condition = "workspace_id = $1" if of_workspace else "$1::uuid is not null"
    rows = f'"{name}" where {condition}'
    count, length = await _one(connection, viewer, _ROWS.format(size=_size(rows), rows=rows))
    return StorageTable(name, count, round(count * length))


async def _partition(connection: Connection, viewer: Viewer, bound: Partition) -> StoragePartition:
    """Read as a part of its table, whose policies are not its own."""
    bounds = f"workspace_id = $1 and id between {bound.first_id} and {bound.end_id - 1}"
    rows = f"messages where {bounds}"
    query = _MESSAGES.format(rows=rows, bounds=bounds, counted=COUNTED, size=_size(rows))
    counted, batched, length = await _one(connection, viewer, query)
    count = counted if counted < COUNTED else max(counted, batched)
    return StoragePartition(
        name=bound.name,
        since=time_of(bound.first_id),
        until=time_of(bound.end_id),
        row_count=count,
        byte_count=round(count * length),
    )


def _size(rows: str) -> str:
    """SQL for how many bytes one of the rows takes, about."""
    return _SIZE.format(rows=rows, limit=SAMPLE_ROWS)


async def _one(connection: Connection, viewer: Viewer, query: str) -> Any:
    return await connection.fetchrow(query, viewer.workspace_id)
