"""What the operator of the machine does with people, without being one of them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, exists, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.errors import DomainError
from domain.identity import attempts, members, one_time, passwords, registration, second_factor
from domain.identity.accounts import (
    OneTimePurpose,
    SessionEnd,
    SessionRecord,
    SignInMethod,
    User,
    UserStatus,
)
from domain.identity.door import Door
from domain.identity.permissions import Role
from domain.identity.sessions import SignedIn, begin_session, end_all_sessions
from domain.identity.tenants import held
from domain.identity.viewer import Caller
from domain.identity.workspaces import Member, Workspace


@dataclass(eq=False)
class NoSuchUser(DomainError):
    """Nobody has this address."""

    email: str


@dataclass(eq=False)
class EmailTaken(DomainError):
    """Somebody has this address already."""

    email: str


@dataclass(eq=False)
class NotActive(DomainError):
    """The account is deactivated or deleted."""

    email: str


@dataclass(frozen=True, slots=True)
class Person:
    """A user as an operator lists them."""

    user: User
    workspaces: int
    last_used_at: datetime | None


async def add_user(
    session: AsyncSession, door: Door, *, email: str, name: str, password_hash: str
) -> User:
    """A user whose address the operator vouches for; raises InvalidInput, EmailTaken."""
    email = registration.clean_email("email", email)
    if await registration.user_by_email(session, email) is not None:
        raise EmailTaken(email=email)
    return await registration.new_user(
        session,
        door,
        email=email,
        name=registration.clean_name("name", name),
        password_hash=password_hash,
        verified=True,
    )


async def user_at(session: AsyncSession, email: str) -> User:
    """The user with this address; raises NoSuchUser."""
    user = await registration.user_by_email(session, email.strip().lower())
    if user is None:
        raise NoSuchUser(email=email)
    return user


async def anybody(session: AsyncSession) -> bool:
    """Whether there is any account."""
    return bool(await session.scalar(select(exists().select_from(User))))


async def adopt(session: AsyncSession, door: Door, user: User) -> list[Workspace]:
    """Make a user the owner of every workspace that nobody is in; those workspaces."""
    somebody = exists().where(col(Member.workspace_id) == col(Workspace.id))
    orphans = select(col(Workspace.id)).where(~somebody, ~col(Workspace.personal))
    found = [await held(session, id) for id in (await session.exec(orphans)).all()]
    for workspace in found:
        await members.appoint(session, workspace, user.id, Role.OWNER, door.clock.now())
    return found


async def move_in(session: AsyncSession, user: User, workspace_id: UUID, now: datetime) -> None:
    """Give a new user a workspace that nobody is in for their personal one; nothing when somebody is."""
    workspace = await held(session, workspace_id)
    inside = select(exists().where(col(Member.workspace_id) == workspace_id))
    if await session.scalar(inside):
        return
    fresh = select(Workspace).where(
        col(Workspace.personal),
        exists().where(
            col(Member.workspace_id) == col(Workspace.id), col(Member.user_id) == user.id
        ),
    )
    for empty in (await session.exec(fresh)).all():
        await session.delete(empty)
    await session.flush()
    workspace.personal, workspace.updated_at = True, now
    workspace.version += 1
    session.add(Member(workspace_id=workspace_id, user_id=user.id, role=Role.OWNER, created_at=now))
    await session.flush()


async def enter(
    session: AsyncSession, door: Door, user: User, workspace_id: UUID, role: Role
) -> Workspace:
    """Make a user a member, or change what they are.

    Raises Forbidden when there is no such workspace, PersonalWorkspace, LastOwner.
    """
    workspace = await held(session, workspace_id)
    await members.appoint(session, workspace, user.id, role, door.clock.now())
    return workspace


async def people(session: AsyncSession) -> list[Person]:
    """Everybody, by address."""
    workspaces = (
        select(func.count())
        .select_from(Member)
        .where(col(Member.user_id) == col(User.id))
        .scalar_subquery()
    )
    last_used = (
        select(func.max(col(SessionRecord.last_used_at)))
        .where(col(SessionRecord.user_id) == col(User.id))
        .scalar_subquery()
    )
    rows = await session.exec(select(User, workspaces, last_used).order_by(col(User.email)))
    return [Person(user, number, moment) for user, number, moment in rows]


async def reactivate(session: AsyncSession, door: Door, user: User) -> None:
    """Open a deactivated account again; its sessions and keys stay ended. Raises NotActive for a deleted one."""
    if user.status is UserStatus.DELETED:
        raise NotActive(email=user.email)
    user.status = UserStatus.ACTIVE
    user.updated_at = door.clock.now()


async def set_password(
    session: AsyncSession, door: Door, user: User, hash: str, *, second_factor_off: bool
) -> None:
    """Give a user a new password, verify their address and end their sessions; mailed tokens end as well."""
    now = door.clock.now()
    credential = await passwords.held_credential(session, user.id)
    passwords.set_password(door, credential, hash)
    if user.email_verified_at is None:
        user.email_verified_at = user.updated_at = now
    if second_factor_off and user.second_factor:
        await second_factor.disable(session, door, user.id)
    await one_time.void(session, user.id, OneTimePurpose.RESET_PASSWORD, now)
    await one_time.void(session, user.id, OneTimePurpose.VERIFY_EMAIL, now)
    await end_all_sessions(session, user.id, SessionEnd.PASSWORD_CHANGED, now)
    await attempts.forget_attempts(session, user.email)


async def act_as(session: AsyncSession, door: Door, user: User, caller: Caller) -> SignedIn:
    """A session of the user's, begun by the operator; an account about to be deleted stays so. Raises NotActive."""
    if user.status is not UserStatus.ACTIVE:
        raise NotActive(email=user.email)
    due = user.deletion_due_at
    signed_in = await begin_session(session, door, user, caller, SignInMethod.OPERATOR)
    user.deletion_due_at = due
    return signed_in
