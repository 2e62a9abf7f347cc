"""Node leases."""

import asyncio

import pytest

from infra.postgres.database import Database
from infra.postgres.nodes import NodeLease, NoNodeFree
from tests.factories import new_id
from tests.infra.postgres.writing import eventually, execute


def lease(database: Database, seconds: float = 30.0) -> NodeLease:
    return NodeLease(database.pool, new_id(), seconds)


async def test_processes_get_the_lowest_nodes_that_are_free(database: Database) -> None:
    leases = [lease(database) for _ in range(8)]
    await asyncio.gather(*(one.acquire() for one in leases))
    assert sorted(one.node for one in leases) == list(range(8))
    for one in leases:
        if one.node in (2, 5):
            await one.release()
    again = lease(database)
    await again.acquire()
    assert again.node == 2
    for one in [*leases, again]:
        await one.release()


async def test_a_node_that_another_process_is_just_taking_is_passed_over(
    database: Database,
) -> None:
    await execute(database, "insert into nodes (node) values (0)")
    late = lease(database)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute("update nodes set leased_by = $1", new_id())
        await asyncio.wait_for(late.acquire(), 2)
    assert late.node == 1
    await late.release()


async def test_a_new_holder_continues_after_the_last_id(database: Database) -> None:
    first, second = lease(database), lease(database)
    await first.acquire()
    await execute(database, "update nodes set last_id = 4711")
    await first.release()
    assert not first.held
    await second.acquire()
    assert (second.node, second.last_id) == (0, 4711)
    await second.release()


async def test_it_is_renewed_while_its_process_lives(database: Database) -> None:
    alive, other = lease(database, 0.6), lease(database)
    await alive.acquire()
    await asyncio.sleep(1.0)
    assert alive.held
    await other.acquire()
    assert other.node == 1
    await alive.release()
    await other.release()


async def test_a_dead_process_node_is_taken_and_the_dead_one_knows(database: Database) -> None:
    dead, other = lease(database, 0.3), lease(database)
    await dead.acquire()
    await dead._stop_heartbeat()
    assert dead.held
    await eventually(lambda: not dead.held, 1)
    await asyncio.sleep(0.05)
    await other.acquire()
    assert other.node == dead.node
    assert not await dead.renew()
    assert not dead.held
    await dead.release()
    assert await other.renew()
    await other.release()


async def test_there_are_only_so_many_nodes(database: Database) -> None:
    await execute(
        database,
        "insert into nodes (node, leased_by, leased_until)"
        " select n, gen_random_uuid(), now() + interval '1 hour' from generate_series(0, 1023) n",
    )
    with pytest.raises(NoNodeFree):
        await lease(database).acquire()
