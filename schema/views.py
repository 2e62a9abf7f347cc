"""GraphQL types as views: a field without a resolver reads the domain object's attribute."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import strawberry
from strawberry import relay
from strawberry.extensions import FieldExtension
from typing_extensions import dataclass_transform

from resolvers import auditing, paging
from schema import enums  # noqa: F401  (registers the enums before any type names one)
from schema.scalars import Long

T = TypeVar("T")


def plain(description: str, **options: Any) -> Any:
    """A field that reads the domain object's attribute of the same name."""
    return strawberry.field(description=description, **options)


def field(resolver: Callable[..., Any], description: str, **options: Any) -> Any:
    """A field whose GraphQL type is its annotation; the resolver returns the domain object."""
    return strawberry.field(resolver=resolver, description=description, **options)


class _Watched(FieldExtension):
    """Have the audit note that somebody looks."""

    async def resolve_async(
        self,
        next_: Callable[..., Awaitable[Any]],
        source: Any,
        info: strawberry.Info,
        **kwargs: Any,
    ) -> Any:
        """Resolve, then note it: a look that was refused shows nothing."""
        result = await next_(source, info, **kwargs)
        await auditing.viewed(info.context, info.field_name, source)
        return result


def watched(resolver: Callable[..., Any], description: str, **options: Any) -> Any:
    """A field with others' data, by an async resolver: who looks at it is audited, once an hour."""
    return strawberry.field(
        resolver=resolver, description=description, extensions=[_Watched()], **options
    )


def subscription(resolver: Callable[..., Any], description: str, **options: Any) -> Any:
    """A subscription whose resolver returns the event stream itself (`domain.live.LiveStream`).

    The resolver is no generator function, so graphql-core's source event stream is the very object it
    returned, and the server can read its `topic`.
    """
    return strawberry.subscription(resolver=resolver, description=description, **options)


@dataclass_transform(field_specifiers=(plain, field, watched, strawberry.field))
def view(source: type | tuple[type, ...], description: str) -> Callable[[type[T]], type[T]]:
    """Declare a Strawberry type whose runtime value is a `source`."""

    def decorate(cls: type[T]) -> type[T]:
        cls.__source__ = source  # type: ignore[attr-defined]
        cls.is_type_of = staticmethod(  # type: ignore[attr-defined]
            lambda value, _info: isinstance(value, source)
        )
        return strawberry.type(cls, description=description)

    return decorate


@strawberry.type(description="An item of a list with the cursor that leads past it.")
class Edge(Generic[T]):
    """An edge over `domain.paging.Edge`."""

    cursor: str = plain("Give it as `after` or `before` to go on from this item.")
    node: T = plain("The item.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """A connection over `domain.paging.Page`."""

    page_info: relay.PageInfo = plain("Whether there is more, and where this page begins and ends.")
    edges: list[Edge[T]] = plain("The items of this page.")
    total_count: Long = field(
        paging.total_count, "How many items the whole list has; counted only when asked for."
    )
