"""Keyset pages, shaped so that GraphQL can read them as Relay connections."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from domain.errors import InvalidInput

T = TypeVar("T")

PAGE_SIZE = 50
PAGE_LIMIT = 1000


@dataclass(slots=True)
class Edge(Generic[T]):
    """An item, and the cursor that leads past it, made when somebody reads it: most clients do not."""

    node: T
    cursor_of: Callable[[T], str] = field(repr=False)

    @property
    def cursor(self) -> str:
        """The cursor that leads past the item."""
        return self.cursor_of(self.node)


@dataclass(slots=True)
class PageInfo:
    """What lies around a page."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(slots=True)
class Page(Generic[T]):
    """One page; `count` is asked only when a client selects `totalCount`."""

    edges: list[Edge[T]]
    page_info: PageInfo
    count: Callable[[], Awaitable[int]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Window:
    """A checked request for a page: `size` items, from the `backward` end when asked with last/before."""

    size: int
    backward: bool
    after: str | None
    before: str | None


def window(
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Window:
    """Check Relay's four arguments; raises InvalidInput naming the argument at fault."""
    if first is not None and last is not None:
        raise InvalidInput(field="last", reason="give first or last, not both")
    for name, value in (("first", first), ("last", last)):
        if value is not None and not 0 <= value <= PAGE_LIMIT:
            raise InvalidInput(field=name, reason=f"must be from 0 to {PAGE_LIMIT}")
    if last is not None:
        return Window(size=last, backward=True, after=after, before=before)
    size = PAGE_SIZE if first is None else first
    return Window(size=size, backward=False, after=after, before=before)


def page(
    items: list[T],
    window: Window,
    cursor: Callable[[T], str],
    count: Callable[[], Awaitable[int]],
) -> Page[T]:
    """A page from `size + 1` items fetched in the window's own direction (backward ones reversed here)."""
    more = len(items) > window.size
    items = items[: window.size]
    if window.backward:
        items = items[::-1]
    edges = [Edge(item, cursor) for item in items]
    return Page(
        edges=edges,
        page_info=PageInfo(
            has_next_page=window.before is not None if window.backward else more,
            has_previous_page=more if window.backward else window.after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        count=count,
    )
