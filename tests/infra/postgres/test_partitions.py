import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ids import uuid7
from domain.messages import QuarantinedFrame, QuarantineReason
from domain.positions import MAX_ID, first_id_at
from infra.postgres.database import Database
from infra.postgres.partitions import (
    Housekeeper,
    Partition,
    Partitions,
    Sweep,
    partitions_of,
)
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, NOW, FixedClock

FAR = datetime(2031, 5, 6, 7, tzinfo=UTC)


async def bounds(database: Database) -> list[Partition]:
    async with database.acquire() as connection:
        return await partitions_of(connection)


async def ensure(database: Database, partitions: Partitions, *moments: datetime) -> tuple[str, ...]:
    ids = [first_id_at(moment) for moment in moments]
    return await partitions.ensure_for(database.pool, ids[0], ids[-1])


def keeper(database: Database, clock: FixedClock, retention_days: float = 30) -> Housekeeper:
    return Housekeeper(database, clock, retention_days=retention_days, partition_hours=24)


async def test_a_write_far_from_any_partition_is_made_possible(database: Database) -> None:
    far = factories.message(received_at=FAR)
    with pytest.raises(asyncpg.CheckViolationError):
        await database.pool.copy_records_to_table(
            "messages", records=[factories.row(far)], columns=factories.COLUMNS
        )
    assert await ensure(database, Partitions(24), FAR) == ("messages_p2031050600",)
    await database.pool.copy_records_to_table(
        "messages", records=[factories.row(far)], columns=factories.COLUMNS
    )


async def test_known_ids_cost_no_query(database: Database) -> None:
    partitions = Partitions(24)
    await ensure(database, partitions, FAR)
    await database.close()
    assert (
        await partitions.ensure_for(database_that_fails(), first_id_at(FAR), first_id_at(FAR)) == ()
    )


def database_that_fails() -> asyncpg.Connection:
    return object()  # type: ignore[return-value]


async def test_partitions_of_another_width_are_fitted_between(database: Database) -> None:
    await ensure(database, Partitions(24), FAR)
    made = await ensure(
        database, Partitions(7), FAR - timedelta(hours=10), FAR + timedelta(hours=30)
    )
    assert len(made) > 2
    found = [
        partition
        for partition in await bounds(database)
        if partition.name.startswith("messages_p2031")
    ]
    assert all(one.end_id == other.first_id for one, other in itertools.pairwise(found))


async def test_a_jump_over_years_makes_few_partitions(database: Database) -> None:
    made = await ensure(database, Partitions(1), FAR, FAR + timedelta(days=3650))
    assert len(made) < 40
    found = [partition for partition in await bounds(database) if partition.name in made]
    assert all(one.end_id == other.first_id for one, other in itertools.pairwise(found))


async def test_the_last_ids_there_are_have_a_partition(database: Database) -> None:
    await Partitions(24).ensure_for(database.pool, MAX_ID, MAX_ID)
    assert (await bounds(database))[-1].end_id == MAX_ID + 1
    assert await Partitions(24).ensure_for(database.pool, MAX_ID, MAX_ID) == ()


async def test_processes_that_make_the_same_partition_do_not_collide(database: Database) -> None:
    made = await asyncio.gather(*(ensure(database, Partitions(24), FAR) for _ in range(5)))
    assert sorted(len(names) for names in made) == [0, 0, 0, 0, 1]


async def test_reading_goes_on_while_a_partition_is_made(database: Database) -> None:
    async with database.acquire() as reader, reader.transaction():
        await reader.fetch("select * from messages")
        await asyncio.wait_for(ensure(database, Partitions(24), FAR), 5)


@given(
    cells=st.sets(st.integers(0, 40)),
    hours=st.integers(1, 30),
    first=st.integers(0, 40 * 24),
    length=st.integers(0, 24 * 20),
)
def test_holes_are_filled_exactly(cells: set[int], hours: int, first: int, length: int) -> None:
    hour = 3_600_000 << 22
    existing = [
        Partition(cell * 24 * hour, (cell + 1) * 24 * hour, str(cell)) for cell in sorted(cells)
    ]
    low, high = first * hour, (first + length) * hour
    made = list(Partitions(hours)._missing(existing, low, high))
    together = sorted([*existing, *made])
    assert all(one.end_id <= other.first_id for one, other in itertools.pairwise(together))
    at = low
    for partition in together:
        if partition.first_id <= at < partition.end_id:
            at = partition.end_id
    assert at > high
    assert len({partition.name for partition in made}) == len(made)


