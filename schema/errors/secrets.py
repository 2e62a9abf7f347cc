"""Why something about a secret could not be done."""

import strawberry

from domain import secrets
from schema.errors.base import Error
from schema.errors.codes import ErrorCode
from schema.views import plain


@strawberry.type(description="The workspace has no secret of this name.")
class SecretNotFound(Error):
    """A missing secret."""

    __source__ = secrets.SecretNotFound
    __code__ = ErrorCode.SECRET_NOT_FOUND
    __says__ = "There is no secret named {name}."
    name: str = plain("The name that was given.")


@strawberry.type(description="Connectors refer to the secret: have them use another, or force it.")
class SecretInUse(Error):
    """A secret that is needed."""

    __source__ = secrets.SecretInUse
    __code__ = ErrorCode.SECRET_IN_USE
    __says__ = "{count} connectors or others use {name}."
    name: str = plain("The secret's name.")
    used_by: list[str] = plain("Names of what uses it, at most 100.")
    count: int = plain("How many use it.")


@strawberry.type(description="The workspace has as many secrets as it may.")
class SecretLimitReached(Error):
    """A full workspace."""

    __source__ = secrets.SecretLimitReached
    __code__ = ErrorCode.SECRET_LIMIT_REACHED
    __says__ = "A workspace may have {limit} secrets."
    limit: int = plain("How many there may be.")
