"""Domain errors as members of result unions; the union in the signature is the only list."""

from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from graphql import GraphQLUnionType, get_nullable_type
from strawberry.extensions import FieldExtension

from domain import errors
from domain.audit import AuditOutcome
from resolvers.auditing import conclude
from schema.errors.base import Error
from schema.errors.top import top_level


class ErrorsAsData(FieldExtension):
    """Return the domain errors the result union names; let the others rise."""

    async def resolve_async(
        self,
        next_: Callable[..., Awaitable[Any]],
        source: Any,
        info: strawberry.Info,
        **kwargs: Any,
    ) -> Any:
        """Resolve, turning a named error into its result; the audit hears how it ended."""
        context, input = info.context, kwargs.get("input")
        context.begin(info.field_name)
        try:
            result = await next_(source, info, **kwargs)
        except errors.DomainError as error:
            named = _named(info, error)
            known = top_level(error)
            code = known[1]["code"] if known else "INTERNAL"
            refused = AuditOutcome.REFUSED if named or known else AuditOutcome.FAILED
            await conclude(context, refused, code=named.code.name if named else code, input=input)
            if named is None:
                raise
            return named
        except Exception:
            await conclude(context, AuditOutcome.FAILED, code="INTERNAL", input=input)
            raise
        await conclude(context, AuditOutcome.DONE, input=input, result=result)
        return result


def _named(info: strawberry.Info, error: errors.DomainError) -> Error | None:
    """The error as a member of the field's result union; None when that does not name it."""
    union = get_nullable_type(info._raw_info.return_type)  # noqa: SLF001
    if not isinstance(union, GraphQLUnionType):
        return None
    for member in union.types:
        origin = member.extensions["strawberry-definition"].origin
        if issubclass(origin, Error) and type(error) is origin.__source__:
            refusal: Error = origin.of(error)
            return refusal
    return None


def mutation(resolver: Callable[..., Any], description: str, **options: Any) -> Any:
    """A mutation whose result union names its errors."""
    return strawberry.mutation(
        resolver=resolver, description=description, extensions=[ErrorsAsData()], **options
    )
