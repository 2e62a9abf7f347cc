"""Storing when the database, the network, other processes or the data are against it."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.messages import Tick
from domain.positions import node_of
from infra.postgres.database import Database, server_settings
from tests import factories
from tests.infra.postgres.writing import (
    a_connector,
    eventually,
    execute,
    numbered,
    rows,
    sequences,
    writing,
)

TERMINATE = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'writer' and datname = current_database()
"""


class Sabotage:
    """Opens connections whose next `losses` COMMITs of messages end with the connection's loss, sent before or not."""

    def __init__(self, url: str, losses: int, sent: bool) -> None:
        self.url = url
        self.losses = losses
        self.sent = sent
        self.copied = False
        self.on_loss: Callable[[], Any] | None = None

    async def __call__(self) -> Any:
        sabotage = self

        class Losing(asyncpg.Connection):
            async def copy_records_to_table(self, *args: Any, **options: Any) -> str:
                sabotage.copied = True
                return await super().copy_records_to_table(*args, **options)

            async def execute(self, query: str, *args: Any, **options: Any) -> str:
                if not (query.startswith("COMMIT") and sabotage.copied and sabotage.losses):
                    return await super().execute(query, *args, **options)
                sabotage.losses -= 1
                sabotage.copied = False
                if sabotage.sent:
                    await super().execute(query)
                self.terminate()
                if sabotage.on_loss is not None:
                    await sabotage.on_loss()
                raise asyncpg.ConnectionDoesNotExistError("connection was closed")

        return await asyncpg.connect(
            self.url, connection_class=Losing, server_settings=server_settings("writer", None)
        )


async def test_nothing_is_lost_or_doubled_while_connections_are_killed(database: Database) -> None:
    connectors = [await a_connector(database) for _ in range(3)]
    expected: dict[UUID, list[int]] = {id: [] for id in connectors}
    chance = random.Random(4)

    async def feed(id: UUID) -> None:
        for number in range(0, 600, 6):
            ticks = numbered(*range(number, number + 6))
            expected[id] += range(number, number + 6)
            await w.put(id, *ticks)
            await asyncio.sleep(chance.random() * 0.01)

    async def kill() -> None:
        while True:
            await asyncio.sleep(chance.random() * 0.08)
            await execute(database, TERMINATE)

    async with writing(database, batch_rows=50, batch_age_ms=3) as w:
        killer = asyncio.create_task(kill())
        await asyncio.gather(*(feed(id) for id in connectors))
        killer.cancel()
        await w.drained()
        assert w.writer.stats.retries > 0
        for id in connectors:
            assert await sequences(database, id) == expected[id]
        ids = [row["id"] for row in await rows(database)]
        assert w.announced.ids == ids
        batches = await rows(database, "message_batches")
        assert sum(row["message_count"] for row in batches) == len(ids)
        assert w.observer.lost == []


@pytest.mark.parametrize("sent", [True, False], ids=["committed", "not committed"])
@pytest.mark.parametrize("taken", [False, True], ids=["same node", "node taken meanwhile"])
async def test_a_commit_without_an_answer_is_stored_once(
    database: Database, sent: bool, taken: bool
) -> None:
    connector_id = await a_connector(database)
    sabotage = Sabotage(database.url, losses=2, sent=sent)
    if taken:
        sabotage.on_loss = lambda: execute(
            database, "update nodes set leased_by = $1", factories.new_id()
        )
    async with writing(database, connect=sabotage) as w:
        await w.put(connector_id, *numbered(1, 2))
        await w.drained()
        await w.put(connector_id, *numbered(3))
        await w.drained()
        assert sabotage.losses == 0
        assert await sequences(database) == [1, 2, 3]
        assert sorted(w.announced.ids) == [row["id"] for row in await rows(database)]
        assert len(await rows(database, "message_batches")) == 2
        assert w.observer.stored == [(connector_id, 2), (connector_id, 1)]


