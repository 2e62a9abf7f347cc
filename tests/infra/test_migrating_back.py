"""A database that a service has filled goes back to nothing and forward again, and serves as before."""

from pathlib import Path

import asyncpg

from infra.postgres import migrate
from infra.replay.faults import Corruption, Fault, FaultKind
from tests.infra.trades import Follower, connect, exchange
from tests.service import Service

FILLED = ("messages", "message_batches", "instruments", "quarantined_frames", "sequence_gaps")
OURS = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relname !~ '^alembic'"


async def counts(database_url: str, *queries: str) -> list[int]:
    connection = await asyncpg.connect(database_url, timeout=30)
    try:
        return [await connection.fetchval(query) for query in queries]
    finally:
        await connection.close(timeout=10)


async def fill(directory: Path, database_url: str) -> None:
    """Run a service that migrates, stores trades, meets frames it does not understand, and stops."""
    follower = Follower()
    async with (
        exchange(rate=1000) as replayer,
        Service(directory, database_url=database_url, allow_private_addresses=True) as service,
        follower.following(service),
    ):
        replayer.faults.add(
            Fault(FaultKind.CORRUPT, after=20, count=2, corruption=Corruption.TRUNCATED)
        )
        await connect(service, replayer)
        await follower.more(100)
        assert await service.stop() == 0


async def test_what_a_service_filled_goes_back_and_forward_again(
    tmp_path: Path, empty_database_url: str
) -> None:
    rows = [f"select count(*) from {table}" for table in FILLED]
    await fill(tmp_path, empty_database_url)
    assert all(await counts(empty_database_url, *rows))
    await migrate.downgrade(empty_database_url, "base")
    assert await counts(empty_database_url, OURS) == [0]
    await migrate.upgrade(empty_database_url)
    assert not any(await counts(empty_database_url, *rows))
    await fill(tmp_path, empty_database_url)
    assert all(await counts(empty_database_url, *rows))
