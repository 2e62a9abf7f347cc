"""Workspaces, who is in them, and who is invited."""

from typing import Annotated, Any

import strawberry

from domain import connectors, identity
from domain.identity import (
    INVITATION_LIFETIME,
    DeletedWorkspace,
    FormerMember,
    Invitation,
    InvitationNotFound,
    Member,
    MemberNotFound,
    Permission,
    Role,
    User,
    Workspace,
    WorkspaceInUse,
    WorkspaceNotFound,
    WorkspacePatch,
    registration,
)
from domain.paging import Page, window
from resolvers import ids
from resolvers.context import Context, Info
from resolvers.identity.scope import as_given, chosen, context_of, inside, user_key, user_of
from resolvers.paging import After, Before, First, Last
from schema.inputs.identity.workspaces import (
    AcceptInvitationInput,
    ChangeMemberRoleInput,
    CreateWorkspaceInput,
    DeleteWorkspaceInput,
    InviteMemberInput,
    LeaveWorkspaceInput,
    RemoveMemberInput,
    RevokeInvitationInput,
    TransferOwnershipInput,
    UpdateWorkspaceInput,
)


async def workspace(
    info: Info,
    id: Annotated[
        strawberry.ID | None,
        strawberry.argument(description="Which; null: the one the request acts in."),
    ] = None,
) -> Workspace | None:
    """A workspace that the viewer is in; None for any other."""
    context = info.context
    key = context.viewer.workspace_id if id is None else ids.uuid_in(id, "Workspace")
    return None if key is None else await context.workspaces.load(key)


async def of_viewer(info: Info) -> Workspace:
    """The workspace the viewer acts in."""
    found = await info.context.workspaces.load(info.context.viewer.workspace_id)
    if found is None:
        raise WorkspaceNotFound(id=ids.global_id("Workspace", info.context.viewer.workspace_id))
    return found


async def page_of_viewer(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Workspace]:
    """A page of the workspaces the viewer is in, oldest first."""
    context, asked = info.context, window(first, after, last, before)
    return await identity.workspaces_of(context.database, context.viewer, asked)


async def role_of_viewer(info: Info) -> Role | None:
    """What the viewer is in the workspace they act in; None for an API key."""
    standing = await info.context.standings.load(info.context.viewer.workspace_id)
    return None if standing is None else standing.role


async def role_of(root: strawberry.Parent[Workspace], info: Info) -> Role | None:
    """What the viewer is in a workspace; None for an API key."""
    standing = await info.context.standings.load(root.id)
    return None if standing is None else standing.role


async def members_of(
    root: strawberry.Parent[Workspace],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Member]:
    """A page of a workspace's members, by user id."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.id, Permission.READ_DATA)
    return await identity.members_of(context.database, root.id, asked)


async def invitations_of(
    root: strawberry.Parent[Workspace],
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Page[Invitation]:
    """A page of a workspace's open invitations, oldest first."""
    asked = window(first, after, last, before)
    context = await inside(info.context, root.id, Permission.MANAGE_MEMBERS)
    now = context.services.clock.now()
    return await identity.open_invitations(context.database, root.id, asked, now)


async def user_of_member(root: strawberry.Parent[Member], info: Info) -> User | None:
    """Who a member is."""
    return await info.context.users.load(root.user_id)


async def inviter_of(root: strawberry.Parent[Invitation], info: Info) -> User | None:
    """Who invited; None for one who left."""
    return None if root.invited_by is None else await info.context.users.load(root.invited_by)


def workspace_id_of(root: strawberry.Parent[Any]) -> str:
    """The global id of the workspace an object is of."""
    return ids.global_id("Workspace", root.workspace_id)


def user_id_of(root: strawberry.Parent[Any]) -> str:
    """The global id of the user an object is about."""
    return ids.global_id("User", root.user_id)


async def workspace_of(root: strawberry.Parent[Any], info: Info) -> Workspace | None:
    """The workspace an object is of."""
    return await info.context.workspaces.load(root.workspace_id)


async def create(
    info: Info,
    input: Annotated[
        CreateWorkspaceInput, strawberry.argument(description="The workspace to create.")
    ],
) -> Workspace:
    """Make a workspace."""
    context = info.context
    user_id, services = user_of(context.viewer), context.services
    values = WorkspacePatch(
        name=input.name,
        industry=input.industry,
        location=input.location,
        time_zone=input.time_zone,
        currency=input.currency,
    )
    async with context.accounts.write() as session:
        return await identity.create_workspace(
            session, services.ids.new(), user_id, values, services.clock.now()
        )


async def update(
    info: Info,
    input: Annotated[UpdateWorkspaceInput, strawberry.argument(description="What to change.")],
) -> Workspace:
    """Change a workspace."""
    context = await chosen(info.context, input.id)
    viewer = context.require(Permission.MANAGE_WORKSPACE)
    given = {name: getattr(input, name) for name in WorkspacePatch.__optional_keys__}
    patch: Any = {name: some.value for name, some in given.items() if some is not None}
    if "second_factor_required" in patch:
        context.require(Permission.OWN_WORKSPACE)
    async with context.database.write() as session:
        held = await identity.held(session, viewer.workspace_id, input.expected_version)
        return await identity.update_workspace(
            session, held, viewer.user_id, patch, context.services.clock.now()
        )


