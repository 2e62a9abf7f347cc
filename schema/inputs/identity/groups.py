"""What clients send about groups and shares."""

import strawberry

from domain.identity import Access

NAME = "A name unique in the workspace: 1 to 200 characters, trimmed."
DESCRIPTION = "What the group is for, at most 2000 characters."
GROUP = "The group's id."
USER = "The member's user id."
RESOURCE = "The id of a connector or a secret of the group's workspace."


@strawberry.input(description="A group as it shall be.")
class CreateGroupInput:
    """All of a group."""

    workspace_id: strawberry.ID | None = strawberry.field(
        default=None, description="The workspace; null: the one the request acts in."
    )
    name: str = strawberry.field(description=NAME)
    description: str = strawberry.field(default="", description=DESCRIPTION)


@strawberry.input(description="Changes to a group: what is not given stays as it is.")
class UpdateGroupInput:
    """A partial change."""

    id: strawberry.ID = strawberry.field(description=GROUP)
    name: strawberry.Maybe[str] = strawberry.field(description=NAME)
    description: strawberry.Maybe[str] = strawberry.field(description=DESCRIPTION)


@strawberry.input(description="Which group to delete.")
class DeleteGroupInput:
    """A group to forget."""

    id: strawberry.ID = strawberry.field(description=GROUP)


@strawberry.input(description="Whom to put into which group.")
class AddGroupMemberInput:
    """A member to add."""

    group_id: strawberry.ID = strawberry.field(description=GROUP)
    user_id: strawberry.ID = strawberry.field(description=USER)


@strawberry.input(description="Whom to take out of which group.")
class RemoveGroupMemberInput:
    """A member to take out."""

    group_id: strawberry.ID = strawberry.field(description=GROUP)
    user_id: strawberry.ID = strawberry.field(description=USER)


@strawberry.input(description="What to share with which group.")
class ShareResourceInput:
    """A share to make or change."""

    resource_id: strawberry.ID = strawberry.field(description=RESOURCE)
    group_id: strawberry.ID = strawberry.field(description=GROUP)
    access: Access = strawberry.field(
        default=Access.READ, description="What the group's members may do with it."
    )


@strawberry.input(description="What to share with which group no longer.")
class UnshareResourceInput:
    """A share to end."""

    resource_id: strawberry.ID = strawberry.field(description=RESOURCE)
    group_id: strawberry.ID = strawberry.field(description=GROUP)
