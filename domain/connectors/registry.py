"""Making, changing, starting, stopping and finding connectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from domain.connectors.entities import (
    Connector,
    ConnectorProtocol,
    ConnectorState,
    ConnectorStatus,
    Venue,
)
from domain.connectors.errors import (
    ConnectorLimitReached,
    ConnectorNameTaken,
    ConnectorNotFound,
    NoFieldsToUpdate,
)
from domain.connectors.lifecycle import AT_WORK, STARTING_GRACE, ConnectorEvent, next_state
from domain.connectors.ports import ConnectorChecks
from domain.connectors.references import (
    UNCHANGED,
    SecretChanges,
    filled,
    note_references,
    referred,
    without,
)
from domain.connectors.rules import (
    Configuration,
    ConfigurationPatch,
    check_source,
    checked,
    origin_of,
    protocol_of,
    venue_of,
)
from domain.connectors.secrets import (
    Secrets,
    kept_fields,
    merged,
    open_secrets,
    seal_secrets,
    secret_fields,
)
from domain.errors import InvalidInput, StaleVersion
from domain.identity import Viewer
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Clock, Database, Ids, Vault

CONNECTOR_LIMIT = 1000
FILTER_LIMIT = 100
SEARCH_LIMIT = 200
_MAKING = 0x636F6E6E
"""What tells this advisory lock of a workspace from others."""


@dataclass(frozen=True, slots=True)
class ConnectorFilter:
    """Which connectors; an empty set asks for all, `search` is part of the name or URL, any case."""

    search: str | None = None
    protocols: frozenset[ConnectorProtocol] = frozenset()
    venues: frozenset[Venue] = frozenset()
    states: frozenset[ConnectorState] = frozenset()
    enabled: bool | None = None

    def __post_init__(self) -> None:
        if self.search is not None and (len(self.search) > SEARCH_LIMIT or "\0" in self.search):
            raise InvalidInput(field="filter.search", reason=f"must be at most {SEARCH_LIMIT} long")


@dataclass(frozen=True, slots=True)
class DeletedConnector:
    """What was deleted."""

    connector_id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """What making and changing connectors takes from outside."""

    vault: Vault
    checks: ConnectorChecks
    clock: Clock
    ids: Ids


async def draft(
    workshop: Workshop,
    viewer: Viewer,
    configuration: Configuration,
    secrets: SecretChanges = UNCHANGED,
) -> tuple[Connector, Secrets]:
    """A checked connector that is not stored, and its own secrets; raises InvalidInput, AddressRefused."""
    references = referred({}, secrets.own, secrets.references)
    own = merged(Secrets(), secrets.own)
    whole = filled(own, references, secrets.values)
    settled = checked(configuration, whole, workshop.checks)
    await check_source(settled.url, workshop.checks)
    now = workshop.clock.now()
    connector = Connector(
        id=workshop.ids.new(),
        workspace_id=viewer.workspace_id,
        protocol=protocol_of(settled.url),
        secret_fields=secret_fields(whole),
        secret_references=dict(references),
        created_at=now,
        updated_at=now,
        **_columns(settled),
    )
    connector.sealed = seal_secrets(workshop.vault, connector.id, own)
    return connector, own


async def create(
    session: AsyncSession,
    viewer: Viewer,
    connector: Connector,
    secrets: SecretChanges = UNCHANGED,
) -> Connector:
    """Store a drafted connector with its status; raises ConnectorLimitReached, ConnectorNameTaken."""
    # Not the workspace's row: only those who may change it can lock that.
    await session.scalar(
        select(func.pg_advisory_xact_lock(func.hashtextextended(str(viewer.workspace_id), _MAKING)))
    )
    owned = select(func.count()).where(col(Connector.workspace_id) == viewer.workspace_id)
    if (await session.scalar(owned) or 0) >= CONNECTOR_LIMIT:
        raise ConnectorLimitReached(limit=CONNECTOR_LIMIT)
    session.add(connector)
    await _flush(session, connector.name)
    session.add(
        ConnectorStatus(
            connector_id=connector.id,
            workspace_id=viewer.workspace_id,
            since=connector.created_at,
        )
    )
    await session.flush()
    note_references(session, connector, secrets)
    return connector


async def update(
    session: AsyncSession,
    workshop: Workshop,
    connector: Connector,
    configuration: ConfigurationPatch,
    secrets: SecretChanges = UNCHANGED,
) -> Connector:
    """Change a locked connector; raises InvalidInput, ConnectorNameTaken, NoFieldsToUpdate.

    Looking up a new URL's address takes time: `check_source` does so before the connector is locked.
    """
    if not configuration and not secrets:
        raise NoFieldsToUpdate
    revise(workshop, connector, configuration, secrets)
    connector.version += 1
    connector.updated_at = workshop.clock.now()
    await _flush(session, connector.name)
    note_references(session, connector, secrets)
    return connector


def revise(
    workshop: Workshop,
    connector: Connector,
    configuration: ConfigurationPatch,
    secrets: SecretChanges = UNCHANGED,
) -> Secrets:
    """Apply checked changes to a connector and return its own secrets; raises InvalidInput.

    Secrets go to no other host than they were given for: a URL of another origin wants them anew, and those it refers
    to named again, by somebody who may use them.
    """
    stored = open_secrets(workshop.vault, connector)
    references = referred(connector.secret_references, secrets.own, secrets.references)
    own = without(merged(stored, secrets.own), references)
    whole = filled(own, references, secrets.values)
    settled = checked(_patched(connector, configuration), whole, workshop.checks)
    named = secrets.references or {}
    kept = kept_fields(without(stored, references), secrets.own)
    kept += [field for field in references if field not in named]
    if kept and origin_of(settled.url) != origin_of(connector.url):
        raise InvalidInput(
            field="url",
            reason=f"is of another host; give the secrets again or clear them: {', '.join(kept)}",
        )
    for name, value in _columns(settled).items():
        setattr(connector, name, value)
    connector.protocol = protocol_of(settled.url)
    if secrets:
        connector.sealed = seal_secrets(workshop.vault, connector.id, own)
        connector.secret_fields = secret_fields(whole)
        connector.secret_references = dict(references)
    return own


async def start(session: AsyncSession, clock: Clock, connector: Connector) -> Connector:
    """Have a locked connector run; one that runs already is left as it is."""
    if not connector.enabled:
        connector.enabled = True
        await _enter(session, clock, connector, ConnectorEvent.STARTED)
    return connector


async def stop(session: AsyncSession, clock: Clock, connector: Connector) -> Connector:
    """Have a locked connector rest; a process that runs it says itself when it has stopped."""
    if connector.enabled:
        connector.enabled = False
        await _enter(session, clock, connector, ConnectorEvent.STOPPED)
    return connector


async def delete(session: AsyncSession, connector: Connector) -> DeletedConnector:
    """Forget a locked connector, its secrets and status; its messages stay until retention drops them."""
    await session.delete(connector)
    await session.flush()
    return DeletedConnector(connector_id=connector.id, name=connector.name)


async def locked(
    session: AsyncSession, viewer: Viewer, id: UUID, expected_version: int | None = None
) -> Connector:
    """The viewer's connector, held against other changes; raises ConnectorNotFound, StaleVersion."""
    connector = await session.scalar(_one(viewer, id).with_for_update())
    if connector is None:
        raise ConnectorNotFound(id=str(id))
    if expected_version is not None and connector.version != expected_version:
        raise StaleVersion(expected=expected_version, actual=connector.version)
    return connector


