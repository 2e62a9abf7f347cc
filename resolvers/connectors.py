"""Connectors: load, have the domain decide, commit, then announce."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, cast
from uuid import UUID

import strawberry
from sqlmodel.ext.asyncio.session import AsyncSession

from domain import connectors
from domain.connectors import (
    ConfigurationPatch,
    Connector,
    ConnectorNotFound,
    ConnectorState,
    ConnectorStatus,
    NoFieldsToUpdate,
    ReferencesPatch,
    SecretChanges,
    Secrets,
    SecretsPatch,
)
from domain.errors import InvalidInput, NotFound
from domain.identity import Permission, ResourceKind, forget_shares
from domain.live import LiveStream
from domain.messages import (
    MessageBatchRecord,
    Probe,
    QuarantinedFrame,
    SequenceGap,
    probe,
    records,
)
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.paging import After, Before, First, Last
from resolvers.rights import connector_for
from schema.inputs.connectors import (
    ConnectorFilter,
    CreateConnectorInput,
    DeleteConnectorInput,
    NamedSecretInput,
    SecretReferenceInput,
    StartConnectorInput,
    StopConnectorInput,
    TestConnectorInput,
    UpdateConnectorInput,
)

_CONFIGURATION = (
    "name",
    "url",
    "venue",
    "method",
    "body",
    "polling_interval_ms",
    "subscribe_frames",
    "stale_after_ms",
    "mapping",
    "auth_type",
    "signing",
)
_SECRETS = ("api_key", "api_secret", "passphrase", "bearer_token", "username", "password")
_PAIRS = (("headers", "headers"), ("query_parameters", "queryParameters"))


async def page(
    info: Info,
    filter: Annotated[
        ConnectorFilter | None, strawberry.argument(description="Which connectors; null: all.")
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Connector]:
    """A page of connectors, oldest first."""
    asked = connectors.ConnectorFilter()
    if filter is not None:
        asked = connectors.ConnectorFilter(
            search=filter.search,
            protocols=frozenset(filter.protocols or ()),
            venues=frozenset(filter.venues or ()),
            states=frozenset(filter.states or ()),
            enabled=filter.enabled,
        )
    context = info.context
    viewer = context.require(Permission.READ_DATA)
    return await connectors.connectors(
        context.database, viewer, asked, window(first, after, last, before)
    )


async def batches_of(
    root: strawberry.Parent[Connector],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[MessageBatchRecord]:
    """A page of a connector's batches, newest first."""
    context = info.context
    asked = window(first, after, last, before)
    viewer = context.require(Permission.READ_DATA)
    return await records.batches(context.database, viewer, root.id, asked)


