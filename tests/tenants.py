"""The database as viewers and as the accounts' service see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.identity import Viewer
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS, API
from infra.postgres.tenancy import Tenancy
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID

HOME = Viewer(HOME_WORKSPACE_ID, user_id=OWNER_ID)
"""The owner of the workspace that every test's database has."""


@asynccontextmanager
async def tenancy(url: str) -> AsyncIterator[Tenancy]:
    """A migrated database by roles."""
    async with (
        Database(url, pool_size=5, role=API) as api,
        Database(url, pool_size=5, role=ACCOUNTS) as accounts,
    ):
        yield Tenancy(api, accounts)