async def delete(
    info: Info,
    input: Annotated[DeleteWorkspaceInput, strawberry.argument(description="What to delete.")],
) -> DeletedWorkspace:
    """Forget a workspace with all that is in it, once nothing of it runs."""
    context = await chosen(info.context, input.id)
    viewer = context.require(Permission.OWN_WORKSPACE)
    async with context.database.write() as session:
        held = await identity.held(session, viewer.workspace_id)
        started = await connectors.started(session, viewer)
        if started and not held.personal:
            raise WorkspaceInUse(connectors=started)
        return await identity.delete_workspace(session, held, input.name)


async def invite(
    info: Info,
    input: Annotated[InviteMemberInput, strawberry.argument(description="Whom to invite.")],
) -> Invitation:
    """Offer a membership by mail."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.MANAGE_MEMBERS)
    services = context.services
    now, token = services.clock.now(), services.door.opaque.new()
    invitation = Invitation(
        id=services.ids.new(),
        workspace_id=viewer.workspace_id,
        email=registration.clean_email("email", input.email),
        role=input.role,
        token_hash=identity.token_hash(token),
        invited_by=user_of(viewer),
        created_at=now,
        expires_at=now + INVITATION_LIFETIME,
    )
    async with context.database.write() as session:
        held = await identity.held(session, viewer.workspace_id)
        inviter = await session.get(User, viewer.user_id)
        await identity.invite(session, held, invitation)
    name = (inviter.name or inviter.email) if inviter else "Somebody"
    mail = identity.invitation_mail(invitation, held, name, token, services.door.rules.app_url)
    services.door.post.send(mail, context.caller.request_id)
    return invitation


async def revoke_invitation(
    info: Info,
    input: Annotated[
        RevokeInvitationInput, strawberry.argument(description="The invitation to take back.")
    ],
) -> Invitation:
    """Take an invitation back."""
    found = await visible_invitation(info.context, input.id)
    if found is None:
        raise InvitationNotFound(id=input.id)
    context = await inside(info.context, found.workspace_id, Permission.MANAGE_MEMBERS)
    now = context.services.clock.now()
    with as_given(InvitationNotFound, input.id):
        async with context.database.write() as session:
            held = await identity.held(session, found.workspace_id)
            return await identity.revoke_invitation(
                session, held, found.id, context.viewer.user_id, now
            )


async def accept_invitation(
    info: Info,
    input: Annotated[
        AcceptInvitationInput, strawberry.argument(description="The invitation to accept.")
    ],
) -> Workspace:
    """Enter a workspace."""
    context = info.context
    user_id, now = user_of(context.viewer), context.services.clock.now()
    async with context.accounts.write() as session:
        return await identity.accept_invitation(
            session, identity.token_hash(input.token), user_id, now
        )


async def change_role(
    info: Info,
    input: Annotated[ChangeMemberRoleInput, strawberry.argument(description="What to change.")],
) -> Member:
    """Make a member something else."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.MANAGE_MEMBERS)
    user_id, now = user_key(input.user_id), context.services.clock.now()
    with as_given(MemberNotFound, input.user_id):
        async with context.database.write() as session:
            held = await identity.held(session, viewer.workspace_id)
            return await identity.change_role(
                session, held, user_of(viewer), user_id, input.role, now
            )


async def transfer_ownership(
    info: Info,
    input: Annotated[
        TransferOwnershipInput, strawberry.argument(description="Who becomes the owner.")
    ],
) -> Workspace:
    """Make a member an owner in one's own place."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.OWN_WORKSPACE)
    user_id, now = user_key(input.user_id), context.services.clock.now()
    with as_given(MemberNotFound, input.user_id):
        async with context.database.write() as session:
            held = await identity.held(session, viewer.workspace_id)
            await identity.transfer_ownership(session, held, user_of(viewer), user_id, now)
    return held


async def remove_member(
    info: Info,
    input: Annotated[RemoveMemberInput, strawberry.argument(description="Whom to take out.")],
) -> FormerMember:
    """Take a member out of a workspace."""
    context = await chosen(info.context, input.workspace_id)
    viewer = context.require(Permission.MANAGE_MEMBERS)
    user_id, now = user_key(input.user_id), context.services.clock.now()
    with as_given(MemberNotFound, input.user_id):
        async with context.database.write() as session:
            held = await identity.held(session, viewer.workspace_id)
            return await identity.remove_member(session, held, user_of(viewer), user_id, now)


async def leave(
    info: Info,
    input: Annotated[LeaveWorkspaceInput, strawberry.argument(description="What to leave.")],
) -> FormerMember:
    """Go from a workspace."""
    context = await chosen(info.context, input.id)
    user_id, now = user_of(context.viewer), context.services.clock.now()
    try:
        async with context.accounts.write() as session:
            held = await identity.held(session, context.viewer.workspace_id)
            return await identity.leave_workspace(session, held, user_id, now)
    except MemberNotFound as error:
        raise WorkspaceNotFound(id=input.id) from error


async def visible_invitation(context: Context, id: str) -> Invitation | None:
    """The invitation with this global id, if the viewer may manage members where it is."""
    key = ids.uuid_in(id, "Invitation")
    if key is None:
        return None
    async with context.database.read() as session:
        found = await identity.invitation_by_id(session, key)
    if found is None:
        return None
    there = await context_of(context, found.workspace_id)
    return found if there and there.viewer.may(Permission.MANAGE_MEMBERS) else None
