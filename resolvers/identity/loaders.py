"""People, workspaces and groups in batches: one statement for all objects of a page."""

from uuid import UUID

from aiodataloader import DataLoader

from domain import identity
from domain.identity import Group, Standing, User, Viewer, Workspace
from domain.ports import Database


class UserLoader(DataLoader[UUID, User | None]):
    """The users that the viewer may know; None for others."""

    cache = False
    max_batch_size = 1000

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self._database, self._viewer = database, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[User | None]:
        """Load each key once, in one statement."""
        async with self._database.read() as session:
            found = await identity.users_by_ids(session, self._viewer, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]


class StandingLoader(DataLoader[UUID, Standing | None]):
    """What the viewer's user is in workspaces; None where they are no member, and for API keys."""

    cache = False
    max_batch_size = 1000

    def __init__(self, accounts: Database, viewer: Viewer) -> None:
        super().__init__()
        self._accounts, self._viewer = accounts, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[Standing | None]:
        """Load each key once, in one statement."""
        async with self._accounts.read() as session:
            found = await identity.standings(session, self._viewer, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]


class WorkspaceLoader(DataLoader[UUID, Workspace | None]):
    """The workspaces that the viewer is in; None for others."""

    cache = False
    max_batch_size = 1000

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self._database, self._viewer = database, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[Workspace | None]:
        """Load each key once, in one statement."""
        async with self._database.read() as session:
            found = await identity.workspaces_by_ids(
                session, self._viewer, list(dict.fromkeys(keys))
            )
        return [found.get(key) for key in keys]


class GroupLoader(DataLoader[UUID, Group | None]):
    """The groups of workspaces that the viewer is in; None for others."""

    cache = False
    max_batch_size = 1000

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self._database, self._viewer = database, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[Group | None]:
        """Load each key once, in one statement."""
        async with self._database.read() as session:
            found = await identity.groups_by_ids(session, self._viewer, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]
