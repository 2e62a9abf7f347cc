"""Errors about workspaces, members, groups and API keys."""

import strawberry

from domain import identity
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(description="One is in no workspace with this id.")
class WorkspaceNotFound(Error):
    """Something missing."""

    __source__ = identity.WorkspaceNotFound
    __code__ = ErrorCode.WORKSPACE_NOT_FOUND
    __says__ = "There is no workspace with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="A personal workspace cannot be shared, left, handed over or deleted.")
class PersonalWorkspace(Error):
    """One's own place."""

    __source__ = identity.PersonalWorkspace
    __code__ = ErrorCode.PERSONAL_WORKSPACE
    __says__ = "This is a personal workspace: it cannot be shared, left, handed over or deleted."


@strawberry.type(description="One owns as many workspaces as one may.")
class WorkspaceLimitReached(Error):
    """A full place."""

    __source__ = identity.WorkspaceLimitReached
    __code__ = ErrorCode.WORKSPACE_LIMIT_REACHED
    __says__ = "One may own {limit} workspaces."
    limit: int = plain("How many there may be.")


@strawberry.type(description="Connectors of the workspace are started: stop them first.")
class WorkspaceInUse(Error):
    """A workspace at work."""

    __source__ = identity.WorkspaceInUse
    __code__ = ErrorCode.WORKSPACE_IN_USE
    __says__ = "Stop its connectors first: {connectors} are started."
    connectors: int = plain("How many are started.")


@strawberry.type(description="No member has this user id.")
class MemberNotFound(Error):
    """Something missing."""

    __source__ = identity.MemberNotFound
    __code__ = ErrorCode.MEMBER_NOT_FOUND
    __says__ = "There is no member with this user id."
    user_id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="The workspace has as many members and open invitations as it may.")
class MemberLimitReached(Error):
    """A full place."""

    __source__ = identity.MemberLimitReached
    __code__ = ErrorCode.MEMBER_LIMIT_REACHED
    __says__ = "A workspace may have {limit} members and open invitations."
    limit: int = plain("How many there may be.")


@strawberry.type(description="The address is a member's already.")
class AlreadyMember(Error):
    """Somebody who is in already."""

    __source__ = identity.AlreadyMember
    __code__ = ErrorCode.ALREADY_MEMBER
    __says__ = "{email} is a member already."
    email: str = plain("The address that was given.")


@strawberry.type(
    description="The workspace would be left without an owner: make another one first."
)
class LastOwner(Error):
    """The only one left."""

    __source__ = identity.LastOwner
    __code__ = ErrorCode.LAST_OWNER
    __says__ = "Make somebody else an owner first."


@strawberry.type(description="No open invitation has this id.")
class InvitationNotFound(Error):
    """Something missing."""

    __source__ = identity.InvitationNotFound
    __code__ = ErrorCode.INVITATION_NOT_FOUND
    __says__ = "There is no open invitation with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(
    description="The token is of no invitation to the signed-in user's address that is still open."
)
class InvitationInvalid(Error):
    """An offer that does not hold."""

    __source__ = identity.InvitationInvalid
    __code__ = ErrorCode.INVITATION_INVALID
    __says__ = "This invitation is not for this address, or no longer good."


@strawberry.type(description="No group has this id.")
class GroupNotFound(Error):
    """Something missing."""

    __source__ = identity.GroupNotFound
    __code__ = ErrorCode.GROUP_NOT_FOUND
    __says__ = "There is no group with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="Another group of the workspace has this name already.")
class GroupNameTaken(Error):
    """A name in use."""

    __source__ = identity.GroupNameTaken
    __code__ = ErrorCode.GROUP_NAME_TAKEN
    __says__ = "Another group is named {name} already."
    name: str = plain("The name that is taken.")


@strawberry.type(description="The workspace has as many groups as it may.")
class GroupLimitReached(Error):
    """A full place."""

    __source__ = identity.GroupLimitReached
    __code__ = ErrorCode.GROUP_LIMIT_REACHED
    __says__ = "A workspace may have {limit} groups."
    limit: int = plain("How many there may be.")


@strawberry.type(description="Nothing that can be shared has this id, or it is not shared.")
class ResourceNotFound(Error):
    """Something missing."""

    __source__ = identity.ResourceNotFound
    __code__ = ErrorCode.RESOURCE_NOT_FOUND
    __says__ = "There is nothing with this id that is shared or could be."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="No API key has this id.")
class ApiKeyNotFound(Error):
    """Something missing."""

    __source__ = identity.ApiKeyNotFound
    __code__ = ErrorCode.API_KEY_NOT_FOUND
    __says__ = "There is no API key with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="The workspace has as many API keys as it may: revoke one first.")
class ApiKeyLimitReached(Error):
    """A full place."""

    __source__ = identity.ApiKeyLimitReached
    __code__ = ErrorCode.API_KEY_LIMIT_REACHED
    __says__ = "A workspace may have {limit} API keys that are not revoked."
    limit: int = plain("How many there may be.")
