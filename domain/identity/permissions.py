"""What each role may do: the one table. The database holds a copy, which a test compares with this."""

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Role(Enum):
    """What a member is in a workspace; each may do all that the next one may."""

    OWNER = "owner"
    ADMIN = "admin"
    ANALYST = "analyst"
    VIEWER = "viewer"


class Permission(Enum):
    """A thing that can be allowed."""

    READ_DATA = "read_data"
    WRITE_DATA = "write_data"
    MANAGE_CONNECTORS = "manage_connectors"
    USE_SECRETS = "use_secrets"
    MANAGE_SECRETS = "manage_secrets"
    MANAGE_API_KEYS = "manage_api_keys"
    MANAGE_MEMBERS = "manage_members"
    MANAGE_GROUPS = "manage_groups"
    READ_AUDIT = "read_audit"
    MANAGE_WORKSPACE = "manage_workspace"
    OWN_WORKSPACE = "own_workspace"


_VIEWER: Final = frozenset({Permission.READ_DATA})
_ANALYST: Final = _VIEWER | {
    Permission.WRITE_DATA,
    Permission.MANAGE_CONNECTORS,
    Permission.USE_SECRETS,
}
_ADMIN: Final = _ANALYST | {
    Permission.MANAGE_SECRETS,
    Permission.MANAGE_API_KEYS,
    Permission.MANAGE_MEMBERS,
    Permission.MANAGE_GROUPS,
    Permission.READ_AUDIT,
    Permission.MANAGE_WORKSPACE,
}
ALL: Final = frozenset(Permission)

PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.VIEWER: _VIEWER,
    Role.ANALYST: _ANALYST,
    Role.ADMIN: _ADMIN,
    Role.OWNER: ALL,
}

OPEN_OPERATIONS: Final = frozenset(
    {
        "signInProviders",
        "register",
        "verifyEmail",
        "resendVerification",
        "signIn",
        "refreshSession",
        "exchangeSignInCode",
        "requestPasswordReset",
        "resetPassword",
    }
)
"""Root fields for callers who are not signed in; a test holds all others to refusing them."""
