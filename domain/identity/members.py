"""Who is in a workspace as what: roles, ownership, leaving. Callers hold the workspace (`tenants.held`)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from domain.identity.accounts import User
from domain.identity.keys import ApiKey
from domain.identity.permissions import PERMISSIONS, Permission, Role
from domain.identity.refusals import LastOwner, MemberNotFound, PersonalWorkspace
from domain.identity.viewer import Forbidden, Viewer
from domain.identity.workspaces import GroupMember, Invitation, Member, Workspace
from domain.keyset import Keyset
from domain.paging import Page, Window
from domain.ports import Database

_RANK: Final = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class FormerMember:
    """Who is no longer in a workspace."""

    workspace_id: UUID
    user_id: UUID


def outranks(role: Role, other: Role) -> bool:
    """Whether the first role is above the second."""
    return _RANK[role] < _RANK[other]


async def change_role(
    session: AsyncSession,
    workspace: Workspace,
    actor_id: UUID,
    user_id: UUID,
    role: Role,
    now: datetime,
) -> Member:
    """Make a member something else; raises MemberNotFound, LastOwner, Forbidden, PersonalWorkspace.

    Nobody touches who is above them, or lifts anybody, themselves included, above their own role.
    """
    _shared(workspace)
    own = await acting(session, workspace.id, actor_id, Permission.MANAGE_MEMBERS)
    member = await _member(session, workspace.id, user_id)
    _within_reach(own, member.role)
    _within_reach(own, role)
    if member.role is not role:
        await _keep_an_owner(session, member, role)
        await _take_back(session, member, role, now)
        member.role = role
        await session.flush()
    return member


async def appoint(
    session: AsyncSession, workspace: Workspace, user_id: UUID, role: Role, now: datetime
) -> Member:
    """Make a user a member, or a member something else, as no member's act; raises LastOwner, PersonalWorkspace."""
    _shared(workspace)
    member = await session.get(Member, (workspace.id, user_id), populate_existing=True)
    if member is None:
        member = Member(workspace_id=workspace.id, user_id=user_id, role=role, created_at=now)
        session.add(member)
    elif member.role is not role:
        await _keep_an_owner(session, member, role)
        await _take_back(session, member, role, now)
        member.role = role
    await session.flush()
    return member


async def transfer_ownership(
    session: AsyncSession, workspace: Workspace, actor_id: UUID, user_id: UUID, now: datetime
) -> Member:
    """Make a member an owner and the acting owner an admin; raises MemberNotFound, Forbidden, PersonalWorkspace."""
    _shared(workspace)
    await acting(session, workspace.id, actor_id, Permission.OWN_WORKSPACE)
    heir = await _member(session, workspace.id, user_id)
    if user_id != actor_id:
        heir.role = Role.OWNER
        await session.flush()
        giver = await _member(session, workspace.id, actor_id)
        await _take_back(session, giver, Role.ADMIN, now)
        giver.role = Role.ADMIN
        await session.flush()
    return heir


async def remove_member(
    session: AsyncSession, workspace: Workspace, actor_id: UUID, user_id: UUID, now: datetime
) -> FormerMember:
    """Take a member out; raises MemberNotFound, LastOwner, Forbidden, PersonalWorkspace."""
    _shared(workspace)
    own = await acting(session, workspace.id, actor_id, Permission.MANAGE_MEMBERS)
    member = await _member(session, workspace.id, user_id)
    _within_reach(own, member.role)
    return await _out(session, member, now)


async def leave_workspace(
    session: AsyncSession, workspace: Workspace, user_id: UUID, now: datetime
) -> FormerMember:
    """Go; raises MemberNotFound, LastOwner, PersonalWorkspace."""
    _shared(workspace)
    return await _out(session, await _member(session, workspace.id, user_id), now)


async def acting(
    session: AsyncSession, workspace_id: UUID, user_id: UUID | None, needed: Permission
) -> Role:
    """What the acting user is at this moment, whatever they were when they signed in; raises Forbidden."""
    role = await session.scalar(
        select(col(Member.role)).where(
            col(Member.workspace_id) == workspace_id, col(Member.user_id) == user_id
        )
    )
    if role is None or needed not in PERMISSIONS[role]:
        raise Forbidden(needed=needed.value)
    return role


