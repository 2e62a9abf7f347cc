"""Errors as clients see them: their own mistakes in full, ours masked behind the request's id."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from graphql import GraphQLError
from loguru import logger
from strawberry.relay import GlobalIDValueError

from schema.errors import top_level

BAD_USER_INPUT: Final = "BAD_USER_INPUT"
INTERNAL: Final = "INTERNAL"
INTERNAL_MESSAGE: Final = "Internal error"

_QUOTED: Final = re.compile(r"(?:, found|(?<= value)(?<!invalid value)): (?=\S).*", re.DOTALL)
"""Where GraphQL quotes a value that cannot be coerced: with an object around it, which may hold secrets."""

ToClient = Callable[[BaseException | None], tuple[str, dict[str, Any]] | None]
"""The message and extensions of an error that a client can act on; None for any other."""


class ErrorFormatter:
    """Formats the errors of a result; what is masked is logged with its traceback."""

    def __init__(self, to_client: ToClient = top_level) -> None:
        self._to_client = to_client

    def __call__(
        self, errors: Sequence[GraphQLError], request_id: str, operation_name: str | None
    ) -> list[dict[str, Any]]:
        """The errors as `message`, `locations`, `path` and `extensions` with at least a `code`."""
        return [self._format(error, request_id, operation_name) for error in errors]

    def _format(
        self, error: GraphQLError, request_id: str, operation_name: str | None
    ) -> dict[str, Any]:
        formatted: dict[str, Any] = {**error.formatted}
        cause = _cause(error)
        told = self._told(error, cause)
        if told is not None:
            formatted["message"], formatted["extensions"] = told
            return formatted
        log = logger.bind(request_id=request_id, operation=operation_name)
        path = ".".join(map(str, error.path or ()))
        log.opt(exception=cause).error(
            "{} failed at {}: {!r}", operation_name or "An operation", path or "its root", cause
        )
        formatted["message"] = INTERNAL_MESSAGE
        formatted["extensions"] = {"code": INTERNAL, "requestId": request_id}
        return formatted

    def _told(self, error: GraphQLError, cause: BaseException) -> tuple[str, dict[str, Any]] | None:
        """What the client may know; None when the fault is ours."""
        if isinstance(cause, GlobalIDValueError):
            return "id is none of this service", {"code": BAD_USER_INPUT}
        if not isinstance(cause, GraphQLError):
            return self._to_client(cause)
        # Raised while a field was executed, and pointing at no part of the document: a value of ours that its
        # type does not take. All other errors of GraphQL itself are about the document or its variables.
        extensions = {**(cause.extensions or {}), **(error.extensions or {})}
        if "code" not in extensions and error.path is not None and not cause.nodes:
            return None
        return _QUOTED.sub("", error.message), {"code": BAD_USER_INPUT, **extensions}


def _cause(error: GraphQLError) -> BaseException:
    """What was raised in the first place."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause
