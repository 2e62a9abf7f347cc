from datetime import timedelta

import pytest

from domain.positions import first_id_at
from infra.postgres import storage as storages
from infra.postgres import tables
from infra.postgres.database import Database
from infra.postgres.migrations.security import grants
from infra.postgres.partitions import Partitions
from infra.postgres.roles import API
from infra.postgres.storage import PostgresStorage
from infra.postgres.tenancy import Tenancy
from tests import factories
from tests.factories import NOW
from tests.tenants import HOME, a_tenant


async def test_storage_names_tables_and_every_partition_with_rows_and_bytes(
    database: Database, databases: Tenancy
) -> None:
    await factories.store(database, factories.messages(5))
    await factories.store(database, factories.messages(2, start=NOW + timedelta(days=400)))
    await factories.save(database, factories.connector())
    storage = await PostgresStorage(databases, embedded=True, bus="memory").storage(HOME)
    assert (storage.embedded, storage.bus) == (True, "memory")
    assert storage.server_version.split(".")[0].isdigit()
    found = {table.name: table for table in storage.tables}
    assert set(grants.GRANTS[API]) >= set(found) >= {"messages", "connectors", "secrets"}
    assert not any(name.startswith(tables.PARTITION_PREFIX) for name in found)
    assert (found["messages"].row_count, found["connectors"].row_count) == (7, 1)
    assert 0 < found["messages"].byte_count < storage.byte_count
    assert sum(partition.row_count for partition in storage.partitions) == 7
    last = storage.partitions[-1]
    assert last.row_count == 2
    assert last.since <= NOW + timedelta(days=400) < last.until


async def test_partitions_are_told_oldest_first_without_holes_in_their_days(
    database: Database, databases: Tenancy
) -> None:
    start = NOW + timedelta(days=800)
    await Partitions(24).ensure_for(
        database.pool, first_id_at(start), first_id_at(start + timedelta(days=2))
    )
    storage = await PostgresStorage(databases, embedded=False, bus="redis").storage(HOME)
    days = [partition for partition in storage.partitions if partition.until > start]
    assert [day.until - day.since for day in days] == [timedelta(days=1)] * 3
    assert [day.since for day in days[1:]] == [day.until for day in days[:-1]]


async def test_what_others_keep_changes_nothing_that_a_viewer_is_told(
    database: Database, databases: Tenancy
) -> None:
    inspector = PostgresStorage(databases, embedded=True, bus="memory")
    await factories.store(database, factories.messages(2))
    before = await inspector.storage(HOME)
    other = (await a_tenant(database)).workspace_id
    theirs = factories.connector(workspace_id=other)
    await factories.save(database, theirs, factories.group(other))
    await factories.store(
        database,
        [
            factories.message(
                id=factories.message_id(sequence=number, node=3),
                workspace_id=other,
                connector_id=theirs.id,
                data='{"long": "a word"}',
            )
            for number in range(2000)
        ],
    )
    await database.pool.execute("analyze")
    assert await inspector.storage(HOME) == before


async def test_many_messages_are_added_up_from_their_batches(
    database: Database, databases: Tenancy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storages, "COUNTED", 3)
    stored = factories.messages(5)
    await factories.store(database, stored)
    await database.pool.execute(
        "insert into message_batches (id, workspace_id, connector_id, last_id, message_count,"
        " byte_count, first_received_at, last_received_at, duration_ms)"
        " values ($1, $2, $3, $1, 700, 1, now(), now(), 1)",
        stored[0].id,
        stored[0].workspace_id,
        stored[0].connector_id,
    )
    found = await PostgresStorage(databases, embedded=True, bus="memory").storage(HOME)
    assert {table.name: table.row_count for table in found.tables}["messages"] == 700
