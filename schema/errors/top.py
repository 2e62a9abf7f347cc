"""Errors that fail an operation: the one place where they get their codes, and the codes their HTTP statuses."""

from collections.abc import Mapping
from typing import Any, Final

from strawberry.exceptions import StrawberryInputCoercionError

from domain import errors, identity

STATUSES: Final[Mapping[str, int]] = {
    # Authentication: a credential that is no good. Without one, each field answers for itself.
    "UNAUTHENTICATED": 401,
    # Authorization: a workspace, page, host or document that is not for the caller.
    "FORBIDDEN": 403,
    "DOCUMENT_NOT_TRUSTED": 403,
    # Validation; a request that cannot even be read says so by a status of its own (400, 405, 406, 413, 415).
    "BAD_USER_INPUT": 422,
    "QUERY_TOO_COMPLEX": 422,
    "BATCH_TOO_LARGE": 422,
    "INTROSPECTION_DISABLED": 422,
    "CSRF_PREVENTED": 400,
    # Not found: inside an answer. Clients of automatic persisted queries go on only from a success.
    "NOT_FOUND": 422,
    "PERSISTED_DOCUMENT_NOT_FOUND": 422,
    "PERSISTED_QUERY_NOT_FOUND": 200,
    "PERSISTED_QUERY_NOT_SUPPORTED": 200,
    # Conflicts are members of a mutation's result (STALE_VERSION, ..._TAKEN, ..._LIMIT_REACHED), with status 200.
    "RATE_LIMITED": 429,
    "TIMEOUT": 504,
    # The database's errors and all other bugs: masked.
    "INTERNAL": 500,
}
"""The HTTP status of a request that is refused whole, by the code of its error."""


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
