"""Why something about a workspace could not be done."""

from dataclasses import dataclass

from domain.errors import DomainError


@dataclass(eq=False)
class WorkspaceNotFound(DomainError):
    """The viewer is in no workspace with this id."""

    id: str


@dataclass(eq=False)
class PersonalWorkspace(DomainError):
    """A personal workspace has one member for ever: it cannot be shared, left, handed over or deleted."""


@dataclass(eq=False)
class WorkspaceLimitReached(DomainError):
    """The user is in as many workspaces as anybody may be."""

    limit: int


@dataclass(eq=False)
class WorkspaceInUse(DomainError):
    """Connectors of the workspace are started."""

    connectors: int


@dataclass(eq=False)
class MemberNotFound(DomainError):
    """The workspace has no such member."""

    user_id: str


@dataclass(eq=False)
class MemberLimitReached(DomainError):
    """The workspace has as many members and invitations as it may."""

    limit: int


@dataclass(eq=False)
class AlreadyMember(DomainError):
    """The address is a member's."""

    email: str


@dataclass(eq=False)
class LastOwner(DomainError):
    """The workspace would be left without an owner."""


@dataclass(eq=False)
class InvitationNotFound(DomainError):
    """The workspace has no such open invitation."""

    id: str


@dataclass(eq=False)
class InvitationInvalid(DomainError):
    """The token is of no invitation that this user can accept now."""


@dataclass(eq=False)
class GroupNotFound(DomainError):
    """The viewer sees no such group."""

    id: str


@dataclass(eq=False)
class GroupNameTaken(DomainError):
    """Another group of the workspace has this name."""

    name: str


@dataclass(eq=False)
class GroupLimitReached(DomainError):
    """The workspace has as many groups as it may."""

    limit: int


@dataclass(eq=False)
class ResourceNotFound(DomainError):
    """The workspace has nothing with this id that could be shared, or it is not shared."""

    id: str


@dataclass(eq=False)
class ApiKeyNotFound(DomainError):
    """The viewer sees no such key."""

    id: str


@dataclass(eq=False)
class ApiKeyLimitReached(DomainError):
    """The workspace has as many keys as it may."""

    limit: int
