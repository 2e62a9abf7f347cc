"""API keys: made once, shown by their prefix, revoked for good."""

from typing import Annotated

import strawberry

from domain import identity
from domain.identity import (
    ApiKey,
    ApiKeyNotFound,
    CreatedApiKey,
    Permission,
    User,
    Workspace,
)
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import as_given, chosen, context_of, inside, user_of
from resolvers.paging import After, Before, First, Last
from schema.inputs.identity.keys import CreateApiKeyInput, RevokeApiKeyInput


async def page_of(
    root: strawberry.Parent[Workspace],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[ApiKey]:
    """A page of a workspace's keys, newest first."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.id, Permission.MANAGE_API_KEYS)
    return await identity.keys_of(context.database, root.id, asked)


async def page_of_viewer(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[ApiKey]:
    """A page of the keys of the workspace the viewer acts in, newest first."""
    asked = window(first, after, last, before)
    viewer = info.context.require(Permission.MANAGE_API_KEYS)
    return await identity.keys_of(info.context.database, viewer.workspace_id, asked)


def permissions_of(root: strawberry.Parent[ApiKey]) -> list[Permission]:
    """What a key may do, in the order of the permissions' table."""
    return [permission for permission in Permission if permission.value in root.permissions]


async def creator_of(root: strawberry.Parent[ApiKey], info: Info) -> User | None:
    """Who made a key; None for one who left."""
    return await info.context.users.load(root.created_by)


async def create(
    info: Info,
    input: Annotated[CreateApiKeyInput, strawberry.argument(description="The key to create.")],
) -> CreatedApiKey:
    """Make a key."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.MANAGE_API_KEYS)
    services = context.services
    text = identity.key_text(services.door.opaque.new())
    key = identity.draft_key(
        services.ids.new(),
        text,
        viewer.workspace_id,
        user_of(viewer),
        input.name,
        input.permissions,
        input.expires_at,
        services.clock.now(),
    )
    async with context.database.write() as session:
        await identity.held(session, viewer.workspace_id)
        return CreatedApiKey(await identity.create_key(session, key), text)


async def revoke(
    info: Info,
    input: Annotated[RevokeApiKeyInput, strawberry.argument(description="The key to revoke.")],
) -> ApiKey:
    """End a key."""
    found = await visible(info.context, input.id)
    if found is None:
        raise ApiKeyNotFound(id=input.id)
    context = await inside(info.context, found.workspace_id, Permission.MANAGE_API_KEYS)
    now = context.services.clock.now()
    with as_given(ApiKeyNotFound, input.id):
        async with context.database.write() as session:
            return await identity.revoke_key(
                session, found.workspace_id, found.id, context.viewer.user_id, now
            )


async def visible(context: Context, id: str) -> ApiKey | None:
    """The key with this global id, if the viewer may manage keys where it is."""
    key = ids.uuid_in(id, "ApiKey")
    if key is None:
        return None
    async with context.database.read() as session:
        found = await identity.key_by_id(session, key)
    if found is None:
        return None
    there = await context_of(context, found.workspace_id)
    return found if there and there.viewer.may(Permission.MANAGE_API_KEYS) else None
