"""What running connectors needs from the database: configuration, secrets, keys already stored; and their status kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.connectors import (
    Connector,
    ConnectorState,
    ConnectorStatus,
    Secrets,
    Vault,
    open_secrets,
)
from domain.identity import Act, Caller
from domain.messages import MessageType
from domain.secrets import Secret
from infra.feeds.named import NamedSecrets, named_secrets, versions_of
from infra.feeds.sequences import StoredKey
from infra.postgres.database import Database

# The newest messages, then those of them with a key: most streams have none, and finding none takes a whole history.
_RECENT_KEYS = """
    select key, instrument, type, sequence from (
        select id, key, instrument, type, sequence from messages
        where connector_id = $1 order by id desc limit $2
    ) recent
    where key is not null order by id desc
"""
_SAVE = """
    update connector_status set
        state = $4, since = $5, last_message_at = $6, last_error = $7, last_error_at = $8,
        message_count = $9, quarantined_count = $10, duplicate_count = $11, gap_count = $12,
        shed_count = $13, reconnect_count = $14, message_rate = $15, delay_p50_ms = $16,
        delay_p95_ms = $17
    where connector_id = $1 and leased_by = $2 and lease_epoch = $3
"""
_ENABLED = "select enabled from connectors where id = $1"
_SETTLE = """
    update connector_status s
    set state = 'stopped', since = now(), message_rate = 0, leased_by = null, leased_until = null
    from connectors c
    where c.id = s.connector_id and not c.enabled and s.leased_until < now()
    returning s.*
"""
_SECONDS = 10.0
_TYPES = {type.value: type for type in MessageType}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A connector as it is to be run, and its status as somebody last stored it."""

    connector: Connector
    status: ConnectorStatus | None
    named: Sequence[Secret] = ()

    @property
    def secrets(self) -> str:
        """The versions of the secrets it refers to."""
        return versions_of(self.named)


class StatusRows:
    """Keeps statuses under their leases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_statuses(self, statuses: Sequence[ConnectorStatus]) -> None:
        """Store statuses, each only where the lease it was made under still stands."""
        rows = [
            (
                status.connector_id,
                status.leased_by,
                status.lease_epoch,
                status.state.value,
                status.since,
                status.last_message_at,
                status.last_error,
                status.last_error_at,
                status.message_count,
                status.quarantined_count,
                status.duplicate_count,
                status.gap_count,
                status.shed_count,
                status.reconnect_count,
                status.message_rate,
                status.delay_p50_ms,
                status.delay_p95_ms,
            )
            # In the order in which leases are locked, so that neither waits for the other in a circle.
            for status in sorted(statuses, key=lambda status: status.connector_id)
        ]
        await self._database.pool.executemany(_SAVE, rows, timeout=_SECONDS)


class ConnectorStore(StatusRows):
    """Reads and writes under a connector's lease. Uses of secrets are written down as the process's own."""

    def __init__(
        self, database: Database, vault: Vault, named: NamedSecrets, process_id: UUID
    ) -> None:
        super().__init__(database)
        self._vault = vault
        self._named = named
        self._act = Act(Caller(None, f"ingest {process_id}"), "useSecret")

    async def load(self, connector_id: UUID) -> Loaded | None:
        """The connector's present configuration; None when it is gone."""
        async with self._database.read() as session:
            connector = await session.get(Connector, connector_id)
            if connector is None:
                return None
            status = await session.get(ConnectorStatus, connector_id)
            return Loaded(connector, status, await named_secrets(session, connector))

    def open_secrets(self, loaded: Loaded) -> Secrets:
        """Its secrets, with those it refers to.

        Raises ValueError when no key of the ring opens its own, InvalidInput for a reference that cannot be used.
        """
        own = open_secrets(self._vault, loaded.connector)
        return self._named.filled(loaded.connector, own, loaded.named)

    async def note_use(self, loaded: Loaded) -> None:
        """Write down that the connector uses the secrets it refers to."""
        if loaded.named:
            await self._named.note_use(loaded.connector, loaded.named, self._act)

    async def enabled(self, connector_id: UUID) -> bool | None:
        """Whether it is meant to run; None when it is gone."""
        enabled: bool | None = await self._database.pool.fetchval(
            _ENABLED, connector_id, timeout=_SECONDS
        )
        return enabled

    async def settle(self) -> list[ConnectorStatus]:
        """Call stopped what was told to stop while its process died and could not say so; returns their statuses."""
        rows = await self._database.pool.fetch(_SETTLE, timeout=_SECONDS)
        return [ConnectorStatus(**{**row, "state": ConnectorState(row["state"])}) for row in rows]

    async def recent_keys(self, connector_id: UUID, limit: int) -> list[StoredKey]:
        """Keys of its last `limit` stored messages, of those that have one, newest first."""
        rows = await self._database.pool.fetch(_RECENT_KEYS, connector_id, limit, timeout=_SECONDS)
        return [
            StoredKey(key, instrument, _TYPES[type], sequence)
            for key, instrument, type, sequence in rows
        ]
