"""Errors of every context."""

import strawberry

from domain import errors
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(description="A value of the input cannot be used.")
class InvalidInput(Error):
    """A refused value."""

    __source__ = errors.InvalidInput
    __code__ = ErrorCode.INVALID_INPUT
    __says__ = "{field} {reason}"
    field: str = plain("Which value: its path in the input, such as `subscribeFrames.0`.")
    reason: str = plain("What is wrong with it.")


@strawberry.type(description="Somebody changed the object since it was read: read it again.")
class StaleVersion(Error):
    """A lost race."""

    __source__ = errors.StaleVersion
    __code__ = ErrorCode.STALE_VERSION
    __says__ = "The object is at version {actual} by now."
    expected: int = plain("The version the input expected.")
    actual: int = plain("The version it has.")


@strawberry.type(description="The input changes nothing.")
class NoFieldsToUpdate(Error):
    """An empty change."""

    __source__ = errors.NoFieldsToUpdate
    __code__ = ErrorCode.NO_FIELDS_TO_UPDATE
    __says__ = "Give at least one field to change."
