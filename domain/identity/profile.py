"""A user's own data, and leaving."""

from typing import TypedDict
from uuid import UUID

from sqlalchemy import and_, exists
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NoFieldsToUpdate
from domain.identity.accounts import SessionEnd, User, UserStatus
from domain.identity.door import Door
from domain.identity.members import revoke_made_by
from domain.identity.permissions import Role
from domain.identity.places import check_time_zone
from domain.identity.refusals import LastOwner
from domain.identity.registration import clean_name
from domain.identity.sessions import end_all_sessions
from domain.identity.workspaces import Member


class AccountPatch(TypedDict, total=False):
    """What users change of their own account."""

    name: str
    time_zone: str


async def update_account(
    session: AsyncSession, door: Door, user_id: UUID, patch: AccountPatch
) -> User:
    """Change a user's own data; raises InvalidInput, NoFieldsToUpdate."""
    if not patch:
        raise NoFieldsToUpdate
    user = await session.get_one(User, user_id, with_for_update=True)
    if "name" in patch:
        user.name = clean_name("name", patch["name"])
    if "time_zone" in patch:
        user.time_zone = check_time_zone("timeZone", patch["time_zone"])
    user.updated_at = door.clock.now()
    return user


async def deactivate(session: AsyncSession, door: Door, user_id: UUID) -> User:
    """Close an account: its sessions and keys end, nobody signs in to it; an operator can open it again.

    Raises LastOwner when it would leave other members of a workspace without an active owner.
    """
    if await _is_last_owner(session, user_id):
        raise LastOwner
    now = door.clock.now()
    user = await session.get_one(User, user_id, with_for_update=True)
    user.status = UserStatus.DEACTIVATED
    user.updated_at = now
    await end_all_sessions(session, user_id, SessionEnd.DEACTIVATED, now)
    await revoke_made_by(session, user_id, now)
    return user


async def _is_last_owner(session: AsyncSession, user_id: UUID) -> bool:
    mine, other = aliased(Member), aliased(Member)
    beside = and_(col(other.workspace_id) == col(mine.workspace_id), col(other.user_id) != user_id)
    active_owner = exists().where(
        beside,
        col(other.role) == Role.OWNER,
        col(other.user_id) == col(User.id),
        col(User.status) == UserStatus.ACTIVE,
    )
    statement = select(mine.workspace_id).where(
        col(mine.user_id) == user_id,
        col(mine.role) == Role.OWNER,
        exists().where(beside),
        ~active_owner,
    )
    return await session.scalar(statement.limit(1)) is not None
