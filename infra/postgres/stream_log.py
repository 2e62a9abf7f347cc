"""The stored stream, both halves: read by columns, written through the batch writer."""

from collections.abc import Sequence
from uuid import UUID

from domain.identity import Act, Viewer
from domain.messages import NewMessage, SavedMessages
from infra.postgres.database import Source
from infra.postgres.message_log import PostgresMessageLog
from infra.postgres.saving import MessageSaver
from infra.postgres.tenancy import Tenancy


class StreamLog(PostgresMessageLog):
    """Implements `domain.messages.MessageLog`."""

    def __init__(self, database: Source, saver: MessageSaver) -> None:
        super().__init__(database)
        self._saver = saver

    async def save(
        self,
        viewer: Viewer,
        connector_id: UUID,
        exchange: str,
        messages: Sequence[NewMessage],
        idempotency_key: str,
    ) -> SavedMessages:
        """Store all or nothing and announce; the same key twice stores once."""
        return await self._saver.save(viewer, connector_id, exchange, messages, idempotency_key)


class StreamLogs:
    """Implements `domain.messages.Logs`."""

    def __init__(self, databases: Tenancy, saver: MessageSaver) -> None:
        self._databases = databases
        self._saver = saver

    def of(self, act: Act) -> StreamLog:
        """As the caller's viewer; raises Unauthenticated."""
        return StreamLog(self._databases.of(act), self._saver)
