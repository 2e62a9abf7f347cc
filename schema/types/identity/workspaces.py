"""Workspaces, members and invitations as clients see them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay

from domain import identity
from resolvers.identity import groups as group_resolvers
from resolvers.identity import keys as key_resolvers
from resolvers.identity import workspaces as resolvers
from schema.errors import (
    AlreadyMember,
    InvalidInput,
    InvitationInvalid,
    InvitationNotFound,
    LastOwner,
    MemberLimitReached,
    MemberNotFound,
    NoFieldsToUpdate,
    PersonalWorkspace,
    StaleVersion,
    WorkspaceInUse,
    WorkspaceLimitReached,
    WorkspaceNotFound,
    mutation,
)
from schema.types.identity.groups import Group
from schema.types.identity.keys import ApiKey
from schema.views import Connection, field, plain, view, watched

if TYPE_CHECKING:
    from schema.types.identity.accounts import User

_ACCOUNTS = strawberry.lazy("schema.types.identity.accounts")


@view(identity.Member, "A user in a workspace.")
class Member:
    user_id: strawberry.ID = field(resolvers.user_id_of, "The user's id.")
    user: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.user_of_member, "Who it is; null when they left just now."
    )
    role: identity.Role = plain("What they are in it.")
    created_at: datetime = plain("Since when they are in it.")


@view(identity.Invitation, "An offer of membership, sent by mail.")
class Invitation(relay.Node):
    id: relay.NodeID[UUID]
    email: str = plain("The address it was sent to, and holds for.")
    role: identity.Role = plain("What the invited become.")
    invited_by: Annotated["User", _ACCOUNTS] | None = field(
        resolvers.inviter_of, "Who invited; null when they are no longer in the workspace."
    )
    created_at: datetime = plain("When it was sent.")
    expires_at: datetime = plain("Until when it can be accepted.")
    revoked_at: datetime | None = plain("When it was taken back; null: not.")


@view(identity.Workspace, "A tenant: connectors, messages and all built on them belong to one.")
class Workspace(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("Its name.")
    industry: str | None = plain("What its business is.")
    location: str | None = plain("Where it is.")
    time_zone: str = plain("Its IANA time zone.")
    currency: str = plain("Its ISO 4217 currency.")
    personal: bool = plain("Whether it is the one that a user has alone and for ever.")
    second_factor_required: bool = plain(
        "Whether members without a second factor may do nothing in it."
    )
    version: int = plain("Grows with every change; for `expectedVersion`.")
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When its facts were last changed.")
    role: identity.Role | None = field(
        resolvers.role_of, "What one is in it oneself; null for an API key."
    )
    members: Connection[Member] | None = watched(
        resolvers.members_of, "Who is in it. Needs READ_DATA there."
    )
    invitations: Connection[Invitation] | None = watched(
        resolvers.invitations_of,
        "Invitations that can still be accepted, oldest first. Needs MANAGE_MEMBERS there.",
    )
    groups: Connection[Group] | None = field(
        group_resolvers.page_of, "Its groups, oldest first. Needs READ_DATA there."
    )
    api_keys: Connection[ApiKey] | None = watched(
        key_resolvers.page_of,
        "Its API keys, newest first, revoked ones too. Needs MANAGE_API_KEYS there.",
    )


@view(identity.DeletedWorkspace, "A workspace that is gone with all that was in it.")
class DeletedWorkspace:
    id: strawberry.ID = field(resolvers.workspace_id_of, "The id it had.")
    name: str = plain("The name it had.")


@view(identity.FormerMember, "Somebody who is no longer in a workspace.")
class FormerMember:
    user_id: strawberry.ID = field(resolvers.user_id_of, "The user's id.")
    workspace_id: strawberry.ID = field(resolvers.workspace_id_of, "The workspace's id.")


CreateWorkspaceResult = Annotated[
    Workspace | InvalidInput | WorkspaceLimitReached,
    strawberry.union(
        "CreateWorkspaceResult", description="The new workspace, or why there is none."
    ),
]
UpdateWorkspaceResult = Annotated[
    Workspace | InvalidInput | WorkspaceNotFound | NoFieldsToUpdate | StaleVersion,
    strawberry.union(
        "UpdateWorkspaceResult", description="The changed workspace, or why it was not changed."
    ),
]
DeleteWorkspaceResult = Annotated[
    DeletedWorkspace | InvalidInput | WorkspaceNotFound | PersonalWorkspace | WorkspaceInUse,
    strawberry.union(
        "DeleteWorkspaceResult", description="The deleted workspace, or why it was not deleted."
    ),
]
InviteMemberResult = Annotated[
    Invitation
    | InvalidInput
    | WorkspaceNotFound
    | PersonalWorkspace
    | AlreadyMember
    | MemberLimitReached,
    strawberry.union("InviteMemberResult", description="The invitation, or why there is none."),
]
RevokeInvitationResult = Annotated[
    Invitation | InvitationNotFound,
    strawberry.union(
        "RevokeInvitationResult", description="The invitation taken back, or why it was not."
    ),
]
AcceptInvitationResult = Annotated[
    Workspace | InvitationInvalid,
    strawberry.union(
        "AcceptInvitationResult", description="The workspace one is in now, or why one is not."
    ),
]
ChangeMemberRoleResult = Annotated[
    Member | WorkspaceNotFound | PersonalWorkspace | MemberNotFound | LastOwner,
    strawberry.union(
        "ChangeMemberRoleResult", description="The changed member, or why nothing changed."
    ),
]
TransferOwnershipResult = Annotated[
    Workspace | WorkspaceNotFound | PersonalWorkspace | MemberNotFound,
    strawberry.union(
        "TransferOwnershipResult", description="The workspace, or why it is one's own still."
    ),
]
RemoveMemberResult = Annotated[
    FormerMember | WorkspaceNotFound | PersonalWorkspace | MemberNotFound | LastOwner,
    strawberry.union("RemoveMemberResult", description="Who is out, or why nobody is."),
]
LeaveWorkspaceResult = Annotated[
    FormerMember | WorkspaceNotFound | PersonalWorkspace | LastOwner,
    strawberry.union("LeaveWorkspaceResult", description="Who left, or why they could not."),
]


@strawberry.type
class WorkspaceQuery:
    workspace: Workspace | None = field(
        resolvers.workspace, "A workspace that one is in; null for any other."
    )


@strawberry.type
class WorkspaceMutation:
    create_workspace: CreateWorkspaceResult = mutation(
        resolvers.create, "Create a workspace and own it."
    )
    update_workspace: UpdateWorkspaceResult = mutation(
        resolvers.update, "Change a workspace's facts or its policy."
    )
    delete_workspace: DeleteWorkspaceResult = mutation(
        resolvers.delete,
        "Delete a workspace with all that is in it, for ever. Needs its name and no connector started.",
    )
    invite_member: InviteMemberResult = mutation(
        resolvers.invite,
        "Invite somebody by mail, for 7 days; takes the place of an earlier invitation to the address.",
    )
    revoke_invitation: RevokeInvitationResult = mutation(
        resolvers.revoke_invitation, "Take an invitation back."
    )
    accept_invitation: AcceptInvitationResult = mutation(
        resolvers.accept_invitation, "Enter a workspace, signed in with the invited address."
    )
    change_member_role: ChangeMemberRoleResult = mutation(
        resolvers.change_role,
        "Make a member something else; revokes what they handed out beyond it.",
    )
    transfer_ownership: TransferOwnershipResult = mutation(
        resolvers.transfer_ownership, "Make a member an owner, and oneself an admin."
    )
    remove_member: RemoveMemberResult = mutation(
        resolvers.remove_member,
        "Take a member out of a workspace and its groups, and revoke the API keys they made.",
    )
    leave_workspace: LeaveWorkspaceResult = mutation(
        resolvers.leave, "Go from a workspace; the API keys one made in it are revoked."
    )
