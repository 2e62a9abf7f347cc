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