async def quarantine_of(
    root: strawberry.Parent[Connector],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[QuarantinedFrame]:
    """A page of a connector's quarantined frames, newest first."""
    context = info.context
    asked = window(first, after, last, before)
    viewer = context.require(Permission.READ_DATA)
    return await records.quarantine(context.database, viewer, root.id, asked)


async def sequence_gaps_of(
    root: strawberry.Parent[Connector],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[SequenceGap]:
    """A page of a connector's sequence gaps, newest first."""
    context = info.context
    asked = window(first, after, last, before)
    viewer = context.require(Permission.READ_DATA)
    return await records.sequence_gaps(context.database, viewer, root.id, asked)


async def status_of(root: strawberry.Parent[Connector], info: Info) -> ConnectorStatus | None:
    """How a connector is doing."""
    status = await info.context.statuses.load(root.id)
    return None if status is None else connectors.as_of(status, info.context.services.clock.now())


async def state_of(root: strawberry.Parent[Connector], info: Info) -> ConnectorState:
    """Where a connector is in its life."""
    status = await status_of(root, info)
    return ConnectorState.INACTIVE if status is None else status.state


async def connector_of(root: strawberry.Parent[Any], info: Info) -> Connector | None:
    """The connector an object belongs to; None when it is gone."""
    return await info.context.connectors.load(root.connector_id)


def references_of(root: strawberry.Parent[Connector]) -> list[connectors.Reference]:
    """Which of a connector's fields take the values of named secrets."""
    return connectors.references_of(root)


def connector_id_of(root: strawberry.Parent[Any]) -> str:
    """The global id of the connector an object belongs to."""
    return ids.global_id("Connector", root.connector_id)


async def create(
    info: Info,
    input: Annotated[
        CreateConnectorInput, strawberry.argument(description="The connector to create.")
    ],
) -> Connector:
    """Make a connector."""
    context = info.context
    viewer = context.require(Permission.MANAGE_CONNECTORS)
    configuration, own, references = _created(input)
    async with context.database.read() as session:
        secrets = await _secrets(session, context, own, references)
    connector, _ = await connectors.draft(context.workshop, viewer, configuration, secrets)
    async with context.database.write() as session:
        await _secrets(session, context, own, references)  # they may be gone by now, else stay
        return await connectors.create(session, viewer, connector, secrets)


async def update(
    info: Info,
    input: Annotated[UpdateConnectorInput, strawberry.argument(description="What to change.")],
) -> Connector:
    """Change a connector."""
    context = info.context
    await connector_for(context, input.id, Permission.MANAGE_CONNECTORS)
    configuration, own, references = await _changed(context, input)
    async with context.database.write() as session:
        secrets = await _secrets(session, context, own, references)
        connector = await _locked(session, context, input.id, input.expected_version)
        await connectors.update(session, context.workshop, connector, configuration, secrets)
    await context.services.switchboard.connector_changed(connector.id)
    return connector


async def delete(
    info: Info,
    input: Annotated[DeleteConnectorInput, strawberry.argument(description="What to delete.")],
) -> connectors.DeletedConnector:
    """Forget a connector."""
    context = info.context
    viewer = context.require(Permission.MANAGE_CONNECTORS)
    async with context.database.write() as session:
        connector = await _locked(session, context, input.id)
        await forget_shares(session, viewer.workspace_id, ResourceKind.CONNECTOR, connector.id)
        deleted = await connectors.delete(session, connector)
    await context.services.switchboard.connector_changed(connector.id)
    return deleted


async def start(
    info: Info,
    input: Annotated[StartConnectorInput, strawberry.argument(description="What to start.")],
) -> Connector:
    """Have a connector run."""
    context = info.context
    await connector_for(context, input.id, Permission.MANAGE_CONNECTORS)
    async with context.database.write() as session:
        connector = await _locked(session, context, input.id)
        await connectors.start(session, context.services.clock, connector)
    await context.services.switchboard.connector_changed(connector.id)
    return connector


async def stop(
    info: Info,
    input: Annotated[StopConnectorInput, strawberry.argument(description="What to stop.")],
) -> Connector:
    """Have a connector rest."""
    context = info.context
    await connector_for(context, input.id, Permission.MANAGE_CONNECTORS)
    async with context.database.write() as session:
        connector = await _locked(session, context, input.id)
        await connectors.stop(session, context.services.clock, connector)
    await context.services.switchboard.connector_changed(connector.id)
    return connector


async def test(
    info: Info,
    input: Annotated[TestConnectorInput, strawberry.argument(description="What to test.")],
) -> Probe:
    """Try a connector without storing anything."""
    context = info.context
    connector, own = await _candidate(context, input)
    secrets = await context.services.named_secrets.opened(connector, own, context.act)
    return await probe(context.services.prober, connector, secrets)


async def statuses(
    info: Info,
    connector_id: Annotated[
        strawberry.ID | None, strawberry.argument(description="One connector; null: all of them.")
    ] = None,
) -> LiveStream[ConnectorStatus]:
    """How connectors are doing, live."""
    context = info.context
    context.require(Permission.READ_DATA)
    key = ids.connector_key("connectorId", connector_id)
    if key is not None and connector_id is not None:
        async with context.database.read() as session:
            if await connectors.by_id(session, context.viewer, key) is None:
                raise NotFound(field="connectorId", id=connector_id)
    return context.services.feed.statuses(context.viewer, key)


async def _candidate(context: Context, input: TestConnectorInput) -> tuple[Connector, Secrets]:
    """The connector to test, and its own secrets."""
    if input.configuration is not None:
        context.require(Permission.MANAGE_CONNECTORS)
        configured, own, references = _created(input.configuration.value)
        async with context.database.read() as session:
            secrets = await _secrets(session, context, own, references)
        return await connectors.draft(context.workshop, context.viewer, configured, secrets)
    if input.changes is not None:
        await connector_for(context, input.changes.value.id, Permission.MANAGE_CONNECTORS)
        configuration, own, references = await _changed(context, input.changes.value)
        connector = await _stored(context, input.changes.value.id)
        async with context.database.read() as session:
            secrets = await _secrets(session, context, own, references)
        return connector, connectors.revise(context.workshop, connector, configuration, secrets)
    if input.id is None:
        raise InvalidInput(field="id", reason="must not be null")
    await connector_for(context, input.id.value, Permission.MANAGE_CONNECTORS)
    connector = await _stored(context, input.id.value)
    return connector, connectors.open_secrets(context.services.vault, connector)


async def _locked(
    session: AsyncSession, context: Context, id: str, expected_version: int | None = None
) -> Connector:
    try:
        return await connectors.locked(session, context.viewer, _key(id), expected_version)
    except ConnectorNotFound as error:
        raise ConnectorNotFound(id=id) from error


async def _stored(context: Context, id: str) -> Connector:
    async with context.database.read() as session:
        connector = await connectors.by_id(session, context.viewer, _key(id))
    if connector is None:
        raise ConnectorNotFound(id=id)
    return connector


def _key(id: str) -> UUID:
    key = ids.uuid_in(id, "Connector")
    if key is None:
        raise ConnectorNotFound(id=id)
    return key


async def _secrets(
    session: AsyncSession, context: Context, own: SecretsPatch, references: ReferencesPatch
) -> SecretChanges:
    admitted = await connectors.admitted(
        session, context.services.vault, context.viewer, references
    )
    return SecretChanges(own, references, admitted)


def _created(
    input: CreateConnectorInput,
) -> tuple[connectors.Configuration, SecretsPatch, ReferencesPatch]:
    values = {name: getattr(input, name) for name in _CONFIGURATION}
    values["subscribe_frames"] = input.subscribe_frames or []
    secrets: dict[str, Any] = {name: getattr(input, name) for name in _SECRETS}
    for name, field in _PAIRS:
        secrets[name] = _pairs(field, getattr(input, name) or ())
    references = _references(input.secret_references or ())
    return connectors.Configuration(**values), cast("SecretsPatch", secrets), references


async def _changed(
    context: Context, input: UpdateConnectorInput
) -> tuple[ConfigurationPatch, SecretsPatch, ReferencesPatch]:
    """The changes of an input, a new URL's address looked up before anything is locked."""
    configuration: dict[str, Any] = _given(input, _CONFIGURATION)
    secrets: dict[str, Any] = _given(input, _SECRETS)
    for name, field in _PAIRS:
        given = getattr(input, name)
        if given is not None:
            secrets[name] = None if given.value is None else _pairs(field, given.value)
    references: ReferencesPatch = {}
    if input.secret_references is not None:
        given_references = input.secret_references.value
        references = None if given_references is None else _references(given_references)
    if not configuration and not SecretChanges(cast("SecretsPatch", secrets), references):
        raise NoFieldsToUpdate
    if "url" in configuration:
        await connectors.check_source(configuration["url"], context.services.checks)
    return cast("ConfigurationPatch", configuration), cast("SecretsPatch", secrets), references


def _given(input: UpdateConnectorInput, names: Sequence[str]) -> dict[str, Any]:
    given = {name: getattr(input, name) for name in names}
    return {name: some.value for name, some in given.items() if some is not None}


def _references(references: Sequence[SecretReferenceInput]) -> Mapping[str, str | None]:
    named = {reference.field: reference.secret for reference in references}
    if len(named) != len(references):
        raise InvalidInput(field="secretReferences", reason="names one field twice")
    return named


def _pairs(field: str, pairs: Sequence[NamedSecretInput]) -> Mapping[str, str | None]:
    values = {pair.name: pair.value for pair in pairs}
    if len(values) != len(pairs):
        raise InvalidInput(field=field, reason="names one twice")
    return values
