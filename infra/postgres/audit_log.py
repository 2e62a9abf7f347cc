"""Audit events of what no session did, each in a transaction of its own."""

from datetime import datetime
from typing import Final

from loguru import logger
from sqlalchemy.exc import SQLAlchemyError

from domain.audit import Deed, record
from domain.identity import Act, Databases
from domain.ports import Clock

_REMEMBERED: Final = 100_000


class PostgresAuditLog:
    """Implements `domain.identity.AuditLog`."""

    def __init__(self, databases: Databases, clock: Clock) -> None:
        self._databases = databases
        self._clock = clock
        self._hour: datetime | None = None
        self._viewed: set[object] = set()

    async def write(self, act: Act, deed: Deed) -> None:
        """Write a deed down; what cannot be written, as the database is away, is logged with all its facts."""
        try:
            async with self._databases.accounts(act).write() as session:
                record(session, deed)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            logger.error(
                "An event of the audit is in this log alone: {} {}: {!r}", act, deed, error
            )

    async def viewed(self, act: Act, deed: Deed) -> None:
        """Write a look at others' data down, unless this process did so in the same hour."""
        hour = self._clock.now().replace(minute=0, second=0, microsecond=0)
        if hour != self._hour or len(self._viewed) >= _REMEMBERED:
            self._hour = hour
            self._viewed.clear()
        actor = act.caller.actor
        key = (actor.user_id, actor.api_key_id, deed.action, deed.workspace_id)
        if key not in self._viewed:
            self._viewed.add(key)
            await self.write(act, deed)
