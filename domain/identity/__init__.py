"""Who asks, and for which tenant: people, their sessions and keys, workspaces, members, groups."""

from domain.identity.accounts import (
    Credential,
    ExternalIdentity,
    OneTimePurpose,
    OneTimeToken,
    RecoveryCode,
    RefreshToken,
    SessionEnd,
    SessionRecord,
    SignInAttempts,
    SigningKey,
    SignInMethod,
    User,
    UserStatus,
)
from domain.identity.keys import ApiKey
from domain.identity.permissions import ALL, PERMISSIONS, Permission, Role
from domain.identity.ports import AuditLog, Databases, Mail, Mailer, PasswordHasher
from domain.identity.viewer import Act, Caller, Forbidden, Rights, Unauthenticated, Viewer
from domain.identity.viewers import viewer_for_key, viewer_for_user
from domain.identity.workspaces import (
    Access,
    Group,
    GroupMember,
    Invitation,
    Member,
    ResourceKind,
    ResourceShare,
    Workspace,
)

__all__ = [
    "ALL",
    "PERMISSIONS",
    "Access",
    "Act",
    "ApiKey",
    "AuditLog",
    "Caller",
    "Credential",
    "Databases",
    "ExternalIdentity",
    "Forbidden",
    "Group",
    "GroupMember",
    "Invitation",
    "Mail",
    "Mailer",
    "Member",
    "OneTimePurpose",
    "OneTimeToken",
    "PasswordHasher",
    "Permission",
    "RecoveryCode",
    "RefreshToken",
    "ResourceKind",
    "ResourceShare",
    "Rights",
    "Role",
    "SessionEnd",
    "SessionRecord",
    "SignInAttempts",
    "SignInMethod",
    "SigningKey",
    "Unauthenticated",
    "User",
    "UserStatus",
    "Viewer",
    "Workspace",
    "viewer_for_key",
    "viewer_for_user",
]