async def started(session: AsyncSession, viewer: Viewer) -> int:
    """How many connectors of the workspace are meant to run."""
    counted = select(func.count()).where(
        col(Connector.workspace_id) == viewer.workspace_id, col(Connector.enabled).is_(True)
    )
    return await session.scalar(counted) or 0


async def by_id(session: AsyncSession, viewer: Viewer, id: UUID) -> Connector | None:
    """The viewer's connector with this id."""
    return await session.scalar(_one(viewer, id))


async def by_ids(
    session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, Connector]:
    """The viewer's connectors with these ids."""
    found = await session.exec(
        select(Connector).where(
            col(Connector.workspace_id) == viewer.workspace_id, col(Connector.id).in_(ids)
        )
    )
    return {connector.id: connector for connector in found}


async def statuses_by_ids(
    session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, ConnectorStatus]:
    """How the viewer's connectors with these ids are doing."""
    found = await session.exec(
        select(ConnectorStatus).where(
            col(ConnectorStatus.workspace_id) == viewer.workspace_id,
            col(ConnectorStatus.connector_id).in_(ids),
        )
    )
    return {status.connector_id: status for status in found}


async def statuses(
    session: AsyncSession, workspace_id: UUID, connector_id: UUID | None = None
) -> Sequence[ConnectorStatus]:
    """How one connector of a workspace, or all of them, are doing."""
    statement = select(ConnectorStatus).where(col(ConnectorStatus.workspace_id) == workspace_id)
    if connector_id is not None:
        statement = statement.where(col(ConnectorStatus.connector_id) == connector_id)
    return (await session.exec(statement)).all()


