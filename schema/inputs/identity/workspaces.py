"""What clients send about workspaces, members and invitations."""

import strawberry

from domain.identity import Role

NAME = "Its name: 1 to 200 characters, trimmed."
INDUSTRY = "What its business is, at most 200 characters."
LOCATION = "Where it is, at most 200 characters."
TIME_ZONE = "An IANA time zone, such as `Europe/Lisbon`."
CURRENCY = "An ISO 4217 currency, such as `EUR`."
WORKSPACE = "The workspace; null: the one the request acts in."
USER = "The member's user id."
CLEARS = " Null clears it."


@strawberry.input(description="A workspace as it shall be.")
class CreateWorkspaceInput:
    """All of a workspace."""

    name: str = strawberry.field(description=NAME)
    industry: str | None = strawberry.field(default=None, description=INDUSTRY)
    location: str | None = strawberry.field(default=None, description=LOCATION)
    time_zone: str = strawberry.field(default="UTC", description=TIME_ZONE)
    currency: str = strawberry.field(default="USD", description=CURRENCY)


@strawberry.input(description="Changes to a workspace: what is not given stays as it is.")
class UpdateWorkspaceInput:
    """A partial change."""

    id: strawberry.ID | None = strawberry.field(default=None, description=WORKSPACE)
    expected_version: int | None = strawberry.field(
        default=None,
        description="Refuse with `StaleVersion` unless the workspace has this version.",
    )
    name: strawberry.Maybe[str] = strawberry.field(description=NAME)
    industry: strawberry.Maybe[str | None] = strawberry.field(description=INDUSTRY + CLEARS)
    location: strawberry.Maybe[str | None] = strawberry.field(description=LOCATION + CLEARS)
    time_zone: strawberry.Maybe[str] = strawberry.field(description=TIME_ZONE)
    currency: strawberry.Maybe[str] = strawberry.field(description=CURRENCY)
    second_factor_required: strawberry.Maybe[bool] = strawberry.field(
        description="Whether members without a second factor may do nothing in it. An owner who has one decides."
    )


@strawberry.input(description="Which workspace to delete.")
class DeleteWorkspaceInput:
    """A workspace to forget."""

    id: strawberry.ID = strawberry.field(description="The workspace's id.")
    name: str = strawberry.field(description="Its name, as a confirmation.")


@strawberry.input(description="Whom to invite.")
class InviteMemberInput:
    """An offer of membership."""

    workspace_id: strawberry.ID | None = strawberry.field(default=None, description=WORKSPACE)
    email: str = strawberry.field(description="The address the invitation is sent to.")
    role: Role = strawberry.field(
        default=Role.VIEWER, description="What they become: at most what one is oneself."
    )


@strawberry.input(description="Which invitation to take back.")
class RevokeInvitationInput:
    """An offer to withdraw."""

    id: strawberry.ID = strawberry.field(description="The invitation's id.")


@strawberry.input(description="Which invitation to accept.")
class AcceptInvitationInput:
    """An offer to take."""

    token: str = strawberry.field(description="The token from the mail.")


@strawberry.input(description="What a member becomes.")
class ChangeMemberRoleInput:
    """A new role."""

    workspace_id: strawberry.ID | None = strawberry.field(default=None, description=WORKSPACE)
    user_id: strawberry.ID = strawberry.field(description=USER)
    role: Role = strawberry.field(description="The new role: at most what one is oneself.")


@strawberry.input(description="Who becomes the owner.")
class TransferOwnershipInput:
    """An heir."""

    workspace_id: strawberry.ID | None = strawberry.field(default=None, description=WORKSPACE)
    user_id: strawberry.ID = strawberry.field(description=USER)


@strawberry.input(description="Whom to take out of a workspace.")
class RemoveMemberInput:
    """A member to remove."""

    workspace_id: strawberry.ID | None = strawberry.field(default=None, description=WORKSPACE)
    user_id: strawberry.ID = strawberry.field(description=USER)


@strawberry.input(description="Which workspace to leave.")
class LeaveWorkspaceInput:
    """A workspace to go from."""

    id: strawberry.ID = strawberry.field(description="The workspace's id.")
