"""Who refers to a secret: each context that may says how to find out."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

Finder = Callable[[AsyncSession, UUID, str], Awaitable[Sequence[str]]]

_FINDERS: list[Finder] = []


def finds_users(finder: Finder) -> Finder:
    """Declare a function `(session, workspace_id, name)` that names what refers to a secret."""
    _FINDERS.append(finder)
    return finder


async def users_of(session: AsyncSession, workspace_id: UUID, name: str) -> list[str]:
    """Names of all that refers to a secret."""
    return [user for finder in _FINDERS for user in await finder(session, workspace_id, name)]
