"""Lets go of what nobody may keep any longer: old events, ended accounts, messages of workspaces that are gone."""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
from loguru import logger
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from domain.identity import Act, Caller
from domain.identity.deletion import due_accounts, erase_account
from domain.identity.ownership import SoleOwner
from domain.ports import Clock
from infra.postgres.auditing import ACT
from infra.postgres.database import Connection, Database

JANITOR_SECONDS = 3600.0
_LOCK: Final = 0x6A616E69  # "jani": who cleans
_ACCOUNTS_A_ROUND: Final = 1000
_CHUNK: Final = 10_000
_CHUNKS: Final = 100
_ORPHANED: Final = """
    with recursive found(id) as (
        (select workspace_id from messages order by workspace_id limit 1)
        union all
        select (select workspace_id from messages where workspace_id > found.id
                order by workspace_id limit 1)
        from found where found.id is not null
    )
    select id from found
    where id is not null and not exists (select from workspaces where workspaces.id = found.id)
"""
_DELETE_ORPHANED: Final = """
    delete from messages where id in (select id from messages where workspace_id = $1 limit $2)
"""
_FORGET_CHAINS: Final = (
    "select set_config('penstock.pruning', 'true', true)",
    "update audit_chains set anchor_sequence = sequence, anchor_hash = hash where chain = any(:chains)",
    "delete from audit_events where chain = any(:chains)",
    "select set_config('penstock.pruning', '', true)",
)
"""What was done in workspaces that end with their only member is theirs as well; the chains' ends stay."""

_WORN_OUT: Final = (
    "delete from one_time_tokens where expires_at < $1::timestamptz - interval '1 day'",
    "delete from refresh_tokens where expires_at < $1::timestamptz - interval '1 day'",
    "delete from sign_in_attempts where last_failure_at < $1::timestamptz - interval '7 days'",
    "delete from sessions where coalesce(ended_at, expires_at) < $1::timestamptz - interval '90 days'",
    "delete from invitations where expires_at < $1::timestamptz - interval '90 days'",
)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What one round did."""

    pruned_events: int
    erased_accounts: int
    orphaned_messages: int
    worn_out: int


class Janitor:
    """Cleans once an hour, as the owner of the tables; of all processes one does it at a time."""

    def __init__(self, database: Database, clock: Clock, *, audit_days: int) -> None:
        self._database = database
        self._clock = clock
        self._audit_days = timedelta(days=audit_days)

    async def run(self, interval_seconds: float = JANITOR_SECONDS) -> None:
        """Clean now and every interval until cancelled; a failed round is logged and tried again."""
        while True:
            try:
                await self.clean()
            except (
                OSError,
                TimeoutError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                SQLAlchemyError,
            ) as error:
                logger.warning("Cleaning failed, trying again later: {!r}", error)
            await asyncio.sleep(interval_seconds * random.uniform(0.9, 1.1))  # noqa: S311

    async def clean(self) -> Cleaning | None:
        """One round; None when another process is at it."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK):
                return None
            # The pool's reset gives the lock and the timeout back with the connection.
            await connection.execute("set statement_timeout = '10min'")
            now = self._clock.now()
            erased = await self._end_accounts()
            return Cleaning(
                pruned_events=await connection.fetchval(
                    "select penstock_prune_audit($1)", now - self._audit_days
                ),
                erased_accounts=erased,
                orphaned_messages=await _delete_orphaned(connection),
                worn_out=sum([_count(await connection.execute(sql, now)) for sql in _WORN_OUT]),
            )

    async def _end_accounts(self) -> int:
        now = self._clock.now()
        async with self._database.read() as session:
            due = await due_accounts(session, now, _ACCOUNTS_A_ROUND)
        erased = 0
        for user_id in due:
            try:
                erased += await self._end_account(user_id)
            except SoleOwner as error:
                logger.warning(
                    "Account {} cannot be deleted: workspaces {} would be left without an owner",
                    user_id,
                    ", ".join(error.workspace_ids),
                )
            except SQLAlchemyError as error:
                logger.error(
                    "Account {} could not be deleted, trying again later: {!r}", user_id, error
                )
        return erased

    async def _end_account(self, user_id: UUID) -> bool:
        """Each in a transaction of its own, which tells of it."""
        info = {ACT: Act(Caller(None, "janitor"), "eraseAccount")}
        async with self._database.write(info) as session:
            workspaces = await erase_account(session, user_id, self._clock.now())
            connection = await session.connection()
            for statement in _FORGET_CHAINS if workspaces else ():
                await connection.execute(text(statement), {"chains": workspaces})
        return workspaces is not None


async def _delete_orphaned(connection: Connection) -> int:
    total = 0
    for (workspace_id,) in await connection.fetch(_ORPHANED):
        for _ in range(_CHUNKS):
            deleted = _count(await connection.execute(_DELETE_ORPHANED, workspace_id, _CHUNK))
            total += deleted
            if deleted < _CHUNK:
                break
    return total


def _count(status: str) -> int:
    return int(status.split()[-1])
