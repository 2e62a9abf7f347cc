"""Node numbers: each writing process leases one, and so owns the ids it mints."""

import asyncio
import time
from uuid import UUID

import asyncpg
from loguru import logger

from domain.positions import NODES

_REUSE = """
    update nodes set leased_by = $1, leased_until = now() + make_interval(secs => $2)
    where node = (
        select node from nodes
        where leased_by is null or leased_until < now()
        order by node limit 1 for update skip locked
    )
    returning node, last_id
"""
_TAKE_NEW = """
    insert into nodes (node, leased_by, leased_until)
    select number, $1, now() + make_interval(secs => $2)
    from generate_series(0, $3 - 1) number
    where not exists (select from nodes where node = number)
    order by number limit 1
    on conflict (node) do nothing
    returning node, last_id
"""
_RENEW = """
    update nodes set leased_until = now() + make_interval(secs => $3)
    where node = $1 and leased_by = $2
    returning node
"""
_RELEASE = """
    update nodes set leased_by = null, leased_until = null where node = $1 and leased_by = $2
"""
_RACES = 50
_TIMEOUT_SECONDS = 10.0


class NoNodeFree(Exception):
    """All node numbers are leased: too many writing processes."""


class NodeLease:
    """The right of this process to mint ids for `node`, renewed in the background.

    What makes it safe is the writer's transaction, which commits only while the row still names this
    process; `held` is the same as far as the process can tell by its own monotonic clock.
    """

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", process_id: UUID, lease_seconds: float
    ) -> None:
        self.process_id = process_id
        self.lease_seconds = lease_seconds
        self.node = -1
        self.last_id = 0
        self._pool = pool
        self._held_until = 0.0
        self._heartbeat: asyncio.Task[None] | None = None

    @property
    def held(self) -> bool:
        """Whether no other process can have the node yet."""
        return time.monotonic() < self._held_until

    async def acquire(self) -> None:
        """Lease the lowest node that is free or expired, else a new one; raises NoNodeFree."""
        await self._stop_heartbeat()
        asked_at = time.monotonic()
        row = await self._take()
        self.node, self.last_id = row["node"], row["last_id"]
        self.extended(asked_at)
        self._heartbeat = asyncio.create_task(self._beat(), name="node lease")
        logger.info("Writing as node {}", self.node)

    def extended(self, asked_at: float) -> None:
        """Note that a renewal asked for at this monotonic time was granted."""
        self._held_until = max(self._held_until, asked_at + self.lease_seconds)

    async def renew(self) -> bool:
        """Extend the lease; False when another process has the node, or had it since."""
        asked_at = time.monotonic()
        granted = await self._pool.fetchval(
            _RENEW, self.node, self.process_id, self.lease_seconds, timeout=self.lease_seconds
        )
        if granted is None:
            self._held_until = 0.0
            return False
        self.extended(asked_at)
        return True

    async def release(self) -> None:
        """Give the node back for the next process to continue."""
        await self._stop_heartbeat()
        self._held_until = 0.0
        await self._pool.execute(_RELEASE, self.node, self.process_id, timeout=_TIMEOUT_SECONDS)

    async def _take(self) -> asyncpg.Record:
        for _ in range(_RACES):
            for statement, *more in ((_REUSE,), (_TAKE_NEW, NODES)):
                row = await self._pool.fetchrow(
                    statement, self.process_id, self.lease_seconds, *more, timeout=_TIMEOUT_SECONDS
                )
                if row is not None:
                    return row
        raise NoNodeFree(f"all {NODES} node numbers are leased")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.lease_seconds / 3)
            try:
                if not await self.renew():
                    logger.warning("Node {} was taken over", self.node)
                    return
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("Could not renew the lease of node {}: {!r}", self.node, error)

    async def _stop_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            await asyncio.wait({self._heartbeat}, timeout=_TIMEOUT_SECONDS)
            self._heartbeat = None