async def test_an_outage_is_waited_out(database: Database) -> None:
    connector_id = await a_connector(database)
    away = True

    async def connect() -> Any:
        if away:
            raise ConnectionRefusedError("the server is away")
        return await asyncpg.connect(database.url)

    async with writing(database, connect=connect, batch_age_ms=1) as w:
        for number in range(5):
            await w.put(connector_id, *numbered(number))
            await asyncio.sleep(0.02)
        await eventually(lambda: w.writer.stats.retries > 2)
        assert w.writer.stats.queued_rows == 5
        assert w.writer.stats.failing_since is not None
        assert "away" in str(w.writer.stats.last_error)
        away = False
        await w.drained()
        assert w.writer.stats.failing_since is None
        assert await sequences(database) == list(range(5))


async def test_what_the_database_refuses_goes_to_quarantine_and_the_rest_is_stored(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    refused = [
        factories.tick(instrument="NUL\0", data='{"n":1}'),
        factories.tick(price=Decimal("1E-20000"), data='{"n":2}'),
        factories.tick(sequence="half \ud800", data='{"n":3}'),
        factories.tick(data="{not json"),
        factories.tick(instrument=random.Random(1).randbytes(9000).hex(), data='{"n":4}'),
    ]
    good = numbered(*range(50))
    ticks = list(good)
    for index, tick in enumerate(refused):
        ticks.insert(index * 11, tick)
    async with writing(database, batch_age_ms=1) as w:
        await w.put(connector_id, *ticks[:20])
        await w.put(connector_id, *ticks[20:])
        await w.drained()
        assert await sequences(database) == list(range(50))
        assert w.writer.stats.refused_messages == 5
        assert w.announced.ids == [row["id"] for row in await rows(database)]
    frames = await rows(database, "quarantined_frames")
    assert {row["frame"].decode() for row in frames} == {tick.data for tick in refused}
    assert {row["reason"] for row in frames} == {"invalid_value"}
    assert all("does not take this trade" in row["explanation"] for row in frames)
    (batch,) = await rows(database, "message_batches")
    assert batch["message_count"] == 50


async def test_a_process_that_lost_its_node_goes_on_as_another(database: Database) -> None:
    connector_id = await a_connector(database)
    async with writing(database, batch_rows=2) as w:
        await w.put(connector_id, *numbered(1))
        await w.drained()
        old = w.lease.node
        async with database.acquire() as connection:
            async with connection.transaction():
                await connection.execute("lock table messages in share mode")
                await w.put(connector_id, *numbered(2, 3))
                await w.put(connector_id, *numbered(4))
                await asyncio.sleep(0.05)
                await connection.execute("update nodes set leased_by = $1", factories.new_id())
            await w.drained()
        stored = await rows(database)
        assert [int(row["sequence"]) for row in stored] == [1, 2, 3, 4]
        assert [node_of(row["id"]) == old for row in stored] == [True, False, False, False]
        assert w.announced.ids == [row["id"] for row in stored]
        assert [a.node for a in w.announced.heard[1:]] == [w.lease.node] * 2
        assert w.announced.heard[1].previous_id == 0


async def test_messages_of_a_lease_that_moved_on_are_not_stored(database: Database) -> None:
    moved, deleted, kept = [await a_connector(database) for _ in range(3)]
    await execute(
        database,
        "update connector_status set lease_epoch = 4, leased_by = $2 where connector_id = $1",
        moved,
        factories.new_id(),
    )
    await execute(database, "delete from connectors where id = $1", deleted)
    async with writing(database, batch_age_ms=100) as w:
        await w.put(moved, *numbered(1, 2), epoch=3)
        await w.put(kept, *numbered(3))
        await w.put(moved, *numbered(4), epoch=4)
        await w.put(deleted, *numbered(5))
        await w.drained()
        assert await sequences(database) == [3, 4]
        assert w.writer.stats.fenced_messages == 3
        assert Counter(w.observer.stored) == Counter([(kept, 1), (moved, 1)])


async def test_the_same_id_is_never_used_twice_by_processes_that_follow_each_other(
    database: Database,
) -> None:
    connector_id = await a_connector(database)
    ticks: list[Tick] = numbered(*range(5000))
    received_at = factories.NOW  # long past: ids run on from the last one, not from the clock
    nodes = []
    for _ in range(2):
        async with writing(database) as w:
            await w.put(connector_id, *ticks, received_at=received_at)
            await w.drained()
            nodes.append(w.lease.node)
    assert nodes == [0, 0]
    assert len({row["id"] for row in await rows(database)}) == 10_000
