"""What every connection can say of the whole list."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol

import strawberry

First = Annotated[
    int | None,
    strawberry.argument(
        description="How many items from the beginning: at most 1000, by default 50."
    ),
]
After = Annotated[str | None, strawberry.argument(description="Only items after this edge cursor.")]
Last = Annotated[
    int | None, strawberry.argument(description="How many items from the end: at most 1000.")
]
Before = Annotated[
    str | None, strawberry.argument(description="Only items before this edge cursor.")
]


class Counted(Protocol):
    """A page that can count its list."""

    @property
    def count(self) -> Callable[[], Awaitable[int]]:
        """Counts the items of the whole list."""


async def total_count(root: strawberry.Parent[Counted]) -> int:
    """Count the whole list."""
    return await root.count()
