"""Named secrets: have the domain decide, commit, then tell the connectors that use them."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from domain import connectors, secrets
from domain.connectors import Connector
from domain.errors import NotFound
from domain.identity import Permission, User, WorkspaceNotFound
from domain.paging import Page, window
from domain.secrets import DeletedSecret, Safe, Secret
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import chosen
from resolvers.paging import After, Before, First, Last
from schema.inputs.secrets import DeleteSecretInput, SetSecretInput


async def page(
    info: Info,
    workspace_id: Annotated[
        strawberry.ID | None,
        strawberry.argument(description="Whose; null: those of the workspace you act in."),
    ] = None,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Secret]:
    """A page of the secrets that the viewer may use or manage, oldest first."""
    try:
        context = await chosen(info.context, workspace_id)
    except WorkspaceNotFound as error:
        raise NotFound(field="workspaceId", id=error.id) from error
    asked = window(first, after, last, before)
    viewer = context.require(Permission.READ_DATA)
    return await secrets.secrets(context.database, viewer, asked)


async def connectors_of(
    root: strawberry.Parent[Secret],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Connector]:
    """A page of the connectors that refer to a secret, oldest first."""
    context = await chosen(info.context, ids.global_id("Workspace", root.workspace_id))
    asked = window(first, after, last, before)
    return await connectors.using(context.database, context.viewer, root.name, asked)


async def created_by(root: strawberry.Parent[Secret], info: Info) -> User | None:
    """Who made a secret; None for a program, and for somebody who is gone."""
    return None if root.created_by is None else await info.context.users.load(root.created_by)


async def updated_by(root: strawberry.Parent[Secret], info: Info) -> User | None:
    """Who set a secret last; None for a program, and for somebody who is gone."""
    return None if root.updated_by is None else await info.context.users.load(root.updated_by)


def secret_id_of(root: strawberry.Parent[DeletedSecret]) -> str:
    """The global id that a deleted secret had."""
    return ids.global_id("Secret", root.secret_id)


async def set_secret(
    info: Info,
    input: Annotated[SetSecretInput, strawberry.argument(description="The secret to set.")],
) -> Secret:
    """Make a secret, or give it another value."""
    context = info.context
    services, viewer = context.services, context.viewer
    safe = Safe(services.vault, services.clock, services.ids)
    async with context.database.write() as session:
        secret = await secrets.set_secret(
            session, safe, viewer, input.name, input.value, input.expected_version
        )
        using = await connectors.ids_using(session, viewer.workspace_id, secret.name)
    await _tell(context, using)
    return secret


async def delete(
    info: Info,
    input: Annotated[DeleteSecretInput, strawberry.argument(description="What to delete.")],
) -> DeletedSecret:
    """Forget a secret."""
    context = info.context
    async with context.database.write() as session:
        using = await connectors.ids_using(session, context.viewer.workspace_id, input.name)
        deleted = await secrets.delete_secret(session, context.viewer, input.name, input.force)
    await _tell(context, using)
    return deleted


async def visible(context: Context, id: str) -> Secret | None:
    """The secret with this global id, if the viewer may use or manage it."""
    key = ids.uuid_in(id, "Secret")
    if key is None:
        return None
    async with context.database.read() as session:
        return await secrets.by_id(session, context.viewer, key)


async def _tell(context: Context, connector_ids: Sequence[UUID]) -> None:
    for connector_id in connector_ids:
        await context.services.switchboard.connector_changed(connector_id)
