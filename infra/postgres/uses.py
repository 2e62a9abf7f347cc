"""Notes when sessions and keys were last used: gathered, and written at most once a minute for each."""

import asyncio
from typing import Final
from uuid import UUID

from loguru import logger
from sqlalchemy import text

from domain.ports import Clock, Database

WRITE_SECONDS: Final = 5.0
MINUTE: Final = 60.0
REMEMBERED: Final = 100_000

_NOTE: Final = {
    table: text(
        f"update {table} set last_used_at = :now where id = any(cast(:ids as uuid[]))"  # noqa: S608 - two names
        " and (last_used_at is null or last_used_at < :now)"
    )
    for table in ("sessions", "api_keys")
}


class Uses:
    """What was used since it was last written down."""

    def __init__(self, accounts: Database, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock
        self._written: dict[UUID, float] = {}
        self._due: dict[str, set[UUID]] = {table: set() for table in _NOTE}

    def note(self, session_id: UUID | None, api_key_id: UUID | None) -> None:
        """A session or a key was used just now."""
        table, id = ("api_keys", api_key_id) if api_key_id else ("sessions", session_id)
        if id is None:
            return
        now = self._clock.now().timestamp()
        if now - self._written.get(id, 0.0) < MINUTE:
            return
        if len(self._written) >= REMEMBERED:
            self._written.clear()
        self._written[id] = now
        self._due[table].add(id)

    async def run(self) -> None:
        """Write down every few seconds until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception as error:  # noqa: BLE001 - a use less is noted
                logger.warning("Last uses were not noted: {!r}", error)

    async def write(self) -> None:
        """Write down what is due."""
        due = {table: ids for table, ids in self._due.items() if ids}
        if not due:
            return
        self._due = {table: set() for table in _NOTE}
        async with self._accounts.write() as session:
            # Beneath the session: a use is no change that the audit tells of.
            connection = await session.connection()
            for table, ids in due.items():
                await connection.execute(
                    _NOTE[table], {"now": self._clock.now(), "ids": sorted(ids)}
                )
