"""What the errors of a batch mean, and which rows they mean."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

import asyncpg

T = TypeVar("T")

_REFUSED = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    OverflowError,
    TypeError,
    ValueError,  # asyncpg's own refusal to encode a value is one
)
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.InvalidTransactionStateError,
    asyncpg.InvalidCachedStatementError,
)


class Fenced(Exception):
    """Another process has, or had, this process's node."""


class LeasesMoved(Exception):
    """Connectors of the batch are gone or run under other leases; `moved` holds (connector id, epoch) of the old."""

    def __init__(self, moved: set[tuple[UUID, int]]) -> None:
        super().__init__(f"{len(moved)} connectors' leases moved on")
        self.moved = moved


class KeyUsed(Exception):
    """The idempotency key of a job had been used for other content."""


class WriterClosed(Exception):
    """The writer stopped before it could store the job."""


def lacks_partition(error: BaseException) -> bool:
    """Whether rows have no partition to go to."""
    return isinstance(error, asyncpg.CheckViolationError) and "no partition" in str(error)


def is_refused(error: BaseException) -> bool:
    """Whether the database, or the way into its format, can never take the data."""
    return isinstance(error, _REFUSED) and not lacks_partition(error)


def is_passing(error: BaseException) -> bool:
    """Whether the server or the way to it is in trouble, so that the same attempt can succeed later."""
    return isinstance(error, _PASSING) and not is_refused(error)


async def isolate(
    items: Sequence[T], accept: Callable[[Sequence[T]], Awaitable[None]]
) -> list[tuple[T, Exception]]:
    """The items that `accept` refuses, each with its error, found by halving; the rest is accepted in order."""
    if not items:
        return []
    try:
        await accept(items)
    except Exception as error:
        if not is_refused(error):
            raise
        if len(items) == 1:
            return [(items[0], error)]
    else:
        return []
    middle = len(items) // 2
    first = await isolate(items[:middle], accept)
    return first + await isolate(items[middle:], accept)
