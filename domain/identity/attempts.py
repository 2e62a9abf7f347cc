"""Failed sign-ins make the next one wait: nothing at first, then 1 second, 2, 4, ... up to 15 minutes.

Attempts are counted by address, known or not. Each is counted as failed before the password is looked at, so
that many at once are no way around; a good one forgets them all.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.identity.accounts import SignInAttempts
from domain.identity.denials import TooManyAttempts
from domain.ports import Database

FREE_FAILURES: Final = 5
LONGEST_WAIT: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through, and the wait it caused should it fail."""

    key: bytes
    locked_until: datetime | None


def attempts_key(email: str) -> bytes:
    """What attempts at an address are counted under."""
    return hashlib.sha256(email.lower().encode()).digest()


def wait_after(failures: int) -> timedelta:
    """How long the next attempt waits after so many failures in a row."""
    if failures < FREE_FAILURES:
        return timedelta(0)
    return min(timedelta(seconds=2.0 ** min(failures - FREE_FAILURES, 20)), LONGEST_WAIT)


async def begin_attempt(database: Database, now: datetime, email: str) -> Attempt:
    """Count an attempt as failed until it is known better; raises TooManyAttempts while it has to wait."""
    key = attempts_key(email)
    async with database.write() as session:
        fresh = insert(SignInAttempts).values(key=key, failures=0, last_failure_at=now)
        as_it_is = {"failures": col(SignInAttempts.failures)}
        await session.exec(fresh.on_conflict_do_update(index_elements=["key"], set_=as_it_is))
        counted = (await session.exec(_held(key))).one()
        if counted.locked_until is not None and counted.locked_until > now:
            wait = counted.locked_until - now
            raise TooManyAttempts(retry_after_seconds=math.ceil(wait.total_seconds()))
        if now - counted.last_failure_at >= FORGOTTEN_AFTER:
            counted.failures = 0
        counted.failures += 1
        counted.last_failure_at = now
        wait = wait_after(counted.failures)
        counted.locked_until = now + wait if wait else None
        return Attempt(key, counted.locked_until)


async def forget_attempts(session: AsyncSession, email: str) -> None:
    """Count from nothing again: somebody proved to be who they say."""
    key = attempts_key(email)
    await session.exec(delete(SignInAttempts).where(col(SignInAttempts.key) == key))


async def take_back(session: AsyncSession, attempt: Attempt) -> None:
    """An attempt that neither failed nor succeeded leaves everything as it found it."""
    counted = await session.scalar(_held(attempt.key))
    if counted is None:
        return
    counted.failures = max(counted.failures - 1, 0)
    if counted.locked_until == attempt.locked_until:
        counted.locked_until = None


def _held(key: bytes) -> SelectOfScalar[SignInAttempts]:
    return select(SignInAttempts).where(col(SignInAttempts.key) == key).with_for_update()