async def revoke_made_by(
    session: AsyncSession,
    user_id: UUID,
    now: datetime,
    workspace_id: UUID | None = None,
    beyond: AbstractSet[Permission] = frozenset(),
) -> None:
    """Revoke the keys a user made (in one workspace, or all) that may more than `beyond`; by default every one."""
    statement = select(ApiKey).where(
        col(ApiKey.created_by) == user_id, col(ApiKey.revoked_at).is_(None)
    )
    if workspace_id is not None:
        statement = statement.where(col(ApiKey.workspace_id) == workspace_id)
    allowed = {permission.value for permission in beyond}
    for key in await session.exec(statement):
        if not allowed.issuperset(key.permissions):
            key.revoked_at = now
    await session.flush()


async def take_all_back(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """Revoke all that a user handed out anywhere, when their account is closed: keys and open invitations."""
    await revoke_made_by(session, user_id, now)
    await _revoke_invitations(session, col(Invitation.invited_by) == user_id, now)


async def users_by_ids(
    session: AsyncSession, viewer: Viewer, ids: Sequence[UUID]
) -> dict[UUID, User]:
    """Those of the users whom the viewer may know: themselves, and who is in a workspace with them."""
    joined = select(col(Member.workspace_id)).where(col(Member.user_id) == viewer.user_id)
    known = select(col(Member.user_id)).where(
        (col(Member.workspace_id) == viewer.workspace_id) | col(Member.workspace_id).in_(joined)
    )
    found = await session.exec(
        select(User).where(
            col(User.id).in_(ids),
            (col(User.id) == viewer.user_id) | col(User.id).in_(known),
        )
    )
    return {user.id: user for user in found}


async def members_of(database: Database, workspace_id: UUID, window: Window) -> Page[Member]:
    """A page of a workspace's members, by user id: oldest account first."""
    statement = select(Member).where(col(Member.workspace_id) == workspace_id)
    keyset = Keyset[Member](
        UUID, col(Member.user_id), lambda item: item.user_id, newest_first=False
    )
    return await keyset.page(database, statement, window)


def _shared(workspace: Workspace) -> None:
    if workspace.personal:
        raise PersonalWorkspace


def _within_reach(own: Role, role: Role) -> None:
    if outranks(role, own):
        raise Forbidden(needed=f"the role {role.name}")


async def _member(session: AsyncSession, workspace_id: UUID, user_id: UUID) -> Member:
    member = await session.get(Member, (workspace_id, user_id), populate_existing=True)
    if member is None:
        raise MemberNotFound(user_id=str(user_id))
    return member


async def _keep_an_owner(session: AsyncSession, member: Member, role: Role | None) -> None:
    if member.role is not Role.OWNER or role is Role.OWNER:
        return
    others = select(func.count()).where(
        col(Member.workspace_id) == member.workspace_id,
        col(Member.user_id) != member.user_id,
        col(Member.role) == Role.OWNER,
    )
    if not await session.scalar(others):
        raise LastOwner


async def _out(session: AsyncSession, member: Member, now: datetime) -> FormerMember:
    await _keep_an_owner(session, member, None)
    await _take_back(session, member, None, now)
    groups = await session.exec(
        select(GroupMember).where(
            col(GroupMember.workspace_id) == member.workspace_id,
            col(GroupMember.user_id) == member.user_id,
        )
    )
    for group in groups:
        await session.delete(group)
    former = FormerMember(member.workspace_id, member.user_id)
    await session.delete(member)
    await session.flush()
    return former


async def _take_back(
    session: AsyncSession, member: Member, role: Role | None, now: datetime
) -> None:
    """Revoke what a member handed out beyond what they will be allowed: keys and open invitations.

    This comes before the change itself, while they may still touch both.
    """
    permissions = PERMISSIONS[role] if role else frozenset[Permission]()
    await revoke_made_by(session, member.user_id, now, member.workspace_id, permissions)
    allowed = [
        offered
        for offered in Role
        if role and Permission.MANAGE_MEMBERS in permissions and not outranks(offered, role)
    ]
    beyond = (
        (col(Invitation.workspace_id) == member.workspace_id)
        & (col(Invitation.invited_by) == member.user_id)
        & col(Invitation.role).not_in(allowed)
    )
    await _revoke_invitations(session, beyond, now)


async def _revoke_invitations(
    session: AsyncSession, which: ColumnElement[bool], now: datetime
) -> None:
    invitations = await session.exec(
        select(Invitation).where(
            which, col(Invitation.accepted_at).is_(None), col(Invitation.revoked_at).is_(None)
        )
    )
    for invitation in invitations:
        invitation.revoked_at = now
    await session.flush()
