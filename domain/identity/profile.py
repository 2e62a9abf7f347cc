"""A user's own data, and leaving."""

from typing import TypedDict
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import NoFieldsToUpdate
from domain.identity.accounts import SessionEnd, User, UserStatus
from domain.identity.door import Door
from domain.identity.members import take_all_back
from domain.identity.ownership import refuse_sole_owner
from domain.identity.places import check_time_zone
from domain.identity.registration import clean_name
from domain.identity.sessions import end_all_sessions


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

    Raises SoleOwner when it would leave other members of a workspace without an active owner.
    """
    await refuse_sole_owner(session, user_id)
    now = door.clock.now()
    user = await session.get_one(User, user_id, with_for_update=True)
    user.status = UserStatus.DEACTIVATED
    user.updated_at = now
    await end_all_sessions(session, user_id, SessionEnd.DEACTIVATED, now)
    await take_all_back(session, user_id, now)
    return user
