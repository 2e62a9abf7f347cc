"""The database as viewers and as the accounts' service see it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.identity import PERMISSIONS, Role, Viewer
from infra.postgres.database import Database
from infra.postgres.roles import ACCOUNTS, API
from infra.postgres.tenancy import Tenancy
from tests import factories
from tests.factories import HOME_WORKSPACE_ID, OWNER_ID

HOME = Viewer(HOME_WORKSPACE_ID, user_id=OWNER_ID)
"""The owner of the workspace that every test's database has."""


async def a_tenant(database: Database, role: Role = Role.OWNER) -> Viewer:
    """A new workspace with an owner, and a viewer of this role in it."""
    workspace, owner, other = factories.workspace(), factories.user(), factories.user()
    ids = workspace.id, owner.id, other.id
    await factories.save(database, workspace, owner, other)
    members = [factories.member(ids[0], ids[1])]
    if role is not Role.OWNER:
        members.append(factories.member(ids[0], ids[2], role))
    await factories.save(database, *members)
    user_id = ids[1] if role is Role.OWNER else ids[2]
    return Viewer(ids[0], user_id=user_id, permissions=PERMISSIONS[role])


@asynccontextmanager
async def tenancy(url: str) -> AsyncIterator[Tenancy]:
    """A migrated database by roles."""
    async with (
        Database(url, pool_size=5, role=API) as api,
        Database(url, pool_size=5, role=ACCOUNTS) as accounts,
    ):
        yield Tenancy(api, accounts)
