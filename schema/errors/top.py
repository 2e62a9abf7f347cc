"""Domain errors that fail an operation: the one place where they get their codes."""

from typing import Any

from strawberry.exceptions import StrawberryInputCoercionError

from domain import errors, identity


def top_level(error: BaseException | None) -> tuple[str, dict[str, Any]] | None:
    """The message and extensions of a top-level error that a client may see; None: mask it as INTERNAL."""
    match error:
        case errors.InvalidInput(field=field, reason=reason):
            return f"{field} {reason}", {"code": "BAD_USER_INPUT", "field": field}
        case errors.NotFound(field=field):
            return f"{field} names nothing that exists", {"code": "NOT_FOUND", "field": field}
        case identity.Unauthenticated(reason=reason):
            return f"Not signed in: {reason}", {"code": "UNAUTHENTICATED"}
        case identity.Forbidden(needed=needed):
            return f"Not allowed: {needed} is needed", {"code": "FORBIDDEN", "needed": needed}
        case StrawberryInputCoercionError():
            return str(error), {"code": "BAD_USER_INPUT"}
    return None
