import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from domain.connectors import Connector, ConnectorState, ConnectorStatus, Venue
from infra.postgres.database import Database, plain_url
from infra.postgres.embedded import EmbeddedPostgres
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW


async def test_what_a_write_session_adds_a_read_session_finds(database: Database) -> None:
    connector = factories.connector(name="Bitcoin", mapping={"price": "p"}, subscribe_frames=["a"])
    await factories.save(database, connector)
    async with database.read() as session:
        found = (await session.exec(select(Connector))).one()
    assert found.model_dump() == connector.model_dump()
    assert found.created_at == NOW


async def test_enums_are_kept_as_their_values_and_others_refused(database: Database) -> None:
    connector = factories.connector(venue=Venue.COINBASE)
    status = ConnectorStatus(
        connector_id=connector.id,
        workspace_id=HOME_WORKSPACE_ID,
        state=ConnectorState.RECONNECTING,
        since=NOW,
    )
    await factories.save(database, connector)
    await factories.save(database, status)
    assert await database.pool.fetchval("select venue from connectors") == "coinbase"
    assert await database.pool.fetchval("select state from connector_status") == "reconnecting"
    with pytest.raises(asyncpg.CheckViolationError):
        await database.pool.execute("update connectors set venue = 'COINBASE'")


async def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as session:
            session.add(factories.connector())
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await database.pool.fetchval("select count(*) from connectors") == 0


async def test_objects_of_a_session_can_be_read_after_it(database: Database) -> None:
    async with database.write() as session:
        connector = factories.connector(name="kept")
        session.add(connector)
    assert connector.name == "kept"


async def test_a_read_session_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.read() as session:
            await session.scalar(text("delete from connectors returning 1"))
    async with database.write() as session:
        await session.scalar(text("delete from connectors returning 1"))


async def test_statements_end_in_time(database_url: str) -> None:
    async with Database(database_url, statement_timeout_seconds=0.1) as database:
        with pytest.raises(asyncpg.QueryCanceledError):
            await database.pool.execute("select pg_sleep(5)")
        with pytest.raises(DBAPIError, match="statement timeout"):
            async with database.read() as session:
                await session.scalar(text("select pg_sleep(5)"))


async def test_waiting_for_a_connection_ends_in_time(database_url: str) -> None:
    async with Database(database_url, pool_size=1) as database, database.acquire():
        with pytest.raises(TimeoutError):
            async with database.acquire(timeout_seconds=0.05):
                pass


async def test_connections_say_whose_they_are_and_speak_utc(database_url: str) -> None:
    async with Database(database_url, application_name="penstock ingest") as database:
        assert await database.pool.fetchval("show application_name") == "penstock ingest"
        assert await database.pool.fetchval("show timezone") == "UTC"
        async with database.read() as session:
            assert await session.scalar(text("show application_name")) == "penstock ingest"


async def test_json_is_text_both_ways_on_the_hot_path(database: Database) -> None:
    exact = '{"b":1,  "a":1e400,"a":2}'
    assert await database.pool.fetchval("select $1::json", exact) == exact


async def test_closing_cuts_what_does_not_end(database_url: str) -> None:
    database = Database(database_url)
    await database.connect()
    busy = asyncio.create_task(database.pool.execute("select pg_sleep(30)"))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await database.close(timeout_seconds=0.2)
    assert time.monotonic() - started < 5
    with pytest.raises(
        (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.CancelledError)
    ):
        await busy
    with pytest.raises(RuntimeError, match="not connected"):
        _ = database.pool


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedPostgres]:
    """A server of the test's own, to be restarted."""
    place = Path(tempfile.mkdtemp(prefix="penstock-place-"))
    settings = {"fsync": "off", "shared_buffers": "16MB"}
    async with EmbeddedPostgres(place / "data", settings=settings) as server:
        yield server
    shutil.rmtree(place)


async def test_a_database_survives_the_restart_of_its_server(server: EmbeddedPostgres) -> None:
    async with Database(server.url, pool_size=3) as database:
        async with database.read() as session:
            await session.scalar(text("select 1"))
        await server.restart()
        for _ in range(5):
            assert await database.pool.fetchval("select 1") == 1
            async with database.read() as session:
                assert await session.scalar(text("select 2")) == 2


async def test_connecting_waits_for_a_server_that_is_still_starting(
    server: EmbeddedPostgres,
) -> None:
    await asyncio.to_thread(server._stop_server)
    database = Database(server.url)
    connecting = asyncio.create_task(database.connect(timeout_seconds=20))
    await asyncio.sleep(0.3)
    assert not connecting.done()
    await asyncio.to_thread(server._start_server)
    await connecting
    assert await database.pool.fetchval("select 1") == 1
    await database.close()


async def test_connecting_to_nothing_ends_in_time_and_says_why() -> None:
    started = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        await Database("postgresql://127.0.0.1:9/none").connect(timeout_seconds=0.5)
    assert time.monotonic() - started < 5


async def test_a_database_that_does_not_exist_is_told_at_once(database_url: str) -> None:
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await Database(database_url.replace("penstock_test_", "nowhere_")).connect()


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql://u:p@h:1/d?sslmode=require"),
        ("postgres://h/d", "postgresql://h/d"),
        ("postgresql+asyncpg://h/d", "postgresql://h/d"),
    ],
)
def test_urls_are_taken_as_people_write_them(given: str, plain: str) -> None:
    assert plain_url(given) == plain


@pytest.mark.parametrize("given", ["mysql://h/d", "h/d", "", "sqlite:///x"])
def test_a_url_of_another_database_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="postgresql://"):
        plain_url(given)


async def test_tls_asked_for_in_the_url_is_demanded() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(8))
        writer.write(b"N")
        await writer.drain()
        writer.close()

    asked: list[bytes] = []
    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(ConnectionError, match="SSL"):
        await Database(f"postgresql://u@127.0.0.1:{port}/d?sslmode=require").connect(0.1)
    assert asked[0] == bytes.fromhex("00000008 04d2162f")
    listener.close()
    await listener.wait_closed()


async def test_databases_of_one_server_are_told_apart_wherever_they_are_reached(
    database: Database, empty_database_url: str
) -> None:
    async with Database(database.url) as again, Database(empty_database_url) as other:
        assert await database.identity() == await again.identity()
        assert await database.identity() != await other.identity()
