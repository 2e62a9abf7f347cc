"""Who asks: a user's session or a program's key, acting in one workspace."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from domain.audit import Actor, Trail
from domain.errors import DomainError
from domain.identity.permissions import Permission


@dataclass(eq=False)
class Unauthenticated(DomainError):
    """Nobody is signed in, or no longer; `reason` says which."""

    reason: str = "sign in first"


@dataclass(eq=False)
class Forbidden(DomainError):
    """The viewer may not do this; `needed` is the permission that is missing, or a reason in words."""

    needed: str


@dataclass(frozen=True, slots=True)
class Rights:
    """All of a viewer that decides what they see: equal for viewers who may share an execution."""

    workspace_id: UUID
    permissions: AbstractSet[Permission]
    groups: AbstractSet[UUID]


@dataclass(frozen=True, slots=True)
class Viewer:
    """A user (with their session) or an API key, and the workspace they act in.

    Everybody is in a workspace: their personal one at least. A workspace that wants a second factor which the user
    does not have leaves them without permissions. A `delegate` stands for all viewers of equal rights in the
    execution they share: it may read the workspace's data and nothing else.
    """

    workspace_id: UUID
    user_id: UUID | None = None
    session_id: UUID | None = None
    api_key_id: UUID | None = None
    permissions: frozenset[Permission] = frozenset()
    groups: frozenset[UUID] = frozenset()
    delegate: bool = False

    @property
    def rights(self) -> Rights:
        """What of this viewer decides what they see."""
        return Rights(self.workspace_id, self.permissions, self.groups)

    @property
    def shared(self) -> "Viewer":
        """The delegate of all viewers with these rights."""
        return Viewer(
            workspace_id=self.workspace_id,
            permissions=self.permissions & {Permission.READ_DATA},
            groups=self.groups,
            delegate=True,
        )

    def may(self, permission: Permission) -> bool:
        """Whether this is allowed in the workspace they act in."""
        return permission in self.permissions


@dataclass(frozen=True, slots=True)
class Caller:
    """A request's origin: its viewer, if anybody is signed in, and where it came from."""

    viewer: Viewer | None
    request_id: str
    address: str | None = None
    agent: str | None = None

    @property
    def actor(self) -> Actor:
        """The caller as the audit names them."""
        viewer = self.viewer
        return Actor(
            user_id=viewer.user_id if viewer else None,
            api_key_id=viewer.api_key_id if viewer else None,
            session_id=viewer.session_id if viewer else None,
            address=self.address,
            agent=self.agent,
            request_id=self.request_id,
        )


@dataclass(frozen=True, slots=True)
class Act:
    """A caller and what they are about to do: the GraphQL field, as the audit names it; None for reading."""

    caller: Caller
    action: str | None = None
    trail: Trail = field(default_factory=Trail, compare=False, repr=False)
