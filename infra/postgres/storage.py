"""What the database holds, told from its catalogue."""

from dataclasses import dataclass

import asyncpg

from domain.identity import Viewer
from domain.positions import time_of
from domain.storage import Storage, StoragePartition, StorageTable
from infra.postgres.database import Connection
from infra.postgres.partitions import Partition, partitions_of
from infra.postgres.tenancy import Tenancy

EXACT_BYTES = 1024 * 1024
"""Tables whose rows take no more than this are counted, others estimated."""

# Both estimates lag behind inserts, and each is lost now and then: the greater one is nearer the truth.
_RELATIONS = """
    select relation.oid::bigint as oid, relation.relname as name, inhparent::bigint as parent,
           pg_total_relation_size(relation.oid) as byte_count,
           pg_relation_size(relation.oid) as row_bytes,
           case relation.relkind when 'p' then 0
                else greatest(relation.reltuples, n_live_tup, 0) end::bigint as row_count
    from pg_class relation
    left join pg_inherits on inhrelid = relation.oid
    left join pg_stat_user_tables stat on stat.relid = relation.oid
    where relation.relnamespace = current_schema()::regnamespace and relation.relkind in ('r', 'p')
        and has_table_privilege(coalesce(inhparent, relation.oid), 'select')
    order by relation.relname
"""
_SERVER = """
    select current_setting('server_version') as version,
           pg_database_size(current_database()) as byte_count
"""


@dataclass(slots=True)
class _Relation:
    oid: int
    name: str
    parent: int | None
    byte_count: int
    row_bytes: int
    row_count: int


class PostgresStorage:
    """Looks at the database as it is now (`domain.storage.StorageInspector`)."""

    def __init__(self, databases: Tenancy, *, embedded: bool, bus: str) -> None:
        self._databases = databases
        self._embedded = embedded
        self._bus = bus

    async def storage(self, viewer: Viewer) -> Storage:
        """Sizes of the tables that viewers read at all; their rows, where there are few counted as the viewer sees them."""
        async with self._databases.seen_by(viewer).acquire() as connection:
            server = await connection.fetchrow(_SERVER)
            relations = [_Relation(*record) for record in await connection.fetch(_RELATIONS)]
            bounds = await partitions_of(connection)
            await _count_small(connection, relations, bounds)
        if server is None:
            raise RuntimeError("the server did not tell its version")
        named = {relation.name: relation for relation in relations}
        return Storage(
            server_version=server["version"],
            embedded=self._embedded,
            byte_count=server["byte_count"],
            tables=_tables(relations),
            partitions=[
                StoragePartition(
                    name=bound.name,
                    since=time_of(bound.first_id),
                    until=time_of(bound.end_id),
                    row_count=named[bound.name].row_count,
                    byte_count=named[bound.name].byte_count,
                )
                for bound in bounds
                if bound.name in named
            ],
            bus=self._bus,
        )


def _tables(relations: list[_Relation]) -> list[StorageTable]:
    """Every table, each with its partitions' rows and bytes."""
    rows: dict[int, int] = {}
    size: dict[int, int] = {}
    for relation in relations:
        owner = relation.oid if relation.parent is None else relation.parent
        rows[owner] = rows.get(owner, 0) + relation.row_count
        size[owner] = size.get(owner, 0) + relation.byte_count
    return [
        StorageTable(relation.name, rows[relation.oid], size[relation.oid])
        for relation in relations
        if relation.parent is None
    ]


async def _count_small(
    connection: Connection, relations: list[_Relation], bounds: list[Partition]
) -> None:
    """Count what is small. Partitions are read as parts of their table, whose policies are not theirs."""
    small = [relation for relation in relations if relation.row_bytes <= EXACT_BYTES]
    partitioned = {relation.parent for relation in relations}
    within = {
        bound.name: f"messages where id between {bound.first_id} and {bound.end_id - 1}"
        for bound in bounds
    }
    counts = " union all ".join(
        f"select {relation.oid}::bigint, count(*) from "  # noqa: S608
        + within.get(relation.name, f'"{relation.name}"')
        for relation in small
        if relation.oid not in partitioned
    )
    if not counts:
        return
    try:
        found = {record[0]: record[1] for record in await connection.fetch(counts)}
    except asyncpg.UndefinedTableError:
        return  # a partition was dropped just now; the estimates will do
    for relation in small:
        relation.row_count = found.get(relation.oid, 0)
