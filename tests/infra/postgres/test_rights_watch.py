"""Whose rights changed is heard from the database, also after the connection was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from domain.identity.changes import RightsChange
from infra.postgres.database import Database, connector
from infra.postgres.rights_watch import RightsWatch
from infra.postgres.roles import ACCOUNTS
from infra.postgres.uses import Uses
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID
from tests.signing_in import session_of

NAME = "penstock rights"
SECONDS = 10.0


class Listener:
    """A watch, and what it says."""

    def __init__(self, url: str) -> None:
        self.changes: asyncio.Queue[RightsChange] = asyncio.Queue()
        self.hearing: asyncio.Queue[bool] = asyncio.Queue()
        self.watch = RightsWatch(
            connector(url, application_name=NAME), self.changes.put_nowait, self.hearing.put_nowait
        )

    async def heard(self) -> RightsChange:
        async with asyncio.timeout(SECONDS):
            return await self.changes.get()


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    listener = Listener(url)
    task = asyncio.create_task(listener.watch.run())
    async with asyncio.timeout(SECONDS):
        await listener.watch.started()
    assert await listener.heard() == RightsChange()
    assert listener.hearing.get_nowait()
    yield listener
    task.cancel()
    await asyncio.wait({task})


async def test_what_takes_rights_away_is_heard_and_a_use_is_not(database: Database) -> None:
    session = session_of(OWNER_ID)
    session.last_used_at = datetime(2020, 1, 1, tzinfo=UTC)
    key = factories.api_key(HOME_WORKSPACE_ID, OWNER_ID)
    await factories.save(database, session, key)
    async with (
        listening(database.url) as listener,
        Database(database.url, pool_size=1, role=ACCOUNTS) as accounts,
    ):
        uses = Uses(accounts, factories.FixedClock())
        uses.note(session.id, None)
        uses.note(None, key.id)
        await uses.write()
        async with database.acquire() as connection:
            used = "select last_used_at = $2 from {} where id = $1"
            for table, id in (("sessions", session.id), ("api_keys", key.id)):
                assert await connection.fetchval(used.format(table), id, factories.NOW)
            await connection.execute(
                "update sessions set ended_at = now() where id = $1", session.id
            )
            assert (await listener.heard()).session_id == session.id
            await connection.execute("update api_keys set revoked_at = now() where id = $1", key.id)
            assert (await listener.heard()).api_key_id == key.id
            await connection.execute(
                "update users set status = 'deactivated' where id = $1", OWNER_ID
            )
            change = await listener.heard()
    assert change == RightsChange(user_id=OWNER_ID)


async def test_after_an_outage_anything_may_have_changed(database: Database) -> None:
    async with listening(database.url) as listener:
        async with database.acquire() as connection:
            await connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = $1 and datname = current_database()",
                NAME,
            )
        async with asyncio.timeout(SECONDS):
            assert not await listener.hearing.get()
            assert await listener.hearing.get()
        assert await listener.heard() == RightsChange()
        async with database.acquire() as connection:
            await connection.execute("select pg_notify('penstock_rights', 'no json')")
        assert await listener.heard() == RightsChange()
