"""Relations in batches: one statement for all objects of a page."""

from uuid import UUID

from aiodataloader import DataLoader

from domain import connectors
from domain.connectors import Connector, ConnectorStatus
from domain.identity import Viewer
from domain.messages import Message, MessageLog
from domain.ports import Database


class ConnectorLoader(DataLoader[UUID, Connector | None]):
    """The viewer's connectors; None for one that is gone."""

    cache = False
    max_batch_size = 1000

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self._database, self._viewer = database, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[Connector | None]:
        """Load each key once, in one statement."""
        async with self._database.read() as session:
            found = await connectors.by_ids(session, self._viewer, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]


class StatusLoader(DataLoader[UUID, ConnectorStatus | None]):
    """How the viewer's connectors are doing."""

    cache = False
    max_batch_size = 1000

    def __init__(self, database: Database, viewer: Viewer) -> None:
        super().__init__()
        self._database, self._viewer = database, viewer

    async def batch_load_fn(self, keys: list[UUID]) -> list[ConnectorStatus | None]:
        """Load each key once, in one statement."""
        async with self._database.read() as session:
            found = await connectors.statuses_by_ids(
                session, self._viewer, list(dict.fromkeys(keys))
            )
        return [found.get(key) for key in keys]


class MessageLoader(DataLoader[int, Message | None]):
    """The viewer's messages; None for one that retention removed."""

    cache = False
    max_batch_size = 1000

    def __init__(self, log: MessageLog, viewer: Viewer) -> None:
        super().__init__()
        self._log, self._viewer = log, viewer

    async def batch_load_fn(self, keys: list[int]) -> list[Message | None]:
        """Load each key once, in one statement."""
        found = await self._log.by_ids(self._viewer, list(dict.fromkeys(keys)))
        return [found.get(key) for key in keys]
