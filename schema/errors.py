"""Domain errors as members of result unions; the union in the signature is the only list."""

import dataclasses
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, ClassVar, Self

import strawberry
from graphql import GraphQLUnionType, get_nullable_type
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.extensions import FieldExtension

from domain import connectors, errors, identity
from schema.views import plain


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


@strawberry.interface(description="Why a mutation was refused, as its result.")
class Error:
    """The facts of a domain error; `__says__` is the message, with the facts as its places."""

    __source__: ClassVar[type[errors.DomainError]]
    __code__: ClassVar[ErrorCode]
    __says__: ClassVar[str]
    message: str = plain("What went wrong, for people.")
    code: ErrorCode = plain("What went wrong, for programs.")

    @classmethod
    def of(cls, error: errors.DomainError) -> Self:
        """The error a client sees for a domain error."""
        names = {field.name for field in dataclasses.fields(cls)} - {"message", "code"}
        values = {name: getattr(error, name) for name in names}
        return cls(message=cls.__says__.format(**values), code=cls.__code__, **values)


@strawberry.type(description="A value of the input cannot be used.")
class InvalidInput(Error):
    """A refused value."""

    __source__ = errors.InvalidInput
    __code__ = ErrorCode.INVALID_INPUT
    __says__ = "{field} {reason}"
    field: str = plain("Which value: its path in the input, such as `subscribeFrames.0`.")
    reason: str = plain("What is wrong with it.")


@strawberry.type(description="No connector has this id.")
class ConnectorNotFound(Error):
    """A missing connector."""

    __source__ = connectors.ConnectorNotFound
    __code__ = ErrorCode.CONNECTOR_NOT_FOUND
    __says__ = "There is no connector with this id."
    id: strawberry.ID = plain("The id that was given.")


@strawberry.type(description="Another connector has this name already.")
class ConnectorNameTaken(Error):
    """A name in use."""

    __source__ = connectors.ConnectorNameTaken
    __code__ = ErrorCode.CONNECTOR_NAME_TAKEN
    __says__ = "Another connector is named {name} already."
    name: str = plain("The name that is taken.")


@strawberry.type(description="The workspace has as many connectors as it may.")
class ConnectorLimitReached(Error):
    """A full workspace."""

    __source__ = connectors.ConnectorLimitReached
    __code__ = ErrorCode.CONNECTOR_LIMIT_REACHED
    __says__ = "A workspace may have {limit} connectors."
    limit: int = plain("How many there may be.")


@strawberry.type(
    description="The source is at a loopback, link-local or private address, which this service does not connect to."
)
class AddressRefused(Error):
    """A source off limits."""

    __source__ = connectors.AddressRefused
    __code__ = ErrorCode.ADDRESS_REFUSED
    __says__ = "{host} is at an address that this service does not connect to."
    host: str = plain("The host of the URL.")


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

    __source__ = connectors.NoFieldsToUpdate
    __code__ = ErrorCode.NO_FIELDS_TO_UPDATE
    __says__ = "Give at least one field to change."


class ErrorsAsData(FieldExtension):
    """Return the domain errors the result union names; let the others rise."""

    async def resolve_async(
        self,
        next_: Callable[..., Awaitable[Any]],
        source: Any,
        info: strawberry.Info,
        **kwargs: Any,
    ) -> Any:
        """Resolve, turning a named error into its result."""
        info.context.action = info.field_name
        try:
            return await next_(source, info, **kwargs)
        except errors.DomainError as error:
            union = get_nullable_type(info._raw_info.return_type)  # noqa: SLF001
            if not isinstance(union, GraphQLUnionType):
                raise
            for member in union.types:
                origin = member.extensions["strawberry-definition"].origin
                if issubclass(origin, Error) and type(error) is origin.__source__:
                    return origin.of(error)
            raise


def mutation(resolver: Callable[..., Any], description: str, **options: Any) -> Any:
    """A mutation whose result union names its errors."""
    return strawberry.mutation(
        resolver=resolver, description=description, extensions=[ErrorsAsData()], **options
    )


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
