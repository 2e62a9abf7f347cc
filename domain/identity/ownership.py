"""Workspaces that somebody alone answers for, or is alone in."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, exists
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.identity.accounts import User, UserStatus
from domain.identity.permissions import Role
from domain.identity.workspaces import Member


@dataclass(eq=False)
class SoleOwner(DomainError):
    """These workspaces have other members and would be left without an owner."""

    workspace_ids: tuple[str, ...]


async def refuse_sole_owner(session: AsyncSession, user_id: UUID) -> None:
    """Raise SoleOwner when others would be left in workspaces without an active owner."""
    mine, others, theirs = _mine(user_id)
    owned_too = exists().where(
        others,
        theirs.role == Role.OWNER,
        theirs.user_id == col(User.id),
        col(User.status) == UserStatus.ACTIVE,
    )
    statement = select(mine.workspace_id).where(
        mine.user_id == user_id, mine.role == Role.OWNER, exists().where(others), ~owned_too
    )
    found = list(await session.exec(statement.order_by(mine.workspace_id)))
    if found:
        raise SoleOwner(workspace_ids=tuple(map(str, found)))


async def alone_in(session: AsyncSession, user_id: UUID) -> list[UUID]:
    """The workspaces that nobody else is in: the personal one at least."""
    mine, others, _ = _mine(user_id)
    statement = select(mine.workspace_id).where(mine.user_id == user_id, ~exists().where(others))
    return list(await session.exec(statement))


def _mine(user_id: UUID) -> tuple[Any, Any, Any]:
    """A user's memberships, the condition of others' in the same workspaces, and those."""
    mine: Any = aliased(Member)
    theirs: Any = aliased(Member)
    condition = and_(theirs.workspace_id == mine.workspace_id, theirs.user_id != user_id)
    return mine, condition, theirs