async def connectors(
    database: Database, viewer: Viewer, filter: ConnectorFilter, window: Window
) -> Page[Connector]:
    """A page of the viewer's connectors, oldest first; raises InvalidInput for a cursor that is none."""
    statement = select(Connector).where(col(Connector.workspace_id) == viewer.workspace_id)
    if filter.search:
        statement = statement.where(
            col(Connector.name).icontains(filter.search, autoescape=True)
            | col(Connector.url).icontains(filter.search, autoescape=True)
        )
    if filter.protocols:
        statement = statement.where(col(Connector.protocol).in_(filter.protocols))
    if filter.venues:
        statement = statement.where(col(Connector.venue).in_(filter.venues))
    if filter.enabled is not None:
        statement = statement.where(col(Connector.enabled) == filter.enabled)
    if filter.states:
        statement = statement.where(
            col(Connector.id).in_(
                select(col(ConnectorStatus.connector_id)).where(_shown_in(filter.states))
            )
        )
    keyset = Keyset[Connector](UUID, col(Connector.id), lambda item: item.id, newest_first=False)
    return await keyset.page(database, statement, window)


def _one(viewer: Viewer, id: UUID) -> SelectOfScalar[Connector]:
    return select(Connector).where(
        col(Connector.id) == id, col(Connector.workspace_id) == viewer.workspace_id
    )


def _shown_in(states: frozenset[ConnectorState]) -> ColumnElement[bool]:
    """Whether a stored status is in one of the states as `as_of` shows it, by the database's clock."""
    state, leased_until = col(ConnectorStatus.state), col(ConnectorStatus.leased_until)
    waiting = (state == ConnectorState.STARTING) & (
        col(ConnectorStatus.since) > func.now() - STARTING_GRACE
    )
    leased = leased_until.is_not(None) & (leased_until >= func.now())
    holds = state.not_in(AT_WORK) | leased | waiting
    found = state.in_(states) & holds
    return found | ~holds if ConnectorState.INACTIVE in states else found


def _columns(settled: Configuration) -> dict[str, Any]:
    return {
        "name": settled.name,
        "url": settled.url,
        "venue": settled.venue,
        "method": settled.method,
        "body": settled.body,
        "polling_interval_ms": settled.polling_interval_ms,
        "subscribe_frames": list(settled.subscribe_frames),
        "stale_after_ms": settled.stale_after_ms,
        "mapping": _plain(settled.mapping),
        "auth_type": settled.auth_type,
        "signing": _plain(settled.signing),
    }


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def _patched(connector: Connector, patch: ConfigurationPatch) -> Configuration:
    """What the connector would be; a venue that followed from the old URL follows the new one."""
    values: dict[str, Any] = {name: getattr(connector, name) for name in Configuration.__slots__}
    if connector.venue is venue_of(connector.url):
        values["venue"] = None
    if "url" in patch and protocol_of(patch["url"]) is not connector.protocol:
        values |= {"polling_interval_ms": None}
    return Configuration(**(values | dict(patch)))


async def _enter(
    session: AsyncSession, clock: Clock, connector: Connector, event: ConnectorEvent
) -> None:
    await session.flush()
    status = await session.get(ConnectorStatus, connector.id, with_for_update=True)
    now = clock.now()
    if status is None:
        status = ConnectorStatus(
            connector_id=connector.id, workspace_id=connector.workspace_id, since=now
        )
        session.add(status)
    leased = status.leased_until is not None and status.leased_until > now
    state = next_state(status.state, event)
    if state not in (None, status.state) and not (leased and event is ConnectorEvent.STOPPED):
        status.state, status.since = state, now
    await session.flush()


async def _flush(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        if "connectors_name_key" in str(error.orig):
            raise ConnectorNameTaken(name=name) from error
        raise
