"""Groups and shares as clients see them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import strawberry
from strawberry import relay

from domain import identity
from resolvers.identity import groups as resolvers
from schema.errors import (
    GroupLimitReached,
    GroupNameTaken,
    GroupNotFound,
    InvalidInput,
    MemberNotFound,
    NoFieldsToUpdate,
    ResourceNotFound,
    WorkspaceNotFound,
    mutation,
)
from schema.views import Connection, field, plain, view

if TYPE_CHECKING:
    from schema.types.identity.workspaces import Member

_WORKSPACES = strawberry.lazy("schema.types.identity.workspaces")


@view(identity.ResourceShare, "What a group's members may do with one resource.")
class ResourceShare:
    resource_id: strawberry.ID = field(
        resolvers.resource_id_of, "The id of the connector or secret."
    )
    kind: identity.ResourceKind = plain("What it is.")
    access: identity.Access = plain("What the members may do with it.")
    group: Annotated["Group", strawberry.lazy("schema.types.identity.groups")] | None = field(
        resolvers.group_of, "The group; null when it was deleted."
    )
    created_at: datetime = plain("Since when.")


@view(identity.Group, "Members of a workspace with whom resources are shared together.")
class Group(relay.Node):
    id: relay.NodeID[UUID]
    name: str = plain("Its name, unique in the workspace.")
    description: str = plain("What it is for.")
    members: Connection[Annotated["Member", _WORKSPACES]] = field(
        resolvers.members_of, "Who is in it."
    )
    shares: Connection[ResourceShare] = field(
        resolvers.shares_of, "What is shared with it, oldest first."
    )
    created_at: datetime = plain("When it was created.")
    updated_at: datetime = plain("When its name or description was last changed.")


@view(identity.DeletedGroup, "A group that is gone, and its shares with it.")
class DeletedGroup:
    id: strawberry.ID = field(resolvers.group_id_of, "The id it had.")
    name: str = plain("The name it had.")


@view(identity.UnsharedResource, "What is shared with a group no longer.")
class UnsharedResource:
    resource_id: strawberry.ID = field(
        resolvers.resource_id_of, "The id of the connector or secret."
    )
    group_id: strawberry.ID = field(resolvers.group_id_of, "The id of the group.")


CreateGroupResult = Annotated[
    Group | InvalidInput | WorkspaceNotFound | GroupNameTaken | GroupLimitReached,
    strawberry.union("CreateGroupResult", description="The new group, or why there is none."),
]
UpdateGroupResult = Annotated[
    Group | InvalidInput | GroupNotFound | GroupNameTaken | NoFieldsToUpdate,
    strawberry.union(
        "UpdateGroupResult", description="The changed group, or why it was not changed."
    ),
]
DeleteGroupResult = Annotated[
    DeletedGroup | GroupNotFound,
    strawberry.union(
        "DeleteGroupResult", description="The deleted group, or why it was not deleted."
    ),
]
AddGroupMemberResult = Annotated[
    Group | GroupNotFound | MemberNotFound,
    strawberry.union("AddGroupMemberResult", description="The group, or why it did not grow."),
]
RemoveGroupMemberResult = Annotated[
    Group | GroupNotFound | MemberNotFound,
    strawberry.union("RemoveGroupMemberResult", description="The group, or why it did not shrink."),
]
ShareResourceResult = Annotated[
    ResourceShare | GroupNotFound | ResourceNotFound,
    strawberry.union("ShareResourceResult", description="The share, or why there is none."),
]
UnshareResourceResult = Annotated[
    UnsharedResource | GroupNotFound | ResourceNotFound,
    strawberry.union("UnshareResourceResult", description="What was unshared, or why not."),
]


@strawberry.type
class GroupMutation:
    create_group: CreateGroupResult = mutation(
        resolvers.create, "Create a group of a workspace's members."
    )
    update_group: UpdateGroupResult = mutation(resolvers.update, "Rename or describe a group.")
    delete_group: DeleteGroupResult = mutation(
        resolvers.delete, "Delete a group; what was shared with it is no longer."
    )
    add_group_member: AddGroupMemberResult = mutation(
        resolvers.add_member, "Put a member of the workspace into a group."
    )
    remove_group_member: RemoveGroupMemberResult = mutation(
        resolvers.remove_member, "Take a member out of a group."
    )
    share_resource: ShareResourceResult = mutation(
        resolvers.share, "Share a connector or a secret with a group, or change how."
    )
    unshare_resource: UnshareResourceResult = mutation(
        resolvers.unshare, "Share a connector or a secret with a group no longer."
    )