async def test_two_partitions_lie_ahead(database: Database) -> None:
    clock = FixedClock(FAR)
    await keeper(database, clock).sweep()
    ahead = [
        partition for partition in await bounds(database) if partition.first_id > first_id_at(FAR)
    ]
    assert len(ahead) == 2
    clock.advance(days=1)
    sweep = await keeper(database, clock).sweep()
    assert sweep is not None
    assert sweep.created == ("messages_p2031050900",)


async def test_retention_drops_whole_partitions_and_keeps_the_last_ids(database: Database) -> None:
    old, edge = FAR - timedelta(days=31), FAR - timedelta(days=29)
    gone = factories.messages(3, node=1, start=old) + factories.messages(2, node=2, start=old)
    kept = factories.messages(2, node=1, start=edge)
    await factories.store(database, gone + kept)
    sweep = await keeper(database, FixedClock(FAR)).sweep()
    assert sweep is not None
    assert f"messages_p{old:%Y%m%d}00" in sweep.dropped
    assert await database.pool.fetch("select id from messages order by id") == [
        (message.id,) for message in kept
    ]
    assert await database.pool.fetch("select node, dropped_id from nodes order by node") == [
        (1, gone[2].id),
        (2, gone[4].id),
    ]


async def test_a_node_without_messages_in_a_dropped_partition_keeps_its_mark(
    database: Database,
) -> None:
    old = FAR - timedelta(days=40)
    await factories.store(database, factories.messages(1, node=1, start=old))
    await factories.store(database, factories.messages(1, node=2, start=FAR))
    await keeper(database, FixedClock(FAR)).sweep()
    assert await database.pool.fetchval("select dropped_id from nodes where node = 2") == 0


async def test_retention_waits_for_a_reader_without_failing_it(database: Database) -> None:
    await factories.store(database, factories.messages(1, start=FAR - timedelta(days=40)))
    async with database.acquire() as reader:
        transaction = reader.transaction()
        await transaction.start()
        await reader.fetch("select count(*) from messages")
        sweeping = asyncio.create_task(keeper(database, FixedClock(FAR)).sweep())
        await asyncio.sleep(0.6)
        assert not sweeping.done()
        assert (
            await asyncio.wait_for(database.pool.fetchval("select count(*) from messages"), 2) == 1
        )
        await transaction.commit()
    sweep = await asyncio.wait_for(sweeping, 10)
    assert sweep is not None
    assert sweep.dropped


async def test_old_batches_and_quarantine_go(database: Database) -> None:
    for moment in (FAR - timedelta(days=1900), FAR - timedelta(days=1)):
        await factories.save(database, factories.batch(first_id_at(moment)), frame(moment))
    sweep = await keeper(database, FixedClock(FAR)).sweep()
    assert isinstance(sweep, Sweep)
    assert sweep.deleted == 2
    assert await database.pool.fetchval("select count(*) from message_batches") == 1
    assert await database.pool.fetchval("select count(*) from quarantined_frames") == 1


async def test_one_process_at_a_time_keeps_house(database: Database) -> None:
    clock = FixedClock(NOW)
    sweeps = await asyncio.gather(*(keeper(database, clock).sweep() for _ in range(3)))
    assert any(sweep is not None for sweep in sweeps)
    async with database.acquire() as other:
        await other.fetchval("select pg_advisory_lock($1)", 0x6B656570)
        assert await keeper(database, clock).sweep() is None
    assert await keeper(database, clock).sweep() is not None


def frame(moment: datetime) -> QuarantinedFrame:
    return QuarantinedFrame(
        id=uuid7(moment, b"0123456789"),
        workspace_id=HOME_WORKSPACE_ID,
        connector_id=factories.new_id(),
        received_at=moment,
        reason=QuarantineReason.MALFORMED,
        explanation="no JSON",
        source="ws",
        frame=b"{",
        frame_bytes=1,
    )


async def test_housekeeping_goes_on_after_a_failure(database: Database) -> None:
    await database.pool.execute("alter table message_batches rename to away")
    running = asyncio.create_task(keeper(database, FixedClock(FAR)).run(interval_seconds=0.05))
    await asyncio.sleep(0.3)
    await database.pool.execute("alter table away rename to message_batches")
    await factories.save(database, factories.batch(1))
    async with asyncio.timeout(10):
        while await database.pool.fetchval("select count(*) from message_batches"):
            await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})
