"""Groups of members, and what is shared with them."""

from typing import Annotated, Any
from uuid import UUID

import strawberry

from domain import connectors, identity, secrets
from domain.identity import (
    DeletedGroup,
    Group,
    GroupNotFound,
    GroupPatch,
    Member,
    MemberNotFound,
    Permission,
    ResourceKind,
    ResourceNotFound,
    ResourceShare,
    UnsharedResource,
    Workspace,
)
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import as_given, chosen, inside, user_key
from resolvers.paging import After, Before, First, Last
from schema.inputs.identity.groups import (
    AddGroupMemberInput,
    CreateGroupInput,
    DeleteGroupInput,
    RemoveGroupMemberInput,
    ShareResourceInput,
    UnshareResourceInput,
    UpdateGroupInput,
)

_KINDS = {"Connector": ResourceKind.CONNECTOR, "Secret": ResourceKind.SECRET}
_TYPES = {kind: name for name, kind in _KINDS.items()}


async def page_of(
    root: strawberry.Parent[Workspace],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Group]:
    """A page of a workspace's groups, oldest first."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.id, Permission.READ_DATA)
    return await identity.groups_of(context.database, root.id, asked)


async def members_of(
    root: strawberry.Parent[Group],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Member]:
    """A page of a group's members, by user id."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.workspace_id, Permission.READ_DATA)
    return await identity.group_members(context.database, root, asked)


async def shares_of(
    root: strawberry.Parent[Group],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[ResourceShare]:
    """A page of what is shared with a group, oldest first."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.workspace_id, Permission.READ_DATA)
    return await identity.shares_of(context.database, root, asked)


def group_id_of(root: strawberry.Parent[Any]) -> str:
    """The global id of the group an object is about."""
    return ids.global_id("Group", root.group_id)


def resource_id_of(root: strawberry.Parent[Any]) -> str:
    """The global id of what is shared."""
    return ids.global_id(_TYPES[root.kind], root.resource_id)


async def group_of(root: strawberry.Parent[ResourceShare], info: Info) -> Group | None:
    """The group something is shared with."""
    return await info.context.groups.load(root.group_id)


async def create(
    info: Info,
    input: Annotated[CreateGroupInput, strawberry.argument(description="The group to create.")],
) -> Group:
    """Make a group."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.MANAGE_GROUPS)
    services = context.services
    values = GroupPatch(name=input.name, description=input.description)
    async with context.database.write() as session:
        workspace = await identity.held(session, viewer.workspace_id)
        return await identity.create_group(
            session, workspace, services.ids.new(), values, services.clock.now()
        )


async def update(
    info: Info,
    input: Annotated[UpdateGroupInput, strawberry.argument(description="What to change.")],
) -> Group:
    """Change a group."""
    context, group = await _managed(info.context, input.id)
    patch = GroupPatch()
    if input.name is not None:
        patch["name"] = input.name.value
    if input.description is not None:
        patch["description"] = input.description.value
    with as_given(GroupNotFound, input.id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            group = await identity.group_by_id(session, group.workspace_id, group.id)
            now = context.services.clock.now()
            return await identity.update_group(session, group, patch, now)


async def delete(
    info: Info,
    input: Annotated[DeleteGroupInput, strawberry.argument(description="What to delete.")],
) -> DeletedGroup:
    """Forget a group."""
    context, group = await _managed(info.context, input.id)
    with as_given(GroupNotFound, input.id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            group = await identity.group_by_id(session, group.workspace_id, group.id)
            return await identity.delete_group(session, group)


async def add_member(
    info: Info,
    input: Annotated[AddGroupMemberInput, strawberry.argument(description="Whom to add.")],
) -> Group:
    """Put a member into a group."""
    context, group = await _managed(info.context, input.group_id)
    user_id = user_key(input.user_id)
    with as_given(MemberNotFound, input.user_id), as_given(GroupNotFound, input.group_id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            group = await identity.group_by_id(session, group.workspace_id, group.id)
            now = context.services.clock.now()
            return await identity.add_to_group(session, group, user_id, now)


async def remove_member(
    info: Info,
    input: Annotated[RemoveGroupMemberInput, strawberry.argument(description="Whom to take out.")],
) -> Group:
    """Take a member out of a group."""
    context, group = await _managed(info.context, input.group_id)
    user_id = user_key(input.user_id)
    with as_given(MemberNotFound, input.user_id), as_given(GroupNotFound, input.group_id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            group = await identity.group_by_id(session, group.workspace_id, group.id)
            return await identity.take_from_group(session, group, user_id)


async def share(
    info: Info,
    input: Annotated[ShareResourceInput, strawberry.argument(description="What to share.")],
) -> ResourceShare:
    """Share a resource with a group."""
    context, group = await _managed(info.context, input.group_id)
    kind, key = _resource(input.resource_id)
    services = context.services
    with as_given(GroupNotFound, input.group_id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            group = await identity.group_by_id(session, group.workspace_id, group.id)
            found: object = None
            if kind is ResourceKind.CONNECTOR:
                found = await connectors.by_id(session, context.viewer, key)
            else:
                found = await secrets.by_id(session, context.viewer, key)
            if found is None:
                raise ResourceNotFound(id=input.resource_id)
            given = ResourceShare(
                id=services.ids.new(),
                workspace_id=group.workspace_id,
                group_id=group.id,
                kind=kind,
                resource_id=key,
                access=input.access,
                created_at=services.clock.now(),
            )
            return await identity.share(session, given)


async def unshare(
    info: Info,
    input: Annotated[UnshareResourceInput, strawberry.argument(description="What to unshare.")],
) -> UnsharedResource:
    """Share a resource with a group no longer."""
    context, group = await _managed(info.context, input.group_id)
    kind, key = _resource(input.resource_id)
    with as_given(ResourceNotFound, input.resource_id):
        async with context.database.write() as session:
            await identity.held(session, group.workspace_id)
            return await identity.unshare(session, group, kind, key)


async def visible(context: Context, id: str) -> Group | None:
    """The group with this global id, if the viewer may see it."""
    key = ids.uuid_in(id, "Group")
    return None if key is None else await context.groups.load(key)


async def _managed(context: Context, id: str) -> tuple[Context, Group]:
    """A group and the context in its workspace, whose groups the viewer may manage."""
    group = await visible(context, id)
    if group is None:
        raise GroupNotFound(id=id)
    return await inside(context, group.workspace_id, Permission.MANAGE_GROUPS), group


def _resource(id: str) -> tuple[ResourceKind, UUID]:
    try:
        type_name, key = ids.parts(id)
        return _KINDS[type_name], UUID(key)
    except (ValueError, KeyError) as error:
        raise ResourceNotFound(id=id) from error
