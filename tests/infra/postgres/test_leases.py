"""Connector leases: one process a connector."""

import asyncio
from uuid import UUID

from infra.postgres.database import Database
from infra.postgres.leases import ConnectorLeases, free_all
from infra.postgres.nodes import NodeLease
from tests.factories import new_id
from tests.infra.postgres.writing import a_connector, execute


def leases(database: Database, seconds: float = 30.0, **options: int) -> ConnectorLeases:
    return ConnectorLeases(database.pool, new_id(), seconds, **options)


async def ids(process: ConnectorLeases) -> set[UUID]:
    return {lease.connector_id for lease in await process.claim()}


async def test_every_enabled_connector_is_leased_by_exactly_one_process(
    database: Database,
) -> None:
    connectors = {await a_connector(database) for _ in range(20)}
    off = await a_connector(database)
    await execute(database, "update connectors set enabled = false where id = $1", off)
    processes = [leases(database) for _ in range(4)]
    held = await asyncio.gather(*(ids(process) for process in processes))
    assert set().union(*held) == connectors
    assert sum(len(one) for one in held) == 20


async def test_a_claim_passes_over_what_another_process_is_just_claiming(
    database: Database,
) -> None:
    connector, free = await a_connector(database), await a_connector(database)
    process = leases(database)
    async with database.acquire() as connection, connection.transaction():
        await connection.execute(
            "update connector_status set leased_by = $2, leased_until = now() + interval '1 hour'"
            " where connector_id = $1",
            connector,
            new_id(),
        )
        assert await asyncio.wait_for(ids(process), 2) == {free}
    assert await ids(process) == {free}


async def test_a_limit_lets_others_have_some(database: Database) -> None:
    connectors = {await a_connector(database) for _ in range(3)}
    first, second = leases(database, claim_limit=2), leases(database, claim_limit=2)
    assert len(await ids(first)) == 2
    assert len(await ids(second)) == 1
    assert await ids(first) | await ids(second) == connectors


async def test_a_lease_names_holder_epoch_and_version(database: Database) -> None:
    connector = await a_connector(database, version=7)
    process = leases(database)
    (lease,) = await process.claim()
    assert (lease.connector_id, lease.holder) == (connector, process.process_id)
    assert (lease.epoch, lease.version) == (1, 7)
    assert await process.claim() == [lease]
    await execute(database, "update connectors set version = 8")
    (lease,) = await process.claim()
    assert (lease.epoch, lease.version) == (1, 8)


async def test_a_dead_process_is_followed_by_another_under_a_new_epoch(
    database: Database,
) -> None:
    connector = await a_connector(database)
    dead, heir = leases(database, 0.3), leases(database)
    assert await ids(dead) == {connector}
    assert await ids(heir) == set()
    await asyncio.sleep(0.35)
    (lease,) = await heir.claim()
    assert (lease.connector_id, lease.epoch) == (connector, 2)
    assert await dead.renew() == set()
    assert await dead.claim() == []
    assert await heir.renew() == {connector}


async def test_an_expired_lease_is_not_renewed_but_taken_back(database: Database) -> None:
    connector = await a_connector(database)
    process = leases(database, 0.2)
    await process.claim()
    assert await process.renew() == {connector}
    await asyncio.sleep(0.25)
    assert await process.renew() == set()
    (lease,) = await process.claim()
    assert lease.epoch == 1


async def test_a_lease_that_another_had_meanwhile_comes_back_under_a_new_epoch(
    database: Database,
) -> None:
    await a_connector(database)
    process, other = leases(database, 0.2), leases(database)
    await process.claim()
    await asyncio.sleep(0.25)
    await other.release([lease.connector_id for lease in await other.claim()])
    (lease,) = await process.claim()
    assert lease.epoch == 3


async def test_renewing_keeps_others_out(database: Database) -> None:
    await a_connector(database)
    process, other = leases(database, 0.5), leases(database)
    await process.claim()
    for _ in range(4):
        await asyncio.sleep(0.2)
        await process.renew()
        assert await ids(other) == set()


async def test_a_disabled_connector_stays_leased_until_it_is_released(database: Database) -> None:
    connector = await a_connector(database)
    process, other = leases(database), leases(database)
    await process.claim()
    await execute(database, "update connectors set enabled = false")
    assert await process.claim() == []
    assert await process.renew() == {connector}
    await execute(database, "update connectors set enabled = true")
    assert await ids(other) == set()
    await process.release([connector])
    assert await ids(other) == {connector}


async def test_only_ones_own_leases_are_released(database: Database) -> None:
    connector = await a_connector(database)
    process, other = leases(database), leases(database)
    await process.claim()
    await other.release([connector])
    assert await process.renew() == {connector}


async def test_a_deleted_connector_is_held_no_more(database: Database) -> None:
    await a_connector(database)
    process = leases(database)
    await process.claim()
    await execute(database, "delete from connectors")
    assert await process.renew() == set()
    assert await process.claim() == []


async def test_whoever_has_the_database_alone_need_not_wait_for_the_dead(
    database: Database,
) -> None:
    connector = await a_connector(database)
    dead, heir = leases(database), leases(database)
    node = NodeLease(database.pool, new_id(), 60)
    await node.acquire()
    (before,) = await dead.claim()
    assert await ids(heir) == set()
    await free_all(database.url)
    (after,) = await heir.claim()
    assert (after.connector_id, after.epoch) == (connector, before.epoch + 1)
    assert await dead.renew() == set()
    successor = NodeLease(database.pool, new_id(), 60)
    await successor.acquire()
    assert successor.node == node.node
    await successor.release()
    await node.release()
