"""The end of an account: asked for, confirmed by mail, waited for, and then done without a trace of the person."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity import mails, one_time
from domain.identity.accounts import (
    Credential,
    ExternalIdentity,
    OneTimePurpose,
    OneTimeToken,
    RecoveryCode,
    SessionEnd,
    SessionRecord,
    SignInAttempts,
    User,
    UserStatus,
)
from domain.identity.attempts import attempts_key
from domain.identity.denials import TokenInvalid
from domain.identity.door import Door
from domain.identity.members import take_all_back
from domain.identity.ownership import alone_in, refuse_sole_owner
from domain.identity.passwords import reauthenticate
from domain.identity.privacy import erasures
from domain.identity.sessions import end_all_sessions
from domain.identity.viewer import Caller
from domain.identity.workspaces import GroupMember, Invitation, Member, Workspace
from domain.ports import Database

CONFIRMATION_LIFETIME: Final = timedelta(hours=1)
UNTOLD: Final = {"untold": True, "synchronize_session": False}
"""Options of statements whose own events would tell no more than that of the account's end."""


@dataclass(frozen=True, slots=True)
class AccountDeletion:
    """How far the end of an account is: mailed about, or due; neither when it was cancelled."""

    confirm_until: datetime | None = None
    due_at: datetime | None = None


async def request_deletion(
    database: Database,
    door: Door,
    caller: Caller,
    user_id: UUID,
    *,
    password: str | None,
    code: str | None,
) -> AccountDeletion:
    """Mail a token that confirms the end of the account; raises SoleOwner and what proving oneself raises."""
    async with database.read() as session:
        await refuse_sole_owner(session, user_id)
    user = await reauthenticate(
        database, door, user_id, password=password, code=code, code_needed=True
    )
    now, purpose = door.clock.now(), OneTimePurpose.DELETE_ACCOUNT
    async with database.write() as session:
        if await one_time.too_many(session, user_id, purpose, now):
            return AccountDeletion(confirm_until=now + CONFIRMATION_LIFETIME)
        await one_time.void(session, user_id, purpose, now)
        token = await one_time.give_token(session, door, user_id, purpose, CONFIRMATION_LIFETIME)
    mail = mails.confirm_deletion(user.email, token, door.rules.app_url)
    door.post.send(mail, caller.request_id)
    return AccountDeletion(confirm_until=now + CONFIRMATION_LIFETIME)


async def confirm_deletion(
    database: Database,
    door: Door,
    caller: Caller,
    user_id: UUID,
    token: str,
    session_id: UUID | None,
) -> AccountDeletion:
    """Have the account end after its days of grace, and its other sessions now; raises TokenInvalid, SoleOwner."""
    now = door.clock.now()
    async with database.write() as session:
        found = await one_time.redeem(session, token, OneTimePurpose.DELETE_ACCOUNT, now)
        if found.user_id != user_id:
            raise TokenInvalid
        await refuse_sole_owner(session, user_id)
        user = await session.get_one(User, user_id, with_for_update=True)
        user.deletion_due_at = now + door.rules.deletion_grace
        user.updated_at = now
        due_at, email = user.deletion_due_at, user.email
        await end_all_sessions(session, user_id, SessionEnd.ENDED, now, but=session_id)
    door.post.send(mails.deletion_due(email, due_at), caller.request_id)
    return AccountDeletion(due_at=due_at)


async def cancel_deletion(session: AsyncSession, user_id: UUID, now: datetime) -> AccountDeletion:
    """Keep the account after all, and forget about mailed confirmations."""
    user = await session.get_one(User, user_id, with_for_update=True)
    if user.deletion_due_at is not None:
        user.deletion_due_at, user.updated_at = None, now
    await one_time.void(session, user_id, OneTimePurpose.DELETE_ACCOUNT, now)
    return AccountDeletion()


async def due_accounts(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Accounts whose days of grace are over, the longest over first."""
    statement = (
        select(col(User.id))
        .where(col(User.deletion_due_at) <= now, col(User.status) != UserStatus.DELETED)
        .order_by(col(User.deletion_due_at))
        .limit(limit)
    )
    return list(await session.exec(statement))


async def erase_account(session: AsyncSession, user_id: UUID, now: datetime) -> list[UUID] | None:
    """Delete all that is about a user whose time has come; None when it has not, or no longer.

    Their row stays without a name for others' rows to refer to. Gives the workspaces that went along, those nobody
    else was in. Raises SoleOwner.
    """
    user = await session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None or user.status is UserStatus.DELETED:
        return None
    if user.deletion_due_at is None or user.deletion_due_at > now:
        return None
    await refuse_sole_owner(session, user_id)
    for erase in erasures():
        await erase(session, user_id)
    await take_all_back(session, user_id, now)
    workspaces = await alone_in(session, user_id)
    email = user.email.lower()
    theirs = or_(func.lower(Invitation.email) == email, col(Invitation.accepted_by) == user_id)
    for kind, condition in (
        (Workspace, col(Workspace.id).in_(workspaces)),
        (Invitation, theirs),
        (SignInAttempts, col(SignInAttempts.key) == attempts_key(email)),
        *((kind, col(kind.user_id) == user_id) for kind in _OF_USER),
    ):
        statement: Any = delete(kind).where(condition).execution_options(**UNTOLD)
        await session.exec(statement)
    user.email = erased_address(user_id)
    user.name, user.time_zone = "", "UTC"
    user.email_verified_at = user.deletion_due_at = None
    user.second_factor = False
    user.status = UserStatus.DELETED
    user.updated_at = now
    await session.flush()
    return workspaces


def erased_address(user_id: UUID) -> str:
    """What an erased account has for an address: none, so that nobody can take it beforehand."""
    return f"deleted:{user_id}"


_OF_USER: Final[tuple[Any, ...]] = (
    SessionRecord,
    OneTimeToken,
    RecoveryCode,
    ExternalIdentity,
    Credential,
    GroupMember,
    Member,
)
