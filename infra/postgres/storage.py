"""What the database holds, told from its catalogue."""

from dataclasses import dataclass

import asyncpg

from domain.positions import time_of
from domain.storage import Storage, StoragePartition, StorageTable
from infra.postgres.database import Connection, Database
from infra.postgres.partitions import partitions_of

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

    def __init__(self, database: Database, *, embedded: bool, bus: str) -> None:
        self._database = database
        self._embedded = embedded
        self._bus = bus

    async def storage(self) -> Storage:
        """Sizes and rows, small tables counted; cheap on any size."""
        async with self._database.acquire() as connection:
            server = await connection.fetchrow(_SERVER)
            relations = [_Relation(*record) for record in await connection.fetch(_RELATIONS)]
            bounds = await partitions_of(connection)
            await _count_small(connection, relations)
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


async def _count_small(connection: Connection, relations: list[_Relation]) -> None:
    small = [relation for relation in relations if relation.row_bytes <= EXACT_BYTES]
    partitioned = {relation.parent for relation in relations}
    counts = " union all ".join(
        f'select {relation.oid}::bigint, count(*) from only "{relation.name}"'  # noqa: S608
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
