"""Connector leases: each connector is run by exactly one process."""

from collections.abc import Collection
from uuid import UUID

import asyncpg

from infra.feeds.arrival import Lease
from infra.postgres.database import connector

_CLAIM = """
    with free as (
        select s.connector_id
        from connector_status s join connectors c on c.id = s.connector_id
        where c.enabled and (s.leased_by is null or s.leased_until < now())
        order by s.connector_id
        limit $3
        for update of s skip locked
    )
    update connector_status s
    set leased_by = $1, leased_until = now() + make_interval(secs => $2),
        lease_epoch = s.lease_epoch + (s.leased_by is distinct from $1)::int
    from free where s.connector_id = free.connector_id
"""
_HELD = """
    select s.connector_id, s.workspace_id, s.lease_epoch, c.version, coalesce((
        select string_agg(n.id || ':' || n.version, ',' order by n.id) from secrets n
        where c.secret_references::text <> '{}' and n.workspace_id = c.workspace_id
            and n.name in (select value from json_each_text(c.secret_references))
    ), '') as secrets
    from connector_status s join connectors c on c.id = s.connector_id
    where s.leased_by = $1 and s.leased_until >= now() and c.enabled
    order by s.connector_id
"""
_RENEW = """
    with mine as (
        select connector_id from connector_status
        where leased_by = $1 and leased_until >= now()
        order by connector_id for update
    )
    update connector_status s set leased_until = now() + make_interval(secs => $2)
    from mine where s.connector_id = mine.connector_id
    returning s.connector_id
"""
_RELEASE = """
    with mine as (
        select connector_id from connector_status
        where leased_by = $1 and connector_id = any($2::uuid[])
        order by connector_id for update
    )
    update connector_status s set leased_by = null, leased_until = null
    from mine where s.connector_id = mine.connector_id
"""

_FREE_ALL = """
    update connector_status set leased_by = null, leased_until = null where leased_by is not null;
    update nodes set leased_by = null, leased_until = null where leased_by is not null
"""


async def free_all(url: str) -> None:
    """Give back every connector and node: for whoever has the database alone, so that their holders must be dead."""
    connection = await connector(url)()
    try:
        await connection.execute(_FREE_ALL)
    finally:
        await connection.close(timeout=5)


class ConnectorLeases:
    """The connectors that one process runs; all times are the database's own.

    Whoever runs them must stop by itself when `renew` has not succeeded for `lease_seconds`.
    """

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        process_id: UUID,
        lease_seconds: float,
        claim_limit: int = 1000,
    ) -> None:
        self.process_id = process_id
        self.lease_seconds = lease_seconds
        self._pool = pool
        self._claim_limit = claim_limit

    async def claim(self) -> list[Lease]:
        """Lease enabled connectors that no live process has, `claim_limit` at most; returns all held now.

        A connector that was disabled is left out, though its lease stays until `release`. A lease that ran out
        and that nobody had since is taken back with its epoch: what was received under it can still be stored.
        """
        async with self._pool.acquire(timeout=self.lease_seconds) as connection:
            await connection.execute(
                _CLAIM,
                self.process_id,
                self.lease_seconds,
                self._claim_limit,
                timeout=self.lease_seconds,
            )
            rows = await connection.fetch(_HELD, self.process_id, timeout=self.lease_seconds)
        return [
            Lease(
                connector_id=row["connector_id"],
                workspace_id=row["workspace_id"],
                holder=self.process_id,
                epoch=row["lease_epoch"],
                version=row["version"],
                secrets=row["secrets"],
            )
            for row in rows
        ]

    async def renew(self) -> set[UUID]:
        """Extend what is held; returns those ids: a lease once expired is not among them."""
        rows = await self._pool.fetch(
            _RENEW, self.process_id, self.lease_seconds, timeout=self.lease_seconds
        )
        return {row["connector_id"] for row in rows}

    async def release(self, connector_ids: Collection[UUID]) -> None:
        """Give connectors back, for the next process to take at once."""
        await self._pool.execute(
            _RELEASE, self.process_id, list(connector_ids), timeout=self.lease_seconds
        )
