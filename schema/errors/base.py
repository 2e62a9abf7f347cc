"""An error that a client sees as a mutation's result."""

import dataclasses
from typing import ClassVar, Self

import strawberry

from domain import errors
from schema.errors.codes import ErrorCode
from schema.views import plain


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
