"""Domain errors as clients see them."""

from schema.errors.accounts import (
    EmailNotVerified,
    InvalidCredentials,
    SecondFactorOff,
    SecondFactorOn,
    SecondFactorRequired,
    SessionNotFound,
    TokenInvalid,
    TooManyAttempts,
    WrongCode,
    WrongPassword,
)
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.errors.common import InvalidInput, NoFieldsToUpdate, StaleVersion
from schema.errors.connectors import (
    AddressRefused,
    ConnectorLimitReached,
    ConnectorNameTaken,
    ConnectorNotFound,
)
from schema.errors.mutations import ErrorsAsData, mutation
from schema.errors.privacy import SoleOwner
from schema.errors.secrets import SecretInUse, SecretLimitReached, SecretNotFound
from schema.errors.top import STATUSES, top_level
from schema.errors.workspaces import (
    AlreadyMember,
    ApiKeyLimitReached,
    ApiKeyNotFound,
    GroupLimitReached,
    GroupNameTaken,
    GroupNotFound,
    InvitationInvalid,
    InvitationNotFound,
    LastOwner,
    MemberLimitReached,
    MemberNotFound,
    PersonalWorkspace,
    ResourceNotFound,
    WorkspaceInUse,
    WorkspaceLimitReached,
    WorkspaceNotFound,
)

__all__ = [
    "STATUSES",
    "AddressRefused",
    "AlreadyMember",
    "ApiKeyLimitReached",
    "ApiKeyNotFound",
    "ConnectorLimitReached",
    "ConnectorNameTaken",
    "ConnectorNotFound",
    "EmailNotVerified",
    "Error",
    "ErrorCode",
    "ErrorsAsData",
    "GroupLimitReached",
    "GroupNameTaken",
    "GroupNotFound",
    "InvalidCredentials",
    "InvalidInput",
    "InvitationInvalid",
    "InvitationNotFound",
    "LastOwner",
    "MemberLimitReached",
    "MemberNotFound",
    "NoFieldsToUpdate",
    "PersonalWorkspace",
    "ResourceNotFound",
    "SecondFactorOff",
    "SecondFactorOn",
    "SecondFactorRequired",
    "SecretInUse",
    "SecretLimitReached",
    "SecretNotFound",
    "SessionNotFound",
    "SoleOwner",
    "StaleVersion",
    "TokenInvalid",
    "TooManyAttempts",
    "WorkspaceInUse",
    "WorkspaceLimitReached",
    "WorkspaceNotFound",
    "WrongCode",
    "WrongPassword",
    "mutation",
    "top_level",
]
