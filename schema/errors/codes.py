"""What went wrong, for programs: one code per error type."""

from enum import Enum

import strawberry


@strawberry.enum(description="What went wrong, for programs.")
class ErrorCode(Enum):
    """One code per error type."""

    INVALID_INPUT = strawberry.enum_value(
        "INVALID_INPUT", description="A value of the input cannot be used."
    )
    CONNECTOR_NOT_FOUND = strawberry.enum_value(
        "CONNECTOR_NOT_FOUND", description="There is no such connector."
    )
    CONNECTOR_NAME_TAKEN = strawberry.enum_value(
        "CONNECTOR_NAME_TAKEN", description="Another connector has this name."
    )
    CONNECTOR_LIMIT_REACHED = strawberry.enum_value(
        "CONNECTOR_LIMIT_REACHED", description="There are as many connectors as there may be."
    )
    ADDRESS_REFUSED = strawberry.enum_value(
        "ADDRESS_REFUSED", description="The source lies where Penstock does not connect to."
    )
    STALE_VERSION = strawberry.enum_value(
        "STALE_VERSION", description="Somebody changed the object meanwhile."
    )
    NO_FIELDS_TO_UPDATE = strawberry.enum_value(
        "NO_FIELDS_TO_UPDATE", description="The input changes nothing."
    )
    SECRET_NOT_FOUND = strawberry.enum_value(
        "SECRET_NOT_FOUND", description="There is no such secret."
    )
    SECRET_IN_USE = strawberry.enum_value(
        "SECRET_IN_USE", description="Something refers to the secret."
    )
    SECRET_LIMIT_REACHED = strawberry.enum_value(
        "SECRET_LIMIT_REACHED", description="There are as many secrets as there may be."
    )
    WORKSPACE_NOT_FOUND = strawberry.enum_value(
        "WORKSPACE_NOT_FOUND", description="There is no such workspace."
    )
    PERSONAL_WORKSPACE = strawberry.enum_value(
        "PERSONAL_WORKSPACE", description="A personal workspace has one member for ever."
    )
    WORKSPACE_LIMIT_REACHED = strawberry.enum_value(
        "WORKSPACE_LIMIT_REACHED", description="There are as many workspaces as there may be."
    )
    WORKSPACE_IN_USE = strawberry.enum_value(
        "WORKSPACE_IN_USE", description="Connectors of the workspace are started."
    )
    MEMBER_NOT_FOUND = strawberry.enum_value(
        "MEMBER_NOT_FOUND", description="There is no such member."
    )
    MEMBER_LIMIT_REACHED = strawberry.enum_value(
        "MEMBER_LIMIT_REACHED",
        description="There are as many members and invitations as there may be.",
    )
    ALREADY_MEMBER = strawberry.enum_value(
        "ALREADY_MEMBER", description="The address is a member's."
    )
    LAST_OWNER = strawberry.enum_value(
        "LAST_OWNER", description="A workspace cannot be without an owner."
    )
    INVITATION_NOT_FOUND = strawberry.enum_value(
        "INVITATION_NOT_FOUND", description="There is no such open invitation."
    )
    INVITATION_INVALID = strawberry.enum_value(
        "INVITATION_INVALID", description="The invitation cannot be accepted."
    )
    GROUP_NOT_FOUND = strawberry.enum_value(
        "GROUP_NOT_FOUND", description="There is no such group."
    )
    GROUP_NAME_TAKEN = strawberry.enum_value(
        "GROUP_NAME_TAKEN", description="Another group has this name."
    )
    GROUP_LIMIT_REACHED = strawberry.enum_value(
        "GROUP_LIMIT_REACHED", description="There are as many groups as there may be."
    )
    RESOURCE_NOT_FOUND = strawberry.enum_value(
        "RESOURCE_NOT_FOUND", description="There is no such resource, or no such share."
    )
    API_KEY_NOT_FOUND = strawberry.enum_value(
        "API_KEY_NOT_FOUND", description="There is no such API key."
    )
    API_KEY_LIMIT_REACHED = strawberry.enum_value(
        "API_KEY_LIMIT_REACHED", description="There are as many API keys as there may be."
    )
    INVALID_CREDENTIALS = strawberry.enum_value(
        "INVALID_CREDENTIALS", description="No account has this e-mail address and password."
    )
    EMAIL_NOT_VERIFIED = strawberry.enum_value(
        "EMAIL_NOT_VERIFIED", description="The e-mail address was never verified."
    )
    SECOND_FACTOR_REQUIRED = strawberry.enum_value(
        "SECOND_FACTOR_REQUIRED", description="A code of the second factor is needed."
    )
    WRONG_CODE = strawberry.enum_value(
        "WRONG_CODE", description="The code is wrong or was used already."
    )
    WRONG_PASSWORD = strawberry.enum_value(
        "WRONG_PASSWORD", description="It is not the account's password."
    )
    TOO_MANY_ATTEMPTS = strawberry.enum_value(
        "TOO_MANY_ATTEMPTS", description="Too many attempts failed."
    )
    TOKEN_INVALID = strawberry.enum_value(
        "TOKEN_INVALID", description="The token is not valid, or no longer."
    )
    SESSION_NOT_FOUND = strawberry.enum_value(
        "SESSION_NOT_FOUND", description="There is no such session."
    )
    SECOND_FACTOR_ON = strawberry.enum_value(
        "SECOND_FACTOR_ON", description="The account has a second factor already."
    )
    SECOND_FACTOR_OFF = strawberry.enum_value(
        "SECOND_FACTOR_OFF", description="The account has no second factor."
    )
    IDENTITY_TAKEN = strawberry.enum_value(
        "IDENTITY_TAKEN", description="Another account is linked with this identity."
    )
    ONLY_WAY_IN = strawberry.enum_value(
        "ONLY_WAY_IN", description="Nothing else would let the account's owner in."
    )
    SOLE_OWNER = strawberry.enum_value(
        "SOLE_OWNER", description="Workspaces with other members would be left without an owner."
    )
