import asyncio

import asyncpg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from infra.postgres import migrate, tables
from infra.postgres.database import Database, connector
from tests.factories import HOME_WORKSPACE_ID

TABLES = (
    "select count(*) from pg_tables where schemaname = 'public' and tablename <> 'alembic_version'"
)


async def fetchval(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_migrations_run_forward_back_and_forward_again(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    assert await fetchval(empty_database_url, TABLES) == len(tables.metadata.tables)
    await migrate.downgrade(empty_database_url, "base")
    assert await fetchval(empty_database_url, TABLES) == 0
    await migrate.upgrade(empty_database_url)
    assert await fetchval(empty_database_url, TABLES) == len(tables.metadata.tables)


async def test_the_first_workspace_goes_unless_something_is_in_it(empty_database_url: str) -> None:
    await migrate.upgrade(empty_database_url)
    assert await fetchval(empty_database_url, "select id from workspaces") is None
    await migrate.downgrade(empty_database_url, "0002")
    assert await fetchval(empty_database_url, "select id from workspaces") == HOME_WORKSPACE_ID
    await fetchval(
        empty_database_url,
        "insert into instruments values"
        f" ('{HOME_WORKSPACE_ID}', 'binance', 'BTC-USDT', 1, now(), 1) returning name",
    )
    await migrate.upgrade(empty_database_url)
    assert await fetchval(empty_database_url, "select id from workspaces") == HOME_WORKSPACE_ID


async def test_status_names_what_is_pending(empty_database_url: str) -> None:
    before = await migrate.status(empty_database_url)
    assert before.current is None
    assert before.pending
    assert before.pending[-1] == before.head
    await migrate.upgrade(empty_database_url)
    after = await migrate.status(empty_database_url)
    assert (after.current, after.pending) == (before.head, ())


async def test_processes_that_migrate_at_once_do_not_disturb_each_other(
    empty_database_url: str,
) -> None:
    await asyncio.gather(*(migrate.upgrade(empty_database_url) for _ in range(4)))
    assert (await migrate.status(empty_database_url)).pending == ()


async def test_autogenerate_finds_nothing_to_do(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"include_object": migrate.is_declared, "compare_type": True}
        )
        return list(compare_metadata(context, tables.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(compare) == []


CATALOGUE = """
select 'column', table_name, column_name, concat_ws(' ', data_type, character_maximum_length, is_nullable)
from information_schema.columns where table_schema = 'public' and table_name <> 'alembic_version'
union all
select 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace and conname not like 'alembic%'
  and contype not in ('n', 't')
union all
select 'index', tablename, indexname, indexdef
from pg_indexes where schemaname = 'public' and tablename <> 'alembic_version'
order by 1, 2, 3
"""


async def test_migrated_database_equals_what_the_tables_declare(
    database: Database, empty_database_url: str
) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=connector(empty_database_url)
    )
    async with engine.begin() as connection:
        await connection.run_sync(tables.metadata.create_all)
    await engine.dispose()
    declared = await asyncpg.connect(empty_database_url)
    try:
        expected = {tuple(row) for row in await declared.fetch(CATALOGUE)}
    finally:
        await declared.close()
    found = {tuple(row) for row in await database.pool.fetch(CATALOGUE)}
    own = {row for row in found if not str(row[1]).startswith(tables.PARTITION_PREFIX)}
    assert own == expected


async def test_tokens_that_an_older_schema_does_not_know_go_on_the_way_back(
    empty_database_url: str,
) -> None:
    await migrate.upgrade(empty_database_url)
    for purpose in ("change_email", "reset_password"):
        await fetchval(
            empty_database_url,
            "with somebody as (insert into users (id, email, name, time_zone, status, second_factor,"
            f" created_at, updated_at) values (gen_random_uuid(), '{purpose}', '', 'UTC', 'active',"
            " false, now(), now()) returning id)"
            " insert into one_time_tokens (id, user_id, purpose, token_hash, facts, created_at,"
            f" expires_at) select id, id, '{purpose}', '{purpose}', '{{}}', now(), now()"
            " from somebody returning id",
        )
    await migrate.downgrade(empty_database_url, "0003")
    kept = await fetchval(
        empty_database_url, "select string_agg(purpose, ' ') from one_time_tokens"
    )
    assert kept == "reset_password"
    await migrate.upgrade(empty_database_url)
